//! What a request asks for, read from the URL's text. No URL parser comes near it: one would resolve and rewrite what
//! has to be looked at as it was sent.

use keyward_core::{NormalPath, Reason};
use std::net::IpAddr;

/// Bytes of a query that are passed on.
const MAX_QUERY_LEN: usize = 8 * 1024;
/// What the edge answers itself stands below this segment, and never reaches the upstream.
const OWN_SEGMENT: &str = ".keyward";

/// The target of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether the URL's scheme is `https`.
    pub https: bool,
    /// The path in the one form that is decided on and forwarded.
    pub path: NormalPath,
    /// The query with its question mark, or nothing; not interpreted. What the runtime would encode when it sends it
    /// on stands here encoded already, so that this is what the upstream gets.
    pub query: String,
}

impl Target {
    /// Reads the text of a request's URL. Refuses with [`Reason::PathRefused`].
    pub fn parse(url: &str) -> Result<Self, Reason> {
        let (scheme, rest) = url.split_once("://").ok_or(Reason::PathRefused)?;
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let rest = rest[at..].split('#').next().unwrap_or_default();
        let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let path = NormalPath::parse(if path.is_empty() { "/" } else { path }).map_err(|_| Reason::PathRefused)?;
        // What the runtime has put for bytes that are no UTF-8: what was sent can't be known, nor sent on.
        if query.len() > MAX_QUERY_LEN || query.contains('\u{fffd}') {
            return Err(Reason::PathRefused);
        }
        Ok(Self { https: scheme.eq_ignore_ascii_case("https"), path, query: encode_query(query) })
    }

    /// Whether the edge answers it itself.
    pub fn is_own(&self) -> bool {
        self.path.segments().next() == Some(OWN_SEGMENT)
    }
}

/// Percent-encodes what a URL's query can't hold (the special-query percent-encode set of the WHATWG URL standard).
fn encode_query(query: &str) -> String {
    let mut encoded = String::with_capacity(query.len());
    for byte in query.bytes() {
        match byte {
            b'"' | b'\'' | b'<' | b'>' | ..=b' ' | 0x7f.. => encoded.push_str(&format!("%{byte:02X}")),
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded
}

/// The caller's address, from the header that the deployment trusts. `None` where it isn't exactly one address.
pub fn address(header: Option<&str>) -> Option<IpAddr> {
    header?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_it_was_sent() {
        for (url, expected) in [
            ("http://h/a/b?x=/../y", Some(("/a/b", "?x=/../y"))),
            ("https://h:1/%61?", Some(("/a", "?"))),
            ("http://h", Some(("/", ""))),
            ("http://h?q", Some(("/", "?q"))),
            ("http://h/a#/../b?c", Some(("/a", ""))),
            ("http://h/a?b='c d'&é=%zz", Some(("/a", "?b=%27c%20d%27&%C3%A9=%zz"))),
            ("http://h/a?b=\u{fffd}", None),
            ("http://h/a%2fb", None),
            ("http://h/a/%2e%2e/b", None),
            ("http://h//a", None),
            ("http://h/a\\b", None),
            ("http://h/%2561", None),
            ("nonsense", None),
        ] {
            let target = Target::parse(url);
            let found = target.as_ref().ok().map(|target| (target.path.as_str(), target.query.as_str()));
            assert_eq!(found, expected, "{url}");
        }
        assert!(Target::parse("HTTPS://h/").unwrap().https);
    }

    #[test]
    fn own_paths_are_known_in_every_encoding() {
        for (path, own) in
            [("/.keyward/health", true), ("/%2Ekeyward/x", true), ("/.keyward", true), ("/.keywards", false), ("/a/.keyward", false)]
        {
            assert_eq!(Target::parse(&format!("http://h{path}")).unwrap().is_own(), own, "{path}");
        }
    }

    #[test]
    fn only_one_whole_address_counts() {
        assert_eq!(address(Some(" 192.0.2.1 ")), Some(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(address(Some("192.0.2.1, 192.0.2.2")), None);
        assert_eq!(address(None), None);
    }
}
