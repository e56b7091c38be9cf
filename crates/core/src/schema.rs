//! How the small types stand in JSON, for the origin's description of its API (feature `openapi`).
//!
//! By hand: each is one string or number, of a shape that its derive couldn't know.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Array, RefOr, Schema,
        schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type},
    },
};

use crate::{Amendment, Digest, KeyId, Kid, PolicyNumber, PublicKey, TenantId};

/// 32 bytes of base64url: the last digit has two bits to spare, which are zero.
const BASE64URL_32: &str = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$";

macro_rules! schemas {
    ($($name:ident: $what:literal => $schema:expr;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let schema: ObjectBuilder = $schema;
                schema.description(Some($what)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

schemas! {
    KeyId: "The id of a key, a UUIDv7: the same through all rotations." => uuid();
    TenantId: "The id of a tenant." => uuid();
    PolicyNumber: "The number of a policy." => number();
    Kid: "The name of a signing key: the RFC 7638 thumbprint." => text(BASE64URL_32);
    Digest: "A SHA-256 digest, base64url." => text(BASE64URL_32);
    PublicKey: "An Ed25519 public key, base64url." => text(BASE64URL_32);
}

impl PartialSchema for Amendment {
    fn schema() -> RefOr<Schema> {
        let what = "Index, policy number, and expiry in unix seconds (4294967295: none).";
        Array::builder().items(number()).min_items(Some(3)).max_items(Some(3)).description(Some(what)).into()
    }
}

impl ToSchema for Amendment {}

fn uuid() -> ObjectBuilder {
    Object::builder().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
}

fn text(pattern: &str) -> ObjectBuilder {
    Object::builder().schema_type(Type::String).pattern(Some(pattern))
}

fn number() -> ObjectBuilder {
    Object::builder().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(u32::MAX))
}
