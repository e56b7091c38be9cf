//! `/api/v1/signing-keys` and `/api/v1/manifest`: the deployment's signing keys, for its operator.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use keyward_api::signing::{CreateSigningKey, Proposal, PublishManifest, SigningKeyTurned, SigningKeys, TurnSigningKey};
use serde::Deserialize;

use super::extract::{Authorized, Body, FreezeSigning, KidPath, OptionalBody, PublishManifests, Query, RotateSigning, SeeSigning};
use crate::{error::Result, signing, state::App};

/// For how long a manifest counts that is signed elsewhere, unless the proposal is asked for another time: days.
pub const DEFAULT_DAYS: u64 = 180;

/// The query of a proposal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalQuery {
    days: Option<u64>,
}

/// `GET /api/v1/signing-keys`
pub async fn get_all(State(app): State<Arc<App>>, Authorized { caller, .. }: Authorized<SeeSigning>) -> Result<Json<SigningKeys>> {
    Ok(Json(signing::list(&app, &caller).await?))
}

/// `POST /api/v1/signing-keys`: the next key of a role.
pub async fn post(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<RotateSigning>,
    body: Body<CreateSigningKey>,
) -> Result<(StatusCode, Json<SigningKeyTurned>)> {
    Ok((StatusCode::CREATED, Json(signing::create(&app, &caller, body.value).await?)))
}

/// `POST /api/v1/signing-keys/{kid}/activate`
pub async fn post_activate(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<RotateSigning>,
    KidPath(kid): KidPath,
    OptionalBody(body): OptionalBody<TurnSigningKey>,
) -> Result<Json<SigningKeyTurned>> {
    Ok(Json(signing::activate(&app, &caller, kid, body.value).await?))
}

/// `POST /api/v1/signing-keys/{kid}/retire`
pub async fn post_retire(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<RotateSigning>,
    KidPath(kid): KidPath,
    OptionalBody(body): OptionalBody<TurnSigningKey>,
) -> Result<Json<SigningKeyTurned>> {
    Ok(Json(signing::retire(&app, &caller, kid, body.value).await?))
}

/// `POST /api/v1/signing-keys/{kid}/freeze`
pub async fn post_freeze(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<FreezeSigning>,
    KidPath(kid): KidPath,
    OptionalBody(body): OptionalBody<TurnSigningKey>,
) -> Result<Json<SigningKeyTurned>> {
    Ok(Json(signing::freeze(&app, &caller, kid, body.value).await?))
}

/// `GET /api/v1/manifest/proposal`: what `keyward root sign` reads.
pub async fn get_proposal(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<SeeSigning>,
    Query(query): Query<ProposalQuery>,
) -> Result<Json<Proposal>> {
    Ok(Json(signing::proposal(&app, &caller, query.days.unwrap_or(DEFAULT_DAYS)).await?))
}

/// `POST /api/v1/manifest`: what `keyward root sign` has written.
pub async fn post_manifest(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<PublishManifests>,
    body: Body<PublishManifest>,
) -> Result<Json<SigningKeys>> {
    Ok(Json(signing::publish_manifest(&app, &caller, body.value).await?))
}
