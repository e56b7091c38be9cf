//! One strict way to read JSON, beside what serde gives: objects only where an object is meant, every member stated,
//! and none twice, however deep. Two readers of one signed text must never see two things in it.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::{fmt, marker::PhantomData};
use serde::{
    Deserialize, Deserializer,
    de::{self, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

/// Reads a text that is one object and nothing else.
pub(crate) fn read<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = object(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a text in which lists and objects are up to so many levels deep; serde_json by itself takes 127. Each level takes some of the
/// stack.
///
/// # Errors
/// For a text that is deeper, and what the type itself refuses.
pub fn read_within<'de, T: Deserialize<'de>>(text: &'de str, levels: usize) -> Result<T, serde_json::Error> {
    if depth(text) > levels {
        return Err(de::Error::custom(format_args!("more than {levels} levels deep")));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// How deep lists and objects are in a text. Where that isn't JSON, whatever a reader makes of it before it sees so is no deeper.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// A struct from an object (RFC 8259, section 4) alone: what serde derives takes a list of the members' values too.
///
/// ```
/// # use keyward_core::json::Object;
/// #[derive(serde::Deserialize)]
/// struct Pair { a: u8, b: u8 }
/// let Object(Pair { a, b }) = serde_json::from_str(r#"{"b":2,"a":1}"#).unwrap();
/// assert_eq!((a, b), (1, 2));
/// assert!(serde_json::from_str::<Pair>("[1,2]").is_ok());
/// assert!(serde_json::from_str::<Object<Pair>>("[1,2]").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Visitor(PhantomData)).map(Self)
    }
}

/// What [`Object`] holds, for a member.
///
/// # Errors
/// For anything but an object, and what the struct itself refuses.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(value)| value)
}

/// As [`object`], or `null`.
///
/// # Errors
/// As [`object`].
pub fn object_or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map(|Object(value)| value))
}

/// As [`object`], for a list of them.
///
/// # Errors
/// As [`object`], and for what is no list.
pub fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::deserialize(deserializer)?.into_iter().map(|Object(value)| value).collect())
}

/// An optional value that has to be stated: what serde derives takes a missing member for `null`, and a limit that was
/// left out must not mean "unlimited".
pub(crate) fn stated<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// An object of any members, none of them twice, nor twice in anything within it (RFC 8259, section 4): serde_json lets the last one
/// win, and another reader may take the first.
///
/// # Errors
/// For anything but an object, and where one repeats a member.
pub fn unique_members<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Value>, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = BTreeMap<String, Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object without repeated members")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = BTreeMap::new();
            while let Some((name, Unique(value))) = map.next_entry::<String, _>()? {
                if members.contains_key(&name) {
                    return Err(repeated(&name));
                }
                members.insert(name, value);
            }
            Ok(members)
        }
    }
    deserializer.deserialize_map(Visitor)
}

/// As [`unique_members`], or `null`.
///
/// # Errors
/// As [`unique_members`].
pub fn unique_members_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeMap<String, Value>>, D::Error> {
    struct Given(BTreeMap<String, Value>);
    impl<'de> Deserialize<'de> for Given {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            unique_members(deserializer).map(Self)
        }
    }
    Ok(Option::deserialize(deserializer)?.map(|Given(members)| members))
}

/// In the words in which serde says it of a struct.
fn repeated<E: de::Error>(name: &str) -> E {
    E::custom(format_args!("duplicate field `{name}`"))
}

/// A value in which no object has a member twice. serde_json bounds its depth.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON without repeated members")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut values = Vec::new();
                while let Some(Unique(value)) = list.next_element()? {
                    values.push(value);
                }
                Ok(values.into())
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut members = Map::new();
                while let Some((name, Unique(value))) = map.next_entry::<String, _>()? {
                    if members.contains_key(&name) {
                        return Err(repeated(&name));
                    }
                    members.insert(name, value);
                }
                Ok(members.into())
            }
        }
        deserializer.deserialize_any(Visitor).map(Self)
    }
}
