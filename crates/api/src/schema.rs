//! How the types that read themselves stand in JSON, for the origin's description of its API (feature `openapi`).

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Array, RefOr, Schema,
        schema::{AdditionalProperties, Object, ObjectBuilder, OneOf, Type},
    },
};

use crate::keys::{Constraints, Limit, Restriction};

impl PartialSchema for Limit {
    fn schema() -> RefOr<Schema> {
        let number = Object::builder().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(MAX_LIMIT));
        let choice = OneOf::builder().item(number).item(word("unlimited"));
        choice.description(Some("A number (0 allows nothing), or `\"unlimited\"`.")).into()
    }
}

impl ToSchema for Limit {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Limit")
    }
}

impl PartialSchema for Restriction {
    fn schema() -> RefOr<Schema> {
        let list = Array::builder().items(Object::with_type(Type::String)).min_items(Some(1)).max_items(Some(MAX_LIST));
        let choice = OneOf::builder().item(word("any")).item(list);
        choice.description(Some("`\"any\"`, or a list that isn't empty.")).into()
    }
}

impl ToSchema for Restriction {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Restriction")
    }
}

impl PartialSchema for Constraints {
    fn schema() -> RefOr<Schema> {
        let any = AdditionalProperties::FreeForm(true);
        let named = Object::builder().schema_type(Type::Object).additional_properties(Some(any));
        let choice = OneOf::builder().item(word("none")).item(named);
        choice.description(Some("`\"none\"`, or named constraints.")).into()
    }
}

impl ToSchema for Constraints {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Constraints")
    }
}

/// The highest limit that can be named: what any JSON reader takes exactly.
const MAX_LIMIT: u64 = 1 << 53;
/// Entries of a list of restrictions.
const MAX_LIST: usize = keyward_core::bounds::MAX_POLICY_LIST;

fn word(word: &str) -> ObjectBuilder {
    Object::builder().schema_type(Type::String).enum_values(Some([word]))
}
