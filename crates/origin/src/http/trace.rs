//! To which trace a request belongs: W3C Trace Context (Recommendation, 2021), section 3.2.
//!
//! The origin's log names the trace, so that one search finds a request in the logs of all systems that it went through.

use axum::http::HeaderMap;
use uuid::Uuid;

const TRACEPARENT: &str = "traceparent";
/// `00-{32 hex}-{16 hex}-{2 hex}`
const LEN: usize = 55;

/// The trace that a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace<'a> {
    /// 32 lower-case hexadecimal digits; `None`: the client named none that is sound.
    pub id: Option<&'a str>,
    /// The caller's own part of the trace, 16 digits.
    pub parent: Option<&'a str>,
}

impl<'a> Trace<'a> {
    const NONE: Trace<'static> = Trace { id: None, parent: None };

    /// What the one `traceparent` header says; one that isn't sound, or stands twice, is as none.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let mut all = headers.get_all(TRACEPARENT).iter();
        match (all.next(), all.next()) {
            (Some(value), None) => value.to_str().ok().and_then(Self::parse).unwrap_or(Self::NONE),
            _ => Self::NONE,
        }
    }

    fn parse(text: &'a str) -> Option<Self> {
        // Later versions may go on after a dash; `ff` is none.
        let (fixed, rest) = text.split_at_checked(LEN)?;
        let later = !fixed.starts_with("00-") && rest.starts_with('-');
        if fixed.starts_with("ff") || !(rest.is_empty() || later) {
            return None;
        }
        let mut fields = fixed.split('-');
        let mut field = |len: usize| fields.next().filter(|field| field.len() == len && is_lower_hex(field));
        let (_version, id, parent, _flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        let zero = |field: &str| field.bytes().all(|digit| digit == b'0');
        (!zero(id) && !zero(parent)).then_some(Self { id: Some(id), parent: Some(parent) })
    }
}

/// The trace of a request that came without one begins with it.
pub fn new_id(request: Uuid) -> String {
    request.simple().to_string()
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sound_traceparent_is_followed() {
        let sound = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = Trace::parse(sound).unwrap();
        assert_eq!((trace.id, trace.parent), (Some("4bf92f3577b34da6a3ce929d0e0e4736"), Some("00f067aa0ba902b7")));
        assert!(Trace::parse(&sound.replacen("00", "cc", 1)).is_some());
        assert!(Trace::parse(&format!("{}-what-comes", sound.replacen("00", "cc", 1))).is_some());
        for broken in [
            "",
            "00",
            &sound[..54],
            &format!("{sound}-more"),
            &format!("{sound}0"),
            &sound.to_uppercase(),
            &sound.replacen("00", "ff", 1),
            &sound.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &sound.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &sound.replace("-00f", "_00f"),
            &sound.replace("4bf", "4bä"),
        ] {
            assert_eq!(Trace::parse(broken), None, "{broken}");
        }
    }
}
