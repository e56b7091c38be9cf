//! `If-Match`: change a key only in the state that the caller has seen (RFC 9110 section 13.1.1).

use axum::http::{HeaderMap, header};
use keyward_api::Code;
use keyward_core::Timestamp;

use super::row::KeyRow;
use crate::error::{Error, Result};

/// Entity tags in one request, at most.
const MAX_TAGS: usize = 16;
/// Bytes of an entity tag of ours, at most.
const MAX_TAG: usize = 64;

/// In which states a key may be for a change to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IfMatch {
    /// In any: the header isn't there, or is `*`.
    #[default]
    Any,
    /// In one of these, each with its quotes.
    OneOf(Vec<String>),
}

impl IfMatch {
    /// What a request says.
    ///
    /// # Errors
    /// `validation_failed` where the header can't be read: passing over it would change what was not to be changed.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self> {
        let wrong = || Error::field("If-Match", format!("`*`, or at most {MAX_TAGS} entity tags as answers give them"));
        let mut tags = Vec::new();
        for line in headers.get_all(header::IF_MATCH) {
            // Ours have no comma in them, so that splitting at commas can only make tags that match nothing.
            for tag in line.to_str().map_err(|_| wrong())?.split(',').map(str::trim) {
                let quoted = tag.strip_prefix("W/").unwrap_or(tag);
                let fits = tag == "*" || quoted.len() >= 2 && quoted.len() <= MAX_TAG && quoted.starts_with('"') && quoted.ends_with('"');
                if !fits || tags.len() == MAX_TAGS {
                    return Err(wrong());
                }
                tags.push(tag.to_owned());
            }
        }
        if tags.is_empty() || tags == ["*"] { Ok(Self::Any) } else { Ok(Self::OneOf(tags)) }
    }

    /// Passes where the key, which is held, is in a state that is meant. (A weak tag matches nothing: section 8.8.3.2.)
    ///
    /// # Errors
    /// `precondition_failed`.
    pub fn check(&self, key: &KeyRow, now: Timestamp) -> Result<()> {
        match self {
            Self::Any => Ok(()),
            Self::OneOf(tags) if tags.contains(&key.etag(now)) => Ok(()),
            Self::OneOf(_) => Err(Error::from(Code::PreconditionFailed).detail(format!("It is {} now.", key.etag(now)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_star_or_quoted_tags_and_nothing_else() {
        let read = |text: &str| IfMatch::from_headers(&[(header::IF_MATCH, text.parse().unwrap())].into_iter().collect());
        assert_eq!(IfMatch::from_headers(&HeaderMap::new()).unwrap(), IfMatch::Any);
        assert_eq!(read("*").unwrap(), IfMatch::Any);
        assert_eq!(read(r#""1.2.active", W/"x""#).unwrap(), IfMatch::OneOf(vec![r#""1.2.active""#.into(), r#"W/"x""#.into()]));
        for wrong in ["", "1", "\"", "\"a", &format!("\"{}\"", "x".repeat(63)), &vec!["\"a\""; 17].join(",")] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
