//! How the extractors of `http::extract` stand in the description: each is named in its handler's signature and
//! in its annotation alike.

use keyward_core::{KeyId, Kid, PolicyNumber};
use utoipa::{
    IntoParams, PartialSchema,
    openapi::{
        Object, RefOr, Required, Schema,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::Type,
    },
};

use crate::{
    http::extract::{DecisionPath, KeyPath, KidPath, OwnerPath, PolicyPath, Precondition},
    keys::idempotency::Idempotency,
};

macro_rules! params {
    ($($type:ident = $parameter:expr;)*) => {$(
        impl IntoParams for $type {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                vec![$parameter.build()]
            }
        }
    )*};
}

params! {
    KeyPath = path("id", "The id.", KeyId::schema());
    OwnerPath = path("id", "The owner's id; one that is no single segment of a path is written as `=` and its base64url.", text());
    DecisionPath = path("number", "The `id` of the decision.", u64::schema());
    PolicyPath = path("number", "The number of the policy.", PolicyNumber::schema());
    KidPath = path("kid", "The name of the signing key.", Kid::schema());
    Precondition = header("If-Match", "Only in the state with this `ETag`. Without it: in whatever state.", text());
    Idempotency = header(
        "Idempotency-Key",
        "Names the request: another one with the same name, path and body within 24 hours gets the same answer, raw key included.",
        Object::builder().schema_type(Type::String).min_length(Some(1)).max_length(Some(255)).pattern(Some("^[!-~]+$")).into()
    );
}

fn path(name: &str, what: &str, schema: RefOr<Schema>) -> ParameterBuilder {
    Parameter::builder().name(name).parameter_in(ParameterIn::Path).required(Required::True).description(Some(what)).schema(Some(schema))
}

fn header(name: &str, what: &str, schema: RefOr<Schema>) -> ParameterBuilder {
    Parameter::builder().name(name).parameter_in(ParameterIn::Header).required(Required::False).description(Some(what)).schema(Some(schema))
}

fn text() -> RefOr<Schema> {
    Object::with_type(Type::String).into()
}
