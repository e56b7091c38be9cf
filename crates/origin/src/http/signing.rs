//! `/api/v1/signing-keys` and `/api/v1/manifest`: the deployment's signing keys, for its operator.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use keyward_api::signing::{CreateSigningKey, Proposal, PublishManifest, SigningKeyTurned, SigningKeys, TurnSigningKey};
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{Authorized, Body, FreezeSigning, KidPath, OptionalBody, PublishManifests, Query, RotateSigning, SeeSigning};
use crate::{error::Result, signing, state::App};

/// For how long a manifest counts that is signed elsewhere, unless the proposal is asked for another time: days.
pub const DEFAULT_DAYS: u64 = 180;

/// The query of a proposal.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ProposalQuery {
    /// For how many days it is to count; 180 unless named.
    #[param(minimum = 1, maximum = 400)]
    days: Option<u64>,
}

/// Lists the signing keys and the manifest in force.
///
/// Takes a key of admin scope of the operator's tenant.
#[utoipa::path(
    get, path = "/api/v1/signing-keys", operation_id = "listSigningKeys", tag = "Signing keys",
    security(("key" = ["signing:read"])),
    responses((status = 200, description = "All of them", body = SigningKeys))
)]
pub async fn get_all(State(app): State<Arc<App>>, Authorized { caller, .. }: Authorized<SeeSigning>) -> Result<Json<SigningKeys>> {
    Ok(Json(signing::list(&app, &caller).await?))
}

/// Makes the next signing key of a role.
///
/// Takes a key of admin scope of the operator's tenant.
#[utoipa::path(
    post, path = "/api/v1/signing-keys", operation_id = "createSigningKey", tag = "Signing keys",
    security(("key" = ["signing:rotate"])),
    request_body = CreateSigningKey,
    responses(
        (status = 201, description = "The next key", body = SigningKeyTurned),
        (status = "default", description = "already_exists"),
    )
)]
pub async fn post(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<RotateSigning>,
    body: Body<CreateSigningKey>,
) -> Result<(StatusCode, Json<SigningKeyTurned>)> {
    Ok((StatusCode::CREATED, Json(signing::create(&app, &caller, body.value).await?)))
}

/// Begins to sign with a signing key that was made before.
///
/// Takes a key of admin scope of the operator's tenant.
#[utoipa::path(
    post, path = "/api/v1/signing-keys/{kid}/activate", operation_id = "activateSigningKey", tag = "Signing keys",
    security(("key" = ["signing:rotate"])),
    params(KidPath),
    request_body = Option<TurnSigningKey>,
    responses(
        (status = 200, description = "It signs", body = SigningKeyTurned),
        (status = "default", description = "signing_key_state, signing_key_unseen, signing_key_in_use"),
    )
)]
pub async fn post_activate(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<RotateSigning>,
    KidPath(kid): KidPath,
    OptionalBody(body): OptionalBody<TurnSigningKey>,
) -> Result<Json<SigningKeyTurned>> {
    Ok(Json(signing::activate(&app, &caller, kid, body.value).await?))
}

/// Retires a signing key: what it signed counts no more.
///
/// Takes a key of admin scope of the operator's tenant.
#[utoipa::path(
    post, path = "/api/v1/signing-keys/{kid}/retire", operation_id = "retireSigningKey", tag = "Signing keys",
    security(("key" = ["signing:rotate"])),
    params(KidPath),
    request_body = Option<TurnSigningKey>,
    responses(
        (status = 200, description = "It is retired", body = SigningKeyTurned),
        (status = "default", description = "signing_key_state, signing_key_in_use"),
    )
)]
pub async fn post_retire(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<RotateSigning>,
    KidPath(kid): KidPath,
    OptionalBody(body): OptionalBody<TurnSigningKey>,
) -> Result<Json<SigningKeyTurned>> {
    Ok(Json(signing::retire(&app, &caller, kid, body.value).await?))
}

/// Freezes a signing key that somebody else may have.
///
/// API keys by it go on where they are known to have been issued; nothing else by it counts.
///
/// Takes a key of admin scope of the operator's tenant.
#[utoipa::path(
    post, path = "/api/v1/signing-keys/{kid}/freeze", operation_id = "freezeSigningKey", tag = "Signing keys",
    security(("key" = ["signing:freeze"])),
    params(KidPath),
    request_body = Option<TurnSigningKey>,
    responses(
        (status = 200, description = "It is frozen", body = SigningKeyTurned),
        (status = "default", description = "signing_key_state, signing_key_in_use"),
    )
)]
pub async fn post_freeze(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<FreezeSigning>,
    KidPath(kid): KidPath,
    OptionalBody(body): OptionalBody<TurnSigningKey>,
) -> Result<Json<SigningKeyTurned>> {
    Ok(Json(signing::freeze(&app, &caller, kid, body.value).await?))
}

/// Says what the next manifest would be: what `keyward root sign` reads.
///
/// Takes a key of admin scope of the operator's tenant.
#[utoipa::path(
    get, path = "/api/v1/manifest/proposal", operation_id = "proposeManifest", tag = "Signing keys",
    security(("key" = ["signing:read"])),
    params(ProposalQuery),
    responses((status = 200, description = "The manifest in force and the next one", body = Proposal))
)]
pub async fn get_proposal(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<SeeSigning>,
    Query(query): Query<ProposalQuery>,
) -> Result<Json<Proposal>> {
    Ok(Json(signing::proposal(&app, &caller, query.days.unwrap_or(DEFAULT_DAYS)).await?))
}

/// Puts a manifest in force: what `keyward root sign` has written.
///
/// Takes a key of admin scope of the operator's tenant.
#[utoipa::path(
    post, path = "/api/v1/manifest", operation_id = "publishManifest", tag = "Signing keys",
    security(("key" = ["signing:publish"])),
    request_body = PublishManifest,
    responses((status = 200, description = "It is in force", body = SigningKeys), (status = "default", description = "manifest_stale"))
)]
pub async fn post_manifest(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<PublishManifests>,
    body: Body<PublishManifest>,
) -> Result<Json<SigningKeys>> {
    Ok(Json(signing::publish_manifest(&app, &caller, body.value).await?))
}
