//! The one place that makes a refusal into a response.

use crate::{denial::Denial, limits::fields::Field};
use keyward_api::{Code, MEDIA_TYPE, Problem, challenge, limits::LimitKind};
use keyward_core::{Class, Reason};
use serde::Serialize;

/// A response of the edge's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<Field>,
    /// The body.
    pub body: String,
}

#[cfg(target_arch = "wasm32")]
impl Answer {
    /// As the runtime sends it.
    pub(crate) fn into_response(self) -> Result<worker::web_sys::Response, worker::wasm_bindgen::JsValue> {
        let init = worker::web_sys::ResponseInit::new();
        init.set_status(self.status);
        let response = worker::web_sys::Response::new_with_opt_str_and_init(Some(&self.body), &init)?;
        for (name, value) in self.headers {
            response.headers().set(name, &value)?;
        }
        Ok(response)
    }
}

/// The response to a request that is denied. Of a limit's, what it tells of the limit is still to be added
/// ([`crate::limits::fields`]).
pub fn denied(denial: Denial) -> Answer {
    match denial {
        Denial::Reason(reason) => refusal(reason),
        Denial::Limit(kind) => limited(kind),
    }
}

fn limited(kind: LimitKind) -> Answer {
    let code = kind.code();
    answer(&Problem {
        kind: ["urn:keyward:problem:", code].concat(),
        title: "A limit of the key is reached".to_owned(),
        status: 429,
        code: code.to_owned(),
        detail: None,
        errors: Vec::new(),
    })
}

/// The response to a refused request. Whoever has not proved to hold a genuine key gets the same bytes for every
/// reason ([`Reason::proved`]).
pub fn refusal(reason: Reason) -> Answer {
    let mut answer = problem(Code::from(reason));
    answer.headers.extend(challenge(reason).map(|challenge| ("www-authenticate", challenge.into())));
    if reason.class() == Class::Unavailable {
        answer.headers.push(("retry-after", "1".into()));
    }
    answer
}

/// The response to what isn't about a credential.
pub fn problem(code: Code) -> Answer {
    answer(&Problem::new(code))
}

fn answer(problem: &Problem) -> Answer {
    Answer {
        status: problem.status,
        headers: vec![("content-type", MEDIA_TYPE.into()), ("cache-control", "no-store".into())],
        body: serde_json::to_string(problem).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_signature_holds_all_refusals_are_the_same() {
        let junk = refusal(Reason::Malformed);
        assert!(junk.body.contains("\"code\":\"invalid_token\""));
        for reason in Reason::ALL.into_iter().filter(|reason| !reason.proved()) {
            assert_eq!(refusal(reason), junk, "{reason}");
        }
    }

    #[test]
    fn each_class_has_its_status_and_headers() {
        for (reason, status, header) in [
            (Reason::CredentialsConflict, 400, None),
            (Reason::Revoked, 401, Some(("www-authenticate", r#"Bearer realm="keyward", error="invalid_token""#))),
            (Reason::CapabilityMissing, 403, Some(("www-authenticate", r#"Bearer realm="keyward", error="insufficient_scope""#))),
            (Reason::NoRoute, 403, None),
            (Reason::StateStale, 503, Some(("retry-after", "1"))),
        ] {
            let answer = refusal(reason);
            assert_eq!(answer.status, status);
            assert_eq!(answer.headers.get(2).map(|(name, value)| (*name, value.as_ref())), header);
            assert!(answer.body.contains(&format!("\"code\":\"{reason}\"")));
        }
    }
}
