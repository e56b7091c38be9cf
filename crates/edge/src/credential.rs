//! Where the credential stands in a request: `Authorization: Bearer` (RFC 6750 section 2.1) or `X-API-Key`. Never in
//! the URL, which logs and referrers keep.

use keyward_core::Reason;

/// The one credential of a request, from the values of its two headers. A header that was sent twice arrives as one
/// value with commas; no key has a comma.
///
/// The same key twice is one credential. Two different ones are [`Reason::CredentialsConflict`], whatever their kind:
/// the upstream might look at the other one.
pub fn find(authorization: Option<&str>, api_key: Option<&str>) -> Result<String, Reason> {
    let mut found: Option<&str> = None;
    let mut foreign = false;
    let bearers = authorization.into_iter().flat_map(|value| value.split(',')).map(bearer);
    let keys = api_key.into_iter().flat_map(|value| value.split(',')).map(|key| Some(key.trim()));
    for credential in bearers.chain(keys) {
        match (credential, found) {
            (None, _) => foreign = true,
            (Some(credential), Some(first)) if credential != first => return Err(Reason::CredentialsConflict),
            (Some(credential), _) => found = Some(credential),
        }
    }
    match found {
        Some(_) if foreign => Err(Reason::CredentialsConflict),
        Some("") | None => Err(Reason::CredentialMissing),
        Some(credential) => Ok(credential.to_owned()),
    }
}

/// The credential of the scheme Bearer; schemes are compared without case (RFC 9110 section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, credential) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_credential_is_found_and_two_are_refused() {
        let missing = Err(Reason::CredentialMissing);
        let conflict = Err(Reason::CredentialsConflict);
        for (authorization, api_key, expected) in [
            (Some("Bearer k1"), None, Ok("k1")),
            (Some("bearer   k1"), None, Ok("k1")),
            (None, Some("k1"), Ok("k1")),
            (Some("Bearer k1"), Some("k1"), Ok("k1")),
            (Some("Bearer k1, Bearer k1"), None, Ok("k1")),
            (None, Some("k1, k1"), Ok("k1")),
            (None, None, missing),
            (Some("Bearer"), None, missing),
            (Some("Bearer "), None, missing),
            (None, Some(""), missing),
            (Some("Basic dTpw"), None, missing),
            (Some("Bearer k1"), Some("k2"), conflict),
            (Some("Bearer k1, Bearer k2"), None, conflict),
            (None, Some("k1,k2"), conflict),
            (Some("Basic dTpw"), Some("k1"), conflict),
            (Some("Basic dTpw, Bearer k1"), None, conflict),
            (Some("k1"), Some("k1"), conflict),
        ] {
            let found = find(authorization, api_key);
            assert_eq!(found.as_deref().map_err(|reason| *reason), expected, "{authorization:?} {api_key:?}");
        }
    }
}
