//! The description of the API: an OpenAPI 3.1 document, made from the types and handlers themselves.
//!
//! Handlers are annotated where they stand, and say there what is special about them. What follows from an operation's
//! form is added here: [`problems`] what it can be refused with, [`shapes`] what is always there, [`words`] turns the
//! words of code into those of a reference.

mod forms;
mod page;
mod params;
mod problems;
mod sessions;
mod shapes;
mod words;

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use keyward_api::{
    Problem,
    decisions::Verdict,
    lists::{KeyFilter, Order, Sort},
    oauth::OauthProblem,
    usage::Interval,
};
use serde_json::{Value, json};
use utoipa::OpenApi;

pub use forms::{ExportLine, Jwks, TokenExchange, TokenPresented};

use super::{audit, decisions, deployment, edge, events, keys, lifecycle, oauth, public, session, signing, tenants, usage};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Keyward",
        description = "API keys that are verified at the edge: issuing, changing and ending them, and what edges follow.\n\n\
            Times are RFC 3339 in UTC. Requests with members or parameters that aren't known are refused; answers may get new \
            members. Every error is a problem (RFC 9457) with a stable `code`. Every answer names its request in `X-Request-Id`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "Keys", description = "API keys: made, read, changed, rotated and ended."),
        (name = "Many keys at once", description = "One action on up to 500 keys in a call."),
        (name = "Events", description = "What time alone does to keys."),
        (name = "Usage", description = "What keys are used for."),
        (name = "Decisions", description = "What edges decided lately, and what they would have by another policy."),
        (name = "Catalogue", description = "What keys can be given."),
        (name = "Tenants", description = "Who shares a deployment, each apart from the others."),
        (name = "Owners", description = "Whose keys they are."),
        (name = "Audit", description = "Who did what: a chain of records, and what proves it."),
        (name = "Signing keys", description = "What signs all this. For the operator of a deployment."),
        (name = "Deployment", description = "How it runs."),
        (name = "Sessions", description = "Signed in, in a browser."),
        (name = "OAuth", description = "Capability tokens for those who speak OAuth."),
        (name = "Edge", description = "What edges follow and report."),
        (name = "Published", description = "What anyone may verify with."),
        (name = "Health", description = "Whether it lives, and how it does."),
    ),
    paths(
        keys::post, keys::post_bulk_create, keys::get_all, keys::get, keys::get_policy, keys::patch, keys::post_validate, keys::get_capabilities, keys::get_scopes, keys::post_supersede,
        lifecycle::post_rotate, lifecycle::post_rotate_finish, lifecycle::post_rotate_cancel, lifecycle::post_renew, lifecycle::delete_revoke, lifecycle::post_suspend, lifecycle::post_resume, lifecycle::post_bulk_suspend, lifecycle::post_bulk_resume, lifecycle::post_bulk_revoke, lifecycle::post_bulk_reassign,
        events::get,
        usage::post, usage::get_of_key, usage::get_summary, usage::get_series,
        decisions::post, decisions::get_all, decisions::get, decisions::get_stream, decisions::post_replay,
        tenants::post, tenants::get_all, tenants::get, tenants::patch, tenants::get_owners, tenants::post_owner, tenants::get_owner, tenants::patch_owner, tenants::post_capability,
        audit::get, audit::get_checkpoints, audit::post_checkpoints, audit::get_export,
        signing::get_all, signing::post, signing::post_activate, signing::post_retire, signing::post_freeze, signing::get_proposal, signing::post_manifest,
        deployment::get_edges, deployment::get_settings,
        session::post, session::get, session::delete,
        oauth::post_token, oauth::post_introspect, oauth::post_revoke, oauth::get_metadata,
        edge::get_feed, edge::get_snapshot, edge::get_part, edge::get_policy, edge::get_issued, edge::get_manifest, edge::post_permits,
        public::get_jwks, public::get_manifest, public::get_root, public::get_status_list, public::get_healthz, public::get_readyz, public::get_metrics,
        get_document, get_page, get_style,
    ),
    // What parameters and problems alone refer to.
    components(schemas(Problem, OauthProblem, Sort, Order, Interval, Verdict, KeyFilter)),
)]
struct Description;

/// The document.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    // Of strings, numbers and maps: nothing in it can fail to be JSON.
    let mut document = serde_json::to_value(Description::openapi()).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "A raw key, `kwd_live_…`, or the same in `X-API-Key`. An operation names the capability that the key has to have.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-keyward",
            "description": "A session that was started with a key (`keyward` where the origin is reached without TLS). A request that \
                changes something has the session's `csrf` in `X-Keyward-CSRF`.",
        },
    });
    sessions::admit(&mut document);
    shapes::tidy(&mut document);
    words::tidy(&mut document);
    problems::describe(&mut document);
    document
});
static TEXT: LazyLock<String> = LazyLock::new(|| DOCUMENT.to_string());
/// The same for people.
static PAGE: LazyLock<String> = LazyLock::new(|| page::render(&DOCUMENT).into_string());

/// What the page may do: look as its style says.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Describes the API: this document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "describe", tag = "Published",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = Object))
)]
pub async fn get_document() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "public, max-age=60"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, TEXT.as_str()).into_response()
}

/// Describes the API for people: a page.
#[utoipa::path(
    get, path = "/docs", operation_id = "read", tag = "Published",
    responses((status = 200, description = "A page", content_type = "text/html", body = String))
)]
pub async fn get_page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=60"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ];
    (headers, PAGE.as_str()).into_response()
}

/// Says how that page looks.
#[utoipa::path(
    get, path = "/docs/style.css", operation_id = "style", tag = "Published",
    responses((status = 200, description = "A style sheet", content_type = "text/css", body = String))
)]
pub async fn get_style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=60")];
    (headers, include_str!("page.css")).into_response()
}
