//! A permitted request on its way to the upstream: exactly the path that was decided on, without the credential, and
//! with the identity that the edge vouches for.

use crate::{config::Config, decide::Passage, headers, hold::Hold, limits::fields::Field, target::Target};
use worker::{
    js_sys,
    wasm_bindgen::{JsCast, JsValue},
    wasm_bindgen_futures::JsFuture,
    web_sys,
};

/// Sends it and gives the upstream's response as it is, but for what it says to the edge alone, and with these headers where there are any;
/// `count` sees it as it came. The error names the runtime's fault, for the log.
pub(crate) async fn send(
    config: &Config,
    request: &web_sys::Request,
    target: &Target,
    passage: &Passage,
    (fields, hold): (&[Field], Option<&Hold>),
    count: impl FnOnce(&web_sys::Response),
) -> Result<web_sys::Response, String> {
    let answer = exchange(config, request, target, passage, hold).await.and_then(|response| {
        must_be_answer(&response)?;
        count(&response);
        let followed = hold.map(|hold| hold.follow(&response, &request.method())).transpose()?;
        onward_with(followed.unwrap_or(response), fields)
    });
    answer.map_err(|fault| {
        if let Some(hold) = hold {
            hold.end();
        }
        match fault.dyn_into::<js_sys::Error>() {
            Ok(error) => String::from(error.message()),
            Err(_) => "an exception".to_owned(),
        }
    })
}

/// Passes a response that is an answer. The runtime takes an interim one (1xx) for the final one, and can make none with a
/// status beyond 599. js/gate.js has the same.
fn must_be_answer(response: &web_sys::Response) -> Result<(), JsValue> {
    let opens_socket = || js_sys::Reflect::get(response, &"webSocket".into()).is_ok_and(|socket| socket.is_truthy());
    match response.status() {
        200..=599 => Ok(()),
        101 if opens_socket() => Ok(()),
        status => Err(js_sys::Error::new(&format!("an answer with the status {status}")).into()),
    }
}

/// The response with these headers, and without what is said to the edge alone. One of the runtime's own can't be changed, so that it is made
/// anew; but not one that opens a WebSocket.
fn onward_with(response: web_sys::Response, fields: &[Field]) -> Result<web_sys::Response, JsValue> {
    let costs = response.headers().has(headers::COST)?;
    if (fields.is_empty() && !costs) || response.status() == 101 {
        return Ok(response);
    }
    // A response stands in for its own initialiser.
    let anew = web_sys::Response::new_with_opt_readable_stream_and_init(response.body().as_ref(), response.unchecked_ref())?;
    if costs {
        anew.headers().delete(headers::COST)?;
    }
    for (name, value) in fields {
        anew.headers().set(name, value)?;
    }
    Ok(anew)
}

async fn exchange(
    config: &Config,
    request: &web_sys::Request,
    target: &Target,
    passage: &Passage,
    hold: Option<&Hold>,
) -> Result<web_sys::Response, JsValue> {
    let url = format!("{}{}{}", config.upstream, target.path.as_str(), target.query);
    let headers = onward(&request.headers(), passage)?;
    let init = web_sys::RequestInit::new();
    let onto = if request.method() == "HEAD" {
        // What it has for a body means nothing (RFC 9110, section 9.3.2).
        for name in ["content-length", "transfer-encoding"] {
            headers.delete(name)?;
        }
        init.set_method("HEAD");
        web_sys::Request::new_with_str(&url)?
    } else {
        // A request stands in for its own initialiser: so the method, and the body with its length, go on as they came. A
        // dictionary would not take a body for a GET.
        web_sys::Request::new_with_str_and_init(&url, request.unchecked_ref())?
    };
    init.set_headers(headers.as_ref());
    // Without its credential a request looks like anybody's: what it is answered isn't to be kept by a cache, nor to be found in
    // one (docs/decisions/0116-no-cache-behind-the-edge.md).
    init.set_cache(web_sys::RequestCache::NoStore);
    // A redirect is the client's to follow, past the edge's decision on it.
    init.set_redirect(web_sys::RequestRedirect::Manual);
    if let Some(hold) = hold {
        init.set_signal(Some(&hold.signal()));
    }
    let scope: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
    JsFuture::from(scope.fetch_with_request_and_init(&onto, &init)).await?.dyn_into()
}

/// The headers of the request, less what is stripped, and with the identity.
fn onward(sent: &web_sys::Headers, passage: &Passage) -> Result<web_sys::Headers, JsValue> {
    let onward = web_sys::Headers::new()?;
    // One by one: a copy of all would fail for a name that can't be sent on.
    for pair in sent.entries() {
        let pair: js_sys::Array = pair?.dyn_into()?;
        if let (Some(name), Some(value)) = (pair.get(0).as_string(), pair.get(1).as_string())
            && !headers::is_stripped(&name)
        {
            onward.append(&name, &value)?;
        }
    }
    if sent.get("upgrade")?.is_some_and(|to| !headers::upgrades(&to)) {
        onward.delete("upgrade")?;
    }
    let mut values = Vec::with_capacity(headers::IDENTITY.len());
    headers::identity(passage, |value| values.push(value.to_string()));
    let decision = (headers::DECISION, headers::decision(passage));
    for (name, value) in headers::IDENTITY.into_iter().zip(values).chain([decision]).chain(headers::token(passage)) {
        onward.set(name, &value)?;
    }
    Ok(onward)
}
