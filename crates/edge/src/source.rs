//! Where the feed is asked: the hub, and where that can't be reached the origin.

use crate::{config::Config, flight::Miss, node::Node};
use futures_util::{
    StreamExt,
    future::{Either, select},
    pin_mut,
};
use keyward_core::{KeyId, Timestamp};
use std::{rc::Rc, time::Duration};
use worker::{
    Delay, Env, Request, Response, js_sys, js_sys::JsString, wasm_bindgen, wasm_bindgen::JsCast, wasm_bindgen::prelude::wasm_bindgen,
    wasm_bindgen_futures::JsFuture, web_sys,
};

/// The binding of the hubs' namespace.
const HUB_BINDING: &str = "HUB";
/// The binding of the namespace of keys' objects.
const LIMITER_BINDING: &str = "LIMITER";
/// The part of the time for an answer that the hub has, in hundredths; the rest is the origin's.
const HUB_SHARE: u64 = 75;

/// The time now. The runtime's clock stands still between two awaits that do I/O.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(js_sys::Date::now() as u64)
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = randomUUID)]
    fn random_uuid_text() -> String;
}

/// A UUIDv4 of the runtime's.
fn random_uuid() -> uuid::Uuid {
    random_uuid_text().parse().unwrap_or_default()
}

/// A UUIDv7.
pub(crate) fn fresh_id(now: Timestamp) -> uuid::Uuid {
    let given = *random_uuid().as_bytes();
    // All of it is random but for the version and the variant, at its bytes 6 and 8.
    let [a, b, c, d, e, f, .., g, h, i, j] = given;
    let random = [a, b, c, d, e, f, g, h, i, j];
    uuid::Builder::from_unix_timestamp_millis(now.millis(), &random).into_uuid()
}

/// Who asks decides who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// An isolate asks its hub first.
    Isolate,
    /// A hub asks the origin.
    Hub,
}

/// What a context needs to ask. Made anew in each: handles of one request are no good in another.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    env: Env,
    place: Place,
}

impl Source {
    pub(crate) const fn new(env: Env, place: Place) -> Self {
        Self { env, place }
    }

    /// The text at `path`, of at most `limit` bytes, within `timeout_ms`.
    pub(crate) async fn text<K>(&self, node: &Node<K>, path: &str, limit: usize, timeout_ms: u64) -> Result<String, Miss> {
        let deadline = now().millis() + timeout_ms;
        if self.place == Place::Isolate {
            match self.hub_text(node, path, limit, timeout_ms * HUB_SHARE / 100).await {
                Err(Miss::Failed) => {}
                answer => return answer,
            }
        }
        let left = deadline.saturating_sub(now().millis());
        if left == 0 {
            return Err(Miss::Failed);
        }
        node.count(|counters| counters.origin_requests += 1);
        timed(left, |signal| ask_origin(node.config.clone(), path, limit, signal)).await
    }

    /// The same from the hub or not at all.
    pub(crate) async fn hub_text<K>(&self, node: &Node<K>, path: &str, limit: usize, timeout_ms: u64) -> Result<String, Miss> {
        node.count(|counters| counters.hub_requests += 1);
        timed(timeout_ms, |signal| self.ask_hub(&node.config, path, limit, signal)).await
    }

    /// Hands something over to the hub, which has taken it when this succeeds.
    pub(crate) async fn hand_over<K>(&self, node: &Node<K>, path: &str, body: &str, timeout_ms: u64) -> Result<(), Miss> {
        timed(timeout_ms, |signal| async move {
            let request = request(&format!("http://hub{path}"), None, Some(&body.into()), &signal)?;
            self.send_to_hub(&node.config, request, 0).await.map(drop)
        })
        .await
    }

    /// What the key's object of this region answers to a message: its status, and of 200 the text.
    pub(crate) async fn ask_limiter(
        &self,
        config: &Config,
        key: KeyId,
        message: &str,
        limit: usize,
        timeout_ms: u64,
    ) -> Result<(u16, String), Miss> {
        timed(timeout_ms, |signal| async move {
            let request = request("http://limiter/edge/v1/permits", None, Some(&message.into()), &signal)?;
            read_with_status(self.fetch(LIMITER_BINDING, &[&config.hub, ":", &key.to_string()].concat(), request).await?, limit).await
        })
        .await
    }

    async fn ask_hub(&self, config: &Config, path: &str, limit: usize, signal: web_sys::AbortSignal) -> Result<String, Miss> {
        self.send_to_hub(config, request(&format!("http://hub{path}"), None, None, &signal)?, limit).await
    }

    async fn send_to_hub(&self, config: &Config, request: web_sys::Request, limit: usize) -> Result<String, Miss> {
        read(self.fetch(HUB_BINDING, &config.hub, request).await?, limit, true).await
    }

    /// What the object of this name responds.
    async fn fetch(&self, binding: &str, name: &str, request: web_sys::Request) -> Result<Response, Miss> {
        let stub = self.env.durable_object(binding).and_then(|objects| objects.id_from_name(name)?.get_stub()).map_err(|_| Miss::Failed)?;
        stub.fetch_with_request(Request::from(request)).await.map_err(|_| Miss::Failed)
    }
}

async fn ask_origin(config: Rc<Config>, path: &str, limit: usize, signal: web_sys::AbortSignal) -> Result<String, Miss> {
    let response = send_to_origin(&config, path, None, &signal).await?;
    read(response.into(), limit, false).await
}

/// Posts JSON to the origin, and gives the status that it is answered with.
pub(crate) async fn post_to_origin(config: Rc<Config>, path: &str, body: JsString, timeout_ms: u64) -> Result<u16, Miss> {
    timed(timeout_ms, |signal| async move { Ok(send_to_origin(&config, path, Some(&body), &signal).await?.status()) }).await
}

/// Posts JSON to the origin, and gives what it answers: its status, and of 200 the text.
pub(crate) async fn ask_origin_with(
    config: Rc<Config>,
    path: &str,
    body: String,
    limit: usize,
    timeout_ms: u64,
) -> Result<(u16, String), Miss> {
    timed(timeout_ms, |signal| async move {
        read_with_status(send_to_origin(&config, path, Some(&body.into()), &signal).await?.into(), limit).await
    })
    .await
}

async fn send_to_origin(
    config: &Config,
    path: &str,
    body: Option<&JsString>,
    signal: &web_sys::AbortSignal,
) -> Result<web_sys::Response, Miss> {
    let request = request(&format!("{}{path}", config.origin), Some(config.sync_key.reveal()), body, signal)?;
    let scope: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
    let response = JsFuture::from(scope.fetch_with_request(&request)).await.map_err(|_| Miss::Failed)?;
    response.dyn_into().map_err(|_| Miss::Failed)
}

/// With a body of JSON it is a POST.
fn request(url: &str, bearer: Option<&str>, body: Option<&JsString>, signal: &web_sys::AbortSignal) -> Result<web_sys::Request, Miss> {
    let init = web_sys::RequestInit::new();
    if let Some(body) = body {
        init.set_method("POST");
        init.set_body(body);
    }
    init.set_signal(Some(signal));
    init.set_redirect(web_sys::RequestRedirect::Manual);
    let request = web_sys::Request::new_with_str_and_init(url, &init).map_err(|_| Miss::Failed)?;
    if body.is_some() {
        request.headers().set("content-type", "application/json").map_err(|_| Miss::Failed)?;
    }
    if let Some(bearer) = bearer {
        request.headers().set("authorization", &format!("Bearer {bearer}")).map_err(|_| Miss::Failed)?;
    }
    Ok(request)
}

/// The body as text, read no further than `limit`. A hub says by 502 that it refused what the origin told it: then an
/// isolate must not ask the origin itself, which could turn back time for one that has just been started.
async fn read(response: Response, limit: usize, hub: bool) -> Result<String, Miss> {
    match response.status_code() {
        200 => text(response, limit).await,
        404 => Err(Miss::Absent),
        502 if hub => Err(Miss::Refused),
        _ => Err(Miss::Failed),
    }
}

/// The status, and of 200 the body.
async fn read_with_status(response: Response, limit: usize) -> Result<(u16, String), Miss> {
    let status = response.status_code();
    Ok((status, if status == 200 { text(response, limit).await? } else { String::new() }))
}

async fn text(mut response: Response, limit: usize) -> Result<String, Miss> {
    let mut body = Vec::new();
    let mut chunks = response.stream().map_err(|_| Miss::Failed)?;
    while let Some(chunk) = chunks.next().await {
        body.extend(chunk.map_err(|_| Miss::Failed)?);
        if body.len() > limit {
            return Err(Miss::Failed);
        }
    }
    String::from_utf8(body).map_err(|_| Miss::Failed)
}

/// Runs an exchange, and aborts it when its time is over or what came of it isn't wanted.
async fn timed<T, F: Future<Output = Result<T, Miss>>>(
    timeout_ms: u64,
    exchange: impl FnOnce(web_sys::AbortSignal) -> F,
) -> Result<T, Miss> {
    let controller = web_sys::AbortController::new().map_err(|_| Miss::Failed)?;
    let exchange = exchange(controller.signal());
    let timeout = Delay::from(Duration::from_millis(timeout_ms));
    pin_mut!(exchange, timeout);
    let outcome = match select(exchange, timeout).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(Miss::Failed),
    };
    if outcome.is_err() {
        controller.abort();
    }
    outcome
}
