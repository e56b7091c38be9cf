//! Where a page of a list ends, as its reader carries it to the next one.

use keyward_api::lists::{Order, Sort};
use keyward_core::codec::{base64url, decode_base64url};
use serde::{Deserialize, Serialize};
use sqlx::types::Uuid;

use crate::error::{Error, Result};

/// Characters of a cursor: a name of 128 characters, escaped, and the rest.
const MAX_LEN: usize = 2048;

/// A place in a list: after this key, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    sort: Sort,
    order: Order,
    pub id: Uuid,
    /// The key's name, in a list by names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The key's expiry in unix seconds, in a list by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends: Option<i64>,
}

impl Cursor {
    /// The place of a key.
    pub fn new(sort: Sort, order: Order, id: Uuid, name: &str, ends: i64) -> Self {
        let (name, ends) = match sort {
            Sort::Created => (None, None),
            Sort::Name => (Some(name.to_owned()), None),
            Sort::Expires => (None, Some(ends)),
        };
        Self { sort, order, id, name, ends }
    }

    /// As it was given out, for a list in this order.
    ///
    /// # Errors
    /// `validation_failed` for another list's, and for what never was one.
    pub fn parse(text: &str, sort: Sort, order: Order) -> Result<Self> {
        let bytes = if text.len() <= MAX_LEN { decode_base64url(text) } else { None };
        let cursor = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        cursor
            .filter(|cursor| (cursor.sort, cursor.order) == (sort, order))
            .filter(|cursor| cursor.name.is_some() == (sort == Sort::Name) && cursor.ends.is_some() == (sort == Sort::Expires))
            // The database holds no such name, and takes no such question.
            .filter(|cursor| !cursor.name().contains('\0'))
            .ok_or_else(|| Error::field("cursor", "one that an answer to the same query gave"))
    }

    /// To be given out.
    pub fn text(&self) -> String {
        // Of strings and numbers alone: it can't fail.
        base64url(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// The key's name, in a list by names.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The key's expiry in unix seconds, in a list by them.
    pub fn ends(&self) -> i64 {
        self.ends.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_one_order_and_nothing_else_is_one() {
        let cursor = Cursor::new(Sort::Name, Order::Asc, Uuid::max(), &"\u{10FFFF}".repeat(128), 5);
        let text = cursor.text();
        assert_eq!(Cursor::parse(&text, Sort::Name, Order::Asc).unwrap(), cursor);
        assert!(Cursor::parse(&text, Sort::Name, Order::Desc).is_err());
        assert!(Cursor::parse(&text, Sort::Created, Order::Asc).is_err());
        let mixed = base64url(br#"{"sort":"name","order":"asc","id":"01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11","ends":3}"#);
        let nul = base64url(br#"{"sort":"name","order":"asc","id":"01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11","name":"\u0000"}"#);
        for wrong in ["", "x", &mixed, &nul, &format!("{text}="), &text.repeat(9)] {
            assert!(Cursor::parse(wrong, Sort::Name, Order::Asc).is_err(), "{wrong}");
        }
    }
}
