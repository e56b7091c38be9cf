//! The Durable Object and its routes.
#![allow(missing_docs, reason = "the macro that exports the object writes methods without any")]

use super::{
    desk::Desk,
    outbox::{Kind, Outbox},
    store::Store,
};
use crate::{
    follow::Ask,
    isolate::read_config,
    metrics,
    node::{Background, Node, Pace},
    source::{Place, Source, now},
};
use futures_util::future::select;
use keyward_core::{Delta, Digest, PolicyNumber, Position, StatusIndex, Timestamp};
use std::{
    cell::{Cell, OnceCell},
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};
use worker::{
    Delay, DurableObject, Env, Method, Request, Response, ResponseBuilder, Result, State, console_error, durable_object, js_sys::JsString,
    wasm_bindgen::JsCast as _, wasm_bindgen_futures::JsFuture,
};

/// The longest that a question is kept.
const MAX_WAIT_MS: u64 = 5_000;
/// How often the floor is written at most: a response waits for what was written before it.
const SAVE_EVERY_MS: u64 = 2_000;
/// How long after an answer the floor is written, so that the answer is out by then.
const SAVE_AFTER_MS: u64 = 50;
/// Announced policies that are fetched before anybody asks for them, for one answer of the origin.
const MAX_PREFETCH: usize = 64;

/// A region's hub.
#[durable_object(alarm)]
pub struct Hub {
    state: State,
    env: Env,
    region: OnceCell<Option<Region>>,
}

/// What a hub has once it is configured. Cheap to clone, for work that goes on after an answer.
#[derive(Clone)]
pub(super) struct Region {
    pub(super) node: Rc<Node<Desk>>,
    pub(super) source: Source,
    pub(super) store: Store,
    outbox: Outbox,
    saved: Rc<Cell<(Timestamp, (Position, u64))>>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl DurableObject for Hub {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, region: OnceCell::new() }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let Some(region) = self.region.get_or_init(|| Region::open(&self.state, &self.env)) else {
            return status(503);
        };
        if request.method() == Method::Post {
            return region.take(&self.state, &request).await;
        }
        region.answer(&self.state, &request.inner().url()).await
    }

    /// Set where something waits for the origin.
    async fn alarm(&self) -> Result<Response> {
        if let Some(region) = self.region.get_or_init(|| Region::open(&self.state, &self.env)) {
            region.outbox.clone().awake(region.node.config.clone()).await;
        }
        status(200)
    }
}

impl Region {
    /// `None`, with a line in the log, where the configuration or the storage can't be read.
    fn open(state: &State, env: &Env) -> Option<Self> {
        let config = read_config(env).inspect_err(|error| console_error!("the hub is out of service: {error}")).ok()?;
        let opened = Store::open(state).and_then(|store| Ok((store.floor()?, store, Outbox::open(state)?)));
        let (floor, store, outbox) = opened.inspect_err(|error| console_error!("the hub can't read its storage: {error}")).ok()?;
        let node = Node::new(Rc::new(config), Pace::HUB, Desk::default());
        if let Some((position, manifest)) = floor {
            node.with(|state| state.follower.raise_floor(position, manifest));
        }
        let saved = Rc::new(Cell::new((Timestamp::default(), floor.unwrap_or_default())));
        Some(Self { node: Rc::new(node), source: Source::new(env.clone(), Place::Hub), store, outbox, saved })
    }

    async fn answer(&self, background: &State, url: &str) -> Result<Response> {
        let rest = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or("/");
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if path == "/metrics" {
            let mut text = String::new();
            self.node.with(|state| state.counters.write_hub(&mut text));
            let (waiting, sent, dropped) = self.outbox.counts()?;
            metrics::hub_usage(&mut text, waiting, sent, dropped);
            return body(text, "text/plain");
        }
        self.node.freshen(&self.source, background).await;
        let answer = match path {
            "/edge/v1/feed" => self.feed(background, query).await,
            "/edge/v1/snapshot" => self.snapshot().await,
            "/edge/v1/manifest" => self.manifest(),
            _ => match path.strip_prefix("/edge/v1/").and_then(|path| path.split_once('/')) {
                Some(("parts", digest)) => match Digest::parse(digest) {
                    Some(digest) => self.part(background, digest).await,
                    None => status(404),
                },
                Some(("issued", about)) => {
                    match about.split_once('/').and_then(|(index, digest)| Some((index.parse().ok()?, Digest::parse(digest)?))) {
                        Some((index, digest)) => self.issued(background, (StatusIndex(index), digest)).await,
                        None => status(404),
                    }
                }
                Some(("policies", number)) => match number.parse() {
                    Ok(number) => self.policy(background, PolicyNumber(number)).await,
                    Err(_) => status(404),
                },
                _ => status(404),
            },
        };
        self.save_floor(background);
        self.send_usage(background);
        answer
    }

    /// Takes a batch from an isolate: when it is answered, it is in the storage.
    async fn take(&self, background: &State, request: &Request) -> Result<Response> {
        let url = request.inner().url();
        let asked = url.strip_prefix("http://hub").and_then(|rest| rest.split_once("?id="));
        let asked = asked.and_then(|(path, id)| Some((Kind::at(path)?, uuid::Uuid::try_parse(id).ok()?)));
        let Some((kind, id)) = asked else { return status(404) };
        let body: JsString = JsFuture::from(request.inner().text()?).await?.unchecked_into();
        if is_longer(&body, kind.longest()) {
            return status(413);
        }
        self.outbox.take(kind, &id.to_string(), body).await?;
        self.send_usage(background);
        status(200)
    }

    /// Sees to it that what waits for the origin is sent.
    fn send_usage(&self, background: &State) {
        if self.outbox.is_due() {
            background.run(self.outbox.clone().send(self.node.config.clone()));
        }
    }

    async fn feed(&self, background: &State, query: &str) -> Result<Response> {
        let Some(asked) = Asked::parse(query) else { return status(400) };
        let came = now();
        let (news, ahead) = self.node.with(|state| {
            let known = state.follower.replica().keys().map_or(0, |keys| keys.manifest().version);
            (state.keeper.news(), asked.after > state.keeper.publication.position() || asked.manifest > known)
        });
        if ahead {
            // An isolate that asked the origin itself knows more than this hub does.
            self.node.refresh(&self.source, 0, Pace::HUB.probe_ms).await;
        }
        while asked.wait_ms > now().since(came) && self.is_old_news(&asked, news) {
            let left = asked.wait_ms - now().since(came).min(asked.wait_ms);
            let next = pin!(self.next_news(news));
            select(next, Delay::from(Duration::from_millis(left))).await;
        }
        self.prefetch(background);
        let reply = self.node.with(|state| {
            let known = state.follower.replica().keys().map(|keys| keys.manifest().version);
            let ahead = asked.after > state.keeper.publication.position() || known.is_none_or(|known| asked.manifest > known);
            if state.keeper.publication.is_torn() {
                state.follower.want_snapshot();
            }
            // Whoever knows more than this hub has to ask the origin: an old answer would look like a way back.
            (!ahead).then(|| state.keeper.publication.feed_reply(asked.after, known == Some(asked.manifest))).flatten()
        });
        self.json(reply)
    }

    /// Whether nothing has come that the asking one lacks, and no heartbeat since it asked.
    fn is_old_news(&self, asked: &Asked, news: u64) -> bool {
        self.node.with(|state| {
            let known = state.follower.replica().keys().map_or(0, |keys| keys.manifest().version);
            state.keeper.news() == news && state.keeper.publication.position() == asked.after && known == asked.manifest
        })
    }

    /// Ends with the next refresh after `news`.
    fn next_news(&self, news: u64) -> impl Future<Output = ()> {
        poll_fn(move |context| {
            self.node.with(|state| {
                if state.keeper.news() != news {
                    return Poll::Ready(());
                }
                state.keeper.wait(context.waker().clone());
                Poll::Pending
            })
        })
    }

    async fn snapshot(&self) -> Result<Response> {
        let due = self.node.with(|state| {
            if state.keeper.publication.is_torn() {
                state.follower.want_snapshot();
            }
            state.follower.ask() == Ask::Snapshot && !state.pulse.is_outage()
        });
        if due {
            self.node.refresh(&self.source, 0, Pace::HUB.probe_ms).await;
        }
        let reply = self.node.with(|state| state.keeper.publication.snapshot_reply());
        self.json(reply)
    }

    fn manifest(&self) -> Result<Response> {
        let text = self.node.with(|state| state.keeper.publication.manifest().to_owned());
        if text.is_empty() { status(503) } else { body(text, "application/jwt") }
    }

    /// A reply, or why there is none.
    fn json(&self, reply: Option<impl serde::Serialize>) -> Result<Response> {
        match reply.and_then(|reply| serde_json::to_string(&reply).ok()) {
            Some(text) => body(text, "application/json"),
            None if self.node.with(|state| state.refusing) => status(502),
            None => status(503),
        }
    }

    /// Fetches the policies that new deltas announce, before the first request that needs them.
    fn prefetch(&self, background: &State) {
        let announced: Vec<PolicyNumber> = self.node.with(|state| {
            let unread = state.keeper.publication.take_unread();
            let Some(keys) = state.follower.replica().keys() else { return Vec::new() };
            let deltas = unread.iter().filter_map(|text| keys.open::<Delta>(text, now()).ok());
            deltas.flat_map(|delta| delta.policies).take(MAX_PREFETCH).collect()
        });
        if announced.is_empty() {
            return;
        }
        let region = self.clone();
        background.run(async move {
            for number in announced {
                // Whoever needs one that could not be had asks again.
                let _ = region.obtain_policy(&Here, number).await;
            }
        });
    }

    /// Writes how far this hub has seen, where that is further than what is written.
    fn save_floor(&self, background: &State) {
        let (at, saved) = self.saved.get();
        let floor = self.node.with(|state| state.follower.replica().floor());
        let now = now();
        if floor == saved || now.since(at) < SAVE_EVERY_MS {
            return;
        }
        self.saved.set((now, floor));
        let store = self.store.clone();
        background.run(async move {
            Delay::from(Duration::from_millis(SAVE_AFTER_MS)).await;
            store.spare(store.save_floor(floor));
        });
    }
}

/// Whether a text has more bytes of UTF-8 than that. A unit of UTF-16 has three at most, so that hardly any has to be counted.
fn is_longer(text: &JsString, most: usize) -> bool {
    text.length() as usize > most / 3 && String::from(text).len() > most
}

/// Work of work that goes on in the background already.
struct Here;

impl Background for Here {
    fn run(&self, work: impl Future<Output = ()> + 'static) {
        worker::wasm_bindgen_futures::spawn_local(work);
    }
}

/// The query of `GET /edge/v1/feed`.
struct Asked {
    after: Position,
    manifest: u64,
    wait_ms: u64,
}

impl Asked {
    fn parse(query: &str) -> Option<Self> {
        let (mut epoch, mut after, mut manifest, mut wait_ms) = (None, None, None, 0);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            // For the origin, where the hub can't be asked.
            if name == "heartbeat" {
                continue;
            }
            let value: u64 = value.parse().ok()?;
            match name {
                "epoch" => epoch = u32::try_from(value).ok(),
                "after" => after = Some(value),
                "manifest" => manifest = Some(value),
                "wait_ms" => wait_ms = value.min(MAX_WAIT_MS),
                _ => return None,
            }
        }
        Some(Self { after: Position { epoch: epoch?, seq: after? }, manifest: manifest?, wait_ms })
    }
}

pub(super) fn body(text: String, media_type: &str) -> Result<Response> {
    Ok(ResponseBuilder::new().with_header("content-type", media_type)?.fixed(text.into_bytes()))
}

pub(super) fn status(code: u16) -> Result<Response> {
    Ok(ResponseBuilder::new().with_status(code).empty())
}
