//! From a request to typed arguments, everything checked before a handler sees it.

use std::{marker::PhantomData, str::FromStr, sync::Arc};

use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, Path},
    http::{Uri, request::Parts},
};
use keyward_api::Code;
use keyward_core::{Capability, KeyId, Kid, PolicyNumber, Timestamp, codec::decode_base64url};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::body::named;
pub use super::body::{Body, OptionalBody};
use crate::{
    auth::{Asked, Caller, Freshness, Witness, authenticate},
    error::{Error, Result},
    keys::precondition::IfMatch,
    state::App,
};

/// What a handler asks of its caller: a capability, as a type, so that it stands in the handler's signature.
pub trait Needs {
    /// `resource:name`.
    const CAPABILITY: &'static str;
    /// On how new a status the caller is decided upon.
    const FRESHNESS: Freshness = Freshness::Committed;
}

macro_rules! needs {
    ($($(#[$meta:meta])* $name:ident = $capability:literal;)*) => {$(
        $(#[$meta])*
        pub struct $name;
        impl Needs for $name {
            const CAPABILITY: &'static str = $capability;
        }
    )*};
}

needs! {
    /// To see keys.
    Read = "keys:read";
    /// To create keys.
    Create = "keys:create";
    /// To change, suspend and resume keys.
    Update = "keys:update";
    /// To rotate keys.
    Rotate = "keys:rotate";
    /// To revoke keys.
    Revoke = "keys:revoke";
    /// To read the audit trail.
    Audit = "audit:read";
    /// To see tenants.
    SeeTenants = "tenants:read";
    /// To make tenants.
    CreateTenants = "tenants:create";
    /// To change tenants.
    UpdateTenants = "tenants:update";
    /// To manage owners.
    Owners = "tenants:owners";
    /// To add to the catalogue.
    Catalogue = "tenants:catalog";
    /// To see signing keys.
    SeeSigning = "signing:read";
    /// To create, activate and retire signing keys.
    RotateSigning = "signing:rotate";
    /// To freeze signing keys.
    FreezeSigning = "signing:freeze";
    /// To publish manifests that were signed elsewhere.
    PublishManifests = "signing:publish";
    /// To follow the feed.
    Follow = "edge:sync";
}

/// To validate keys and tokens: nothing is changed, and there may be many a second.
pub struct Validate;

impl Needs for Validate {
    const CAPABILITY: &'static str = "keys:validate";
    const FRESHNESS: Freshness = Freshness::Followed;
}

/// A caller that has the capability.
pub struct Authorized<N: Needs> {
    /// Who calls.
    pub caller: Caller,
    needs: PhantomData<N>,
}

impl<N: Needs + Send + Sync> FromRequestParts<Arc<App>> for Authorized<N> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let authorized = Self::of(app, &Asked::new(parts)).await?;
        if N::FRESHNESS == Freshness::Committed {
            parts.extensions.insert(Recognised { capability: capability::<N>()?, on: authorized.caller.witness() });
        }
        Ok(authorized)
    }
}

/// How a caller was recognised by the head of a request, of which the body may come later.
#[derive(Clone)]
pub(super) struct Recognised {
    capability: Capability,
    on: Witness,
}

impl Recognised {
    /// Passes where that is still so: else who holds back a body's end could act after it was revoked.
    pub(super) async fn again(&self, app: &App, parts: &Parts) -> Result<()> {
        let caller = authenticate(app, &Asked::new(parts), &self.capability, Freshness::Committed).await?;
        if self.on.holds(&caller.witness()) {
            return Ok(());
        }
        Err(Error::from(Code::RequestTimeout).detail("Its caller's key has changed while it came."))
    }
}

impl<N: Needs> Authorized<N> {
    /// The caller of a request.
    ///
    /// # Errors
    /// As [`authenticate`].
    pub async fn of(app: &App, asked: &Asked<'_>) -> Result<Self> {
        Ok(Self { caller: authenticate(app, asked, &capability::<N>()?, N::FRESHNESS).await?, needs: PhantomData })
    }
}

/// A caller that had the capability a moment ago, for who can have the database look whether it still is so while it does what is asked
/// for. Nothing else may be done on its word, and nobody be told that they may not.
pub struct Presumed<N: Needs> {
    /// Who calls, probably.
    pub caller: Caller,
    parts: Parts,
    needs: PhantomData<N>,
}

impl<N: Needs + Send + Sync> FromRequestParts<Arc<App>> for Presumed<N> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let asked = Asked::new(parts);
        let caller = match authenticate(app, &asked, &capability::<N>()?, Freshness::Presumed).await {
            // Memory may be of before it was resumed, or given more.
            Err(error) if matches!(error.code(), Code::Refused(reason) if reason.proved()) => {
                authenticate(app, &asked, &capability::<N>()?, Freshness::Committed).await?
            }
            presumed => presumed?,
        };
        Ok(Self { caller, parts: parts.clone(), needs: PhantomData })
    }
}

impl<N: Needs> Presumed<N> {
    /// The caller, on the row as it is committed now.
    ///
    /// # Errors
    /// As [`authenticate`].
    pub async fn confirm(&self, app: &App) -> Result<Caller> {
        authenticate(app, &Asked::new(&self.parts), &capability::<N>()?, Freshness::Committed).await
    }
}

fn capability<N: Needs>() -> Result<Capability> {
    Capability::parse(N::CAPABILITY).map_err(Error::internal)
}

/// The query, every member of it known.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::of(&parts.uri)
    }
}

impl<T: DeserializeOwned> Query<T> {
    /// That of a request.
    ///
    /// # Errors
    /// `validation_failed`.
    pub fn of(uri: &Uri) -> Result<Self> {
        match axum::extract::Query::<T>::try_from_uri(uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = std::error::Error::source(&rejection).map_or_else(|| rejection.to_string(), ToString::to_string);
                // It begins with the parameter.
                let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                let (name, message) = text.split_once(": ").filter(|(name, _)| is_name(name)).unwrap_or(("query", &text));
                Err(Error::invalid(vec![named(name, message)]))
            }
        }
    }
}

/// A moment in a query: RFC 3339.
#[derive(Clone, Copy, Debug)]
pub struct Moment(Timestamp);

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        moment.0
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment = OffsetDateTime::parse(&text, &Rfc3339).ok();
        let millis = moment.and_then(|moment| u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok());
        millis.map(|millis| Self(Timestamp::from_millis(millis))).ok_or_else(|| de::Error::custom("a time is 2026-01-31T12:00:00Z"))
    }
}

/// The id in the path. One that is no UUID is the id of nothing.
pub struct KeyPath(pub KeyId);

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Path(text) = parts.extract::<Path<String>>().await.map_err(|_| Code::NotFound)?;
        // One spelling: hyphenated, lower case.
        let id: uuid::Uuid = text.parse().map_err(|_| Code::NotFound)?;
        if id.to_string() == text { Ok(Self(KeyId(id))) } else { Err(Code::NotFound.into()) }
    }
}

/// The owner's id in the path. It may be any text, and a path may not (decision 0007): one that doesn't fit is written as
/// `=` and its base64url.
pub struct OwnerPath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for OwnerPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Path(id) = parts.extract::<Path<String>>().await.map_err(|_| Code::NotFound)?;
        let id = match id.strip_prefix('=') {
            Some(encoded) => decode_base64url(encoded).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(Code::NotFound)?,
            None => id,
        };
        // The database holds no such text, and takes no such question.
        if id.contains('\0') { Err(Code::NotFound.into()) } else { Ok(Self(id)) }
    }
}

/// In which states a key may be for a change to go on.
pub struct Precondition(pub IfMatch);

impl<S: Send + Sync> FromRequestParts<S> for Precondition {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        IfMatch::from_headers(&parts.headers).map(Self)
    }
}

/// The name of a signing key in the path. One that has another shape is the name of nothing.
pub struct KidPath(pub Kid);

impl<S: Send + Sync> FromRequestParts<S> for KidPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Path(text) = parts.extract::<Path<String>>().await.map_err(|_| Code::NotFound)?;
        Ok(Self(Kid::parse(&text).ok_or(Code::NotFound)?))
    }
}

/// The policy number in the path.
pub struct PolicyPath(pub PolicyNumber);

impl<S: Send + Sync> FromRequestParts<S> for PolicyPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(Self(PolicyNumber(number_in_path(parts).await?)))
    }
}

/// The number of a decision in the path.
pub struct DecisionPath(pub u64);

impl<S: Send + Sync> FromRequestParts<S> for DecisionPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(Self(number_in_path(parts).await?))
    }
}

/// A number in the path, in its one spelling; anything else is the number of nothing.
///
/// # Errors
/// `not_found`.
pub async fn number_in_path<N: FromStr + ToString>(parts: &mut Parts) -> Result<N> {
    let Path(text) = parts.extract::<Path<String>>().await.map_err(|_| Code::NotFound)?;
    let number: N = text.parse().map_err(|_| Code::NotFound)?;
    if number.to_string() == text { Ok(number) } else { Err(Code::NotFound.into()) }
}
