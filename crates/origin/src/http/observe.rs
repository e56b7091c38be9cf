//! What is noted of every request: its name, its trace, how it ended, and who was refused what.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use keyward_api::Code;
use tracing::{Instrument, Level, Span, enabled, info_span};
use uuid::Uuid;

use super::trace::{self, Trace};
use crate::{
    audit::Denial,
    auth::{Asked, Visit},
    error::Result,
    ids::new_id,
    state::App,
};

/// Names a request, in its answer as in the log and the audit trail.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Of every answer: no type is guessed, nothing is framed, loaded or referred from. A page says itself what it may do.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];
/// Where the world knows us by TLS: nothing without it, for a year.
const ALWAYS_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Routes that are called all the time: they are logged where one asks for it.
const FREQUENT: [&str; 3] = [super::VALIDATE, "/oauth/introspect", "/oauth/token"];

/// Names the request, counts and logs it, and notes who was refused what.
pub async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Result<Response> {
    let visit = Arc::new(Visit::new(new_id(app.clock.now())?.0));
    request.extensions_mut().insert(Arc::clone(&visit));
    let route = request.extensions().get::<MatchedPath>().map_or("(other)", MatchedPath::as_str).to_owned();
    let (parts, body) = request.into_parts();
    let observed = Observed::begin(&app, &visit, &Asked::new(&parts), route.into());
    let span = span(&visit, &parts.headers);
    let mut response = next.run(Request::from_parts(parts, body)).instrument(span.clone()).await;
    observed.end(&mut response, || span);
    Ok(response)
}

/// What the log says of all that is done for a request.
pub fn span(visit: &Visit, headers: &HeaderMap) -> Span {
    let traced = Trace::of(headers);
    let begun = traced.id.is_none().then(|| trace::new_id(visit.id));
    info_span!("request", id = %visit.id, trace = begun.as_deref().or(traced.id), parent = traced.parent)
}

/// A request that is being answered.
pub struct Observed<'a> {
    app: &'a App,
    visit: &'a Visit,
    began: Instant,
    method: &'static str,
    route: Cow<'static, str>,
    address: Option<IpAddr>,
    answerable: Option<IpAddr>,
}

impl<'a> Observed<'a> {
    /// Begins with a request.
    pub fn begin(app: &'a App, visit: &'a Visit, asked: &Asked<'_>, route: Cow<'static, str>) -> Self {
        let (address, answerable) = (asked.address(app), asked.answerable(app));
        Self { app, visit, began: Instant::now(), method: known(asked.method()), route, address, answerable }
    }

    /// Ends with its answer. The span is asked for where something is logged.
    pub fn end(self, response: &mut Response, span: impl FnOnce() -> Span) {
        let Self { app, visit, began, method, route, address, answerable } = self;
        let status = response.status().as_u16();
        let took = began.elapsed();
        mark(response.headers_mut(), visit, app);
        let code = response.extensions().get::<Code>().copied();
        let who = visit.actor();
        let frequent = matches!(method, "GET" | "HEAD") || FREQUENT.contains(&&*route);
        if status >= 500 || !frequent || enabled!(Level::DEBUG) {
            let _entered = span().entered();
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let key = who.map(|actor| tracing::field::display(actor.who.key));
            let tenant = who.map(|actor| tracing::field::display(actor.who.tenant));
            let (from, route) = (address.map(tracing::field::display), &*route);
            macro_rules! log {
                ($level:expr) => {
                    tracing::event!($level, method, route, status, micros, code = code.map(Code::as_str), tenant, key, from, "answered")
                };
            }
            if status >= 500 {
                log!(Level::WARN);
            } else if frequent {
                log!(Level::DEBUG);
            } else {
                log!(Level::INFO);
            }
        }
        if matches!(status, 401 | 403 | 429)
            && let Some(code) = code
        {
            match who {
                Some(actor) => {
                    app.audit.tally.deny(actor, Denial { code: code.as_str(), method, route: route.to_string() }, app.clock.now());
                }
                // Who that was is anybody's claim.
                None if status == 429 => drop(app.metrics.turned_away.inc()),
                None => {
                    app.metrics.unproved.inc();
                    if status == 401
                        && let Some(address) = answerable
                    {
                        app.failures.note(address, app.clock.now());
                    }
                }
            }
        }
        app.metrics.count(method, route, status, took);
    }
}

/// Names the request, and keeps a browser from making more of the answer than it is.
fn mark(headers: &mut HeaderMap, visit: &Visit, app: &App) {
    // Here and not in layers of their own: each layer costs every request some allocations.
    headers.reserve(SECURITY_HEADERS.len() + 2);
    if let Ok(id) = HeaderValue::from_str(visit.id.hyphenated().encode_lower(&mut Uuid::encode_buffer())) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(value);
    }
    if app.config.is_secure() {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(ALWAYS_TLS);
    }
}

/// Methods are the client's to invent; those that we serve are few.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "PUT" => "PUT",
        "OPTIONS" => "OPTIONS",
        _ => "(other)",
    }
}
