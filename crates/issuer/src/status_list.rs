use keyward_core::{Amendment, AmendmentPage, StatusList, StatusListBody, StatusListClaims, codec::base64url};
use miniz_oxide::deflate::compress_to_vec_zlib;

/// The highest level: a list is compressed once and read by many.
const LEVEL: u8 = 9;

/// A list as it stands in a token: zlib, base64url (draft-ietf-oauth-status-list section 4.1).
pub fn encode_status_list(list: &StatusList) -> StatusListBody {
    StatusListBody { bits: list.bits(), lst: base64url(&compress_to_vec_zlib(list.as_bytes(), LEVEL)) }
}

/// The URI of a shard's list, by which tokens refer to it.
pub fn status_list_uri(issuer: &str, shard: u32) -> String {
    format!("{issuer}/status-lists/{shard}")
}

/// The payload of a shard's status list token.
pub fn status_list_claims(issuer: &str, shard: u32, list: &StatusList, iat: u64, ttl: Option<u64>) -> StatusListClaims {
    StatusListClaims { sub: status_list_uri(issuer, shard), iat, exp: None, ttl, status_list: encode_status_list(list) }
}

/// The text of a page of amendments, which have to be ascending by index.
pub fn amendment_page(amendments: Vec<Amendment>) -> String {
    // Numbers only: serialisation can't fail.
    serde_json::to_string(&AmendmentPage { amendments }).unwrap_or_default()
}
