//! Lists, a page at a time: how long one is, and where the next begins (a `Link` header, RFC 8288).

use std::fmt::Display;

use axum::{
    Json,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    error::{Error, Result},
    keys::list::{DEFAULT_PAGE, MAX_PAGE},
};

/// How many a page has, as a query asks for it.
///
/// # Errors
/// `validation_failed` for none and for too many.
pub fn page_size(limit: Option<u32>) -> Result<u32> {
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    if (1..=MAX_PAGE).contains(&limit) { Ok(limit) } else { Err(Error::field("limit", format!("1 to {MAX_PAGE}"))) }
}

/// At most `limit` of what was found. Where there was more, the last of them says where the next page begins.
pub fn cut<T: Serialize, C: Display>(uri: &Uri, mut found: Vec<T>, limit: u32, cursor: impl Fn(&T) -> C) -> Response {
    let more = shorten(&mut found, limit);
    let next = found.last().filter(|_| more).map(cursor);
    page(uri, found, ("cursor", next))
}

/// Leaves at most so many; whether there were more.
pub fn shorten<T>(found: &mut Vec<T>, limit: u32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    more
}

/// A page, with a link to the next where there is one: the same query with another value of that name.
pub fn page(uri: &Uri, body: impl Serialize, (name, next): (&str, Option<impl Display>)) -> Response {
    let mut response = Json(body).into_response();
    if let Some(link) = next.and_then(|cursor| link(uri, name, cursor)) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

fn link(uri: &Uri, name: &str, cursor: impl Display) -> Option<HeaderValue> {
    let others = uri.query().unwrap_or_default().split('&');
    let others = others.filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(name));
    let query: Vec<String> = others.map(str::to_owned).chain([format!("{name}={cursor}")]).collect();
    HeaderValue::from_str(&format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"))).ok()
}
