//! The pages for people: files that were bundled before.
//!
//! Each page has an address of its own, under which the one document is served; the script in it makes sense of the
//! address. Pages stand in a list, so that an address that leads nowhere says so.

use std::sync::Arc;

use axum::{
    Router,
    handler::HandlerWithoutStateExt,
    http::{HeaderValue, header},
    response::Response,
};
use keyward_api::Code;
use tower_http::{
    services::{ServeDir, ServeFile},
    set_header::SetResponseHeaderLayer,
};

use super::public::PAGE_HEADERS;
use crate::{error::Error, state::App};

/// The first segments of pages' addresses; `www/src/pages.ts` says what is there.
const PAGES: [&str; 11] =
    ["overview", "keys", "inspect", "tokens", "audit", "signing-keys", "catalogue", "tenants", "owners", "routes", "settings"];

/// Bundled files are named by a digest of their content, and so never change.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// All else is asked for anew each time.
const ASKED_ANEW: HeaderValue = HeaderValue::from_static("no-cache");

/// The pages, if there are any; else nothing is found.
pub fn pages(app: &Arc<App>) -> Router<Arc<App>> {
    let not_found = || async { Error::from(Code::NotFound) };
    let Some(dir) = &app.config.www else { return Router::new().fallback(not_found) };
    let files = ServeDir::new(dir).precompressed_gzip().fallback(not_found.into_service());
    let bundled = ServeDir::new(dir.join("assets")).precompressed_gzip().fallback(not_found.into_service());
    let for_ever = SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, |response: &Response| {
        response.status().is_success().then_some(FOR_EVER)
    });
    let mut pages = Router::new().nest("/assets", Router::new().fallback_service(bundled).layer(for_ever)).fallback_service(files);
    let document = ServeFile::new(dir.join("index.html")).precompressed_gzip();
    for page in PAGES {
        pages = pages.route_service(&format!("/{page}"), document.clone());
        pages = pages.route_service(&format!("/{page}/{{*rest}}"), document.clone());
    }
    pages = pages.layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, ASKED_ANEW));
    for (name, value) in PAGE_HEADERS {
        pages = pages.layer(SetResponseHeaderLayer::overriding(name, value));
    }
    pages
}
