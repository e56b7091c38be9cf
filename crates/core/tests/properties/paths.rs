//! Paths: one form, however they were encoded.

use crate::{strategies, tries};
use keyward_core::{EndpointPattern, NormalPath};
use proptest::{collection::vec, prelude::*};

/// What a reader of percent-encoding makes of a text.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            decoded.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            decoded.push(byte);
        }
    }
    decoded
}

/// What a segment can have in it, decoded; some characters more often, for they are the ones with which paths are forged.
fn character() -> impl Strategy<Value = u8> {
    prop_oneof![Just(b'a'), Just(b'.'), Just(b'%'), Just(b':'), Just(b'*'), Just(b'2'), Just(b'e'), Just(0xc3u8), 0x20..0x7fu8]
        .prop_filter("separators have no encoding", |byte| !b"/\\;".contains(byte))
}

/// A character in one of its spellings.
fn spelled(byte: u8, how: u8) -> String {
    let plain = byte.is_ascii_alphanumeric() || b"-._~:@!$&'()*+,=".contains(&byte);
    match how % 3 {
        0 if plain => char::from(byte).to_string(),
        1 => format!("%{byte:02x}"),
        _ => format!("%{byte:02X}"),
    }
}

type Spelled = Vec<Vec<(u8, u8, u8)>>;

/// Segments of characters, each with two spellings.
fn segments() -> impl Strategy<Value = Spelled> {
    vec(vec((character(), any::<u8>(), any::<u8>()), 1..6), 1..4)
}

fn written(segments: &Spelled, second: bool) -> String {
    let segment = |segment: &Vec<(u8, u8, u8)>| -> String {
        segment.iter().map(|(byte, one, two)| spelled(*byte, if second { *two } else { *one })).collect()
    };
    segments.iter().map(|characters| format!("/{}", segment(characters))).collect()
}

/// Texts that look like paths, good and bad.
fn rough() -> impl Strategy<Value = String> {
    "/?((%[0-9a-fA-F]{2}|%25|%2e|[a-z0-9.:*%/;\\\\ ]){0,4}/?){0,4}"
}

proptest! {
    #![proptest_config(tries(4000))]

    #[test]
    fn the_normal_form_is_its_own_and_means_the_same(raw in rough()) {
        if let Ok(path) = NormalPath::parse(&raw) {
            prop_assert_eq!(NormalPath::parse(path.as_str()), Ok(path.clone()));
            prop_assert_eq!(decoded(path.as_str()), decoded(&raw));
        }
    }

    #[test]
    fn a_path_that_is_taken_has_one_reading_left(raw in rough()) {
        if let Ok(path) = NormalPath::parse(&raw) {
            // However often an upstream decodes, and wherever it splits: no dots, no separators, nothing empty.
            let once = decoded(path.as_str());
            let text = String::from_utf8_lossy(&once);
            prop_assert!(!text.contains(['\\', ';', '\0']) && !text.contains("//"));
            prop_assert!(text.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert_eq!(path.segments().count(), text.split('/').filter(|segment| !segment.is_empty()).count());
            let twice = text.as_bytes().windows(3).any(|three| three[0] == b'%' && three[1..].iter().all(u8::is_ascii_hexdigit));
            prop_assert!(!twice, "{} can be decoded again", text);
        }
    }

    #[test]
    fn two_spellings_are_one_path_or_none(segments in segments(), patterns in vec(strategies::pattern(), 1..4)) {
        let (one, two) = (NormalPath::parse(&written(&segments, false)), NormalPath::parse(&written(&segments, true)));
        prop_assert_eq!(&one, &two);
        if let (Ok(one), Ok(two)) = (one, two) {
            for pattern in patterns {
                prop_assert_eq!(pattern.matches("GET", &one), pattern.matches("GET", &two));
            }
            let itself = EndpointPattern::parse(&written(&segments, false));
            if let Ok(itself) = itself && !one.as_str().contains('*') {
                prop_assert!(itself.matches("GET", &two), "a path as its own pattern");
            }
        }
    }

    #[test]
    fn a_pattern_matches_all_that_what_it_covers_matches(own in strategies::pattern(), other in strategies::pattern(), raw in "(/(a|b|c|:|%20)){0,5}/?", get: bool) {
        let Ok(path) = NormalPath::parse(&raw) else { return Ok(()) };
        let method = if get { "GET" } else { "PUT" };
        let both = own.matches(method, &path) && other.matches(method, &path);
        prop_assert!(!(own.covers(&other) && other.matches(method, &path)) || own.matches(method, &path));
        prop_assert!(!both || own.meets(&other) && other.meets(&own), "what both match, they meet in");
        prop_assert!(own.covers(&own) && own.meets(&own));
    }
}
