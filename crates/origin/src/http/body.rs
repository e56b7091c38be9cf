//! The body of a request: read within bounds and time, and taken for what it says.

use std::{future::poll_fn, pin::pin, sync::Arc, time::Duration};

use axum::{
    BoxError,
    body::{Bytes, HttpBody},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use keyward_api::{Code, FieldError};
use keyward_core::json::Object;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::extract::Recognised;
use crate::{
    error::{Error, Result},
    state::App,
};

/// Bytes of a body.
pub const MAX_BODY: usize = 64 * 1024;
/// How long a body may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// A JSON body of at most `MOST` bytes, every member of it known; with its bytes, for the digest of the request.
pub struct Body<T, const MOST: usize = MAX_BODY> {
    /// What it says.
    pub value: T,
    /// As it was sent.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned, const MOST: usize> FromRequest<Arc<App>> for Body<T, MOST> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let (mut read, mut waited) = (pin!(read_json(&parts.headers, body, MOST)), false);
        let read = poll_fn(|context| {
            let polled = read.as_mut().poll(context);
            waited |= polled.is_pending();
            polled
        })
        .await;
        // What came with the head, as nearly all do, is as new as the look at the caller.
        if waited && let Some(recognised) = parts.extensions.get::<Recognised>() {
            recognised.again(app, &parts).await?;
        }
        Self::parse(read?)
    }
}

impl<T: DeserializeOwned, const MOST: usize> Body<T, MOST> {
    /// That of a request.
    ///
    /// # Errors
    /// `unsupported_media_type`, `body_too_large`, `malformed_request`, `validation_failed`.
    pub async fn of(headers: &HeaderMap, body: impl HttpBody<Data = Bytes, Error: Into<BoxError>>) -> Result<Self> {
        Self::parse(read_json(headers, body, MOST).await?)
    }

    fn parse(bytes: Bytes) -> Result<Self> {
        Ok(Self { value: parse(&bytes)?, bytes })
    }
}

async fn read_json(headers: &HeaderMap, body: impl HttpBody<Data = Bytes, Error: Into<BoxError>>, most: usize) -> Result<Bytes> {
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        value.to_str().is_ok_and(|value| value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")))
    });
    if is_json { read_at_most(body, most).await } else { Err(Code::UnsupportedMediaType.into()) }
}

/// As [`Body`], where leaving it out means the default.
pub struct OptionalBody<T>(pub Body<T>);

impl<T: DeserializeOwned + Default> FromRequest<Arc<App>> for OptionalBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        // Many clients name a type also where there is nothing to type.
        if request.body().is_end_stream() {
            return Ok(Self(Body { value: T::default(), bytes: Bytes::new() }));
        }
        Body::from_request(request, app).await.map(Self)
    }
}

/// The bytes of a body, bounded.
///
/// # Errors
/// `body_too_large`; `malformed_request` where it breaks off.
pub async fn read(request: Request) -> Result<Bytes> {
    read_at_most(request.into_body(), MAX_BODY).await
}

async fn read_at_most(body: impl HttpBody<Data = Bytes, Error: Into<BoxError>>, most: usize) -> Result<Bytes> {
    let too_large = || Error::from(Code::BodyTooLarge).detail(format!("At most {most} bytes."));
    // What is declared to be longer isn't waited for.
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    match timeout(BODY_WITHIN, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Error::from(Code::MalformedRequest).detail("The body broke off.")),
        Err(_) => Err(Error::from(Code::RequestTimeout).detail(format!("It has {} seconds.", BODY_WITHIN.as_secs()))),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    // What is right needn't say where it is wrong, which costs as much again.
    if let Ok(Object(value)) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let inner = error.inner();
        if inner.is_data() {
            Error::invalid(vec![named(&error.path().to_string(), &message(inner))])
        } else {
            Error::from(Code::MalformedRequest).detail("The body is not JSON.")
        }
    })?;
    reader.end().map_err(|_| Error::from(Code::MalformedRequest).detail("There is something after the body's JSON."))?;
    Ok(value)
}

/// serde_json's words without the place, which says nothing beside the field's path, and without the names of Rust's
/// types, which say nothing to a client.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let plain = ["u8", "u16", "u32", "u64", "usize"].iter().find_map(|name| message.strip_suffix(&format!("expected {name}")));
    plain.map_or_else(|| message.to_owned(), |start| format!("{start}expected a whole number, not negative"))
}

/// The field that serde complains of. An unknown or missing one stands in the words and not in the path.
pub(super) fn named(path: &str, message: &str) -> FieldError {
    let quoted =
        ["unknown field `", "missing field `", "duplicate field `"].iter().find_map(|start| message.strip_prefix(start)?.split('`').next());
    // What a client sent may be long; our own names aren't.
    let field = quoted.map_or_else(|| if path == "." { String::new() } else { path.to_owned() }, str::to_owned);
    FieldError { field: field.chars().take(128).collect(), message: message.chars().take(512).collect() }
}
