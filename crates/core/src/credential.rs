//! Where the credential stands in a request: `Authorization: Bearer` (RFC 6750 section 2.1) or `X-API-Key`. Never in
//! the URL, which logs and referrers keep.

use crate::Reason;

/// The one credential of a request, from the values of its two headers; `None` where it has neither header. A header that was
/// sent twice may come as two values or as one with commas; no credential has a comma.
///
/// The same credential twice is one.
///
/// # Errors
/// [`Reason::CredentialsConflict`] where there are two different ones, whatever their kind: the service might look at the other one.
/// [`Reason::CredentialMissing`] where there is none of ours: one of another scheme alone, or an empty one.
pub fn find_credential<'a>(
    authorization: impl IntoIterator<Item = &'a str>,
    api_key: impl IntoIterator<Item = &'a str>,
) -> Result<Option<&'a str>, Reason> {
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
        Some("") => Err(Reason::CredentialMissing),
        None if foreign => Err(Reason::CredentialMissing),
        found => Ok(found),
    }
}

/// The credential of the scheme Bearer; schemes are compared without case (RFC 9110 section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let value = value.trim();
    let (scheme, credential) = value.split_once(' ').unwrap_or((value, ""));
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
            (&["Bearer k1"][..], &[][..], Ok(Some("k1"))),
            (&["bearer   k1"], &[], Ok(Some("k1"))),
            (&[], &["k1"], Ok(Some("k1"))),
            (&["Bearer k1"], &["k1"], Ok(Some("k1"))),
            (&["Bearer k1, Bearer k1"], &[], Ok(Some("k1"))),
            (&["Bearer k1", "Bearer k1"], &["k1", "k1"], Ok(Some("k1"))),
            (&[], &["k1, k1"], Ok(Some("k1"))),
            (&[], &[], Ok(None)),
            (&[""], &[], missing),
            (&["Bearer"], &[], missing),
            (&["Bearer "], &[], missing),
            (&[], &[""], missing),
            (&["Bearer"], &[""], missing),
            (&["Basic dTpw"], &[], missing),
            (&["Bearer k1"], &["k2"], conflict),
            (&["Bearer k1"], &[""], conflict),
            (&["Bearer k1, Bearer k2"], &[], conflict),
            (&["Bearer k1", "Bearer k2"], &[], conflict),
            (&[], &["k1,k2"], conflict),
            (&["Basic dTpw"], &["k1"], conflict),
            (&["Basic dTpw, Bearer k1"], &[], conflict),
            (&["k1"], &["k1"], conflict),
        ] {
            let found = find_credential(authorization.iter().copied(), api_key.iter().copied());
            assert_eq!(found, expected, "{authorization:?} {api_key:?}");
        }
    }
}
