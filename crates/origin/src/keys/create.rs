//! Creating keys.

use std::collections::BTreeMap;

use keyward_api::{
    Code,
    bulk::MAX_CREATE,
    keys::{CreateKey, Key, KeyCreated},
};
use keyward_core::{Digest, PolicyNumber, PolicyTerms, TenantId, Timestamp};
use keyward_issuer::SecretKeyText;
use sqlx::types::Json;

use super::{
    WARNING,
    idempotency::{Idempotency, Replay},
    issue::{NewKey, create_keys, store_in},
    prepare::{Prepared, places, prepare_in},
    row::{Holding, KeyRow},
};
use crate::{
    auth::Caller,
    clock::{datetime, expiry},
    db::Tx,
    error::{Error, Result},
    feed::Change,
    policies::find_or_create,
    positions::Place,
    state::App,
};

/// Keys in one call of [`create_many`], at most.
const MOST: usize = MAX_CREATE as usize;
/// Fields at fault in one answer, at most.
const MOST_ERRORS: usize = 100;

/// Creates a key in the caller's own tenant, if nothing stands in the way and the caller still is as it is taken to be, which the database
/// looks at when it stores the key. `None`: nothing was done, and whether and why not is for [`create`] to say.
///
/// # Errors
/// As any write: then it may have been done.
pub async fn create_at_once(app: &App, presumed: &Caller, request: &CreateKey) -> Result<Option<KeyCreated>> {
    let (now, tenant) = (app.clock.now(), presumed.tenant());
    if app.tenants.may_create(tenant, now).is_err() {
        return Ok(None);
    }
    let prepared = match prepare_in(app, presumed, tenant, request.clone(), now).await {
        Ok(prepared) => vec![prepared],
        // It depends on what the caller may.
        Err(error) if error.code().status() < 500 => return Ok(None),
        Err(error) => return Err(error),
    };
    let places = places(&prepared);
    let Some(policies) = known_policies(app, tenant, &prepared) else {
        app.positions.give_back(&places);
        return Ok(None);
    };
    let Minted { keys, raws } = mint(app, &prepared, &policies)?;
    let keys: Vec<_> = keys.into_iter().map(|key| NewKey { on: Some(presumed.witness()), ..key }).collect();
    for key in &keys {
        if !app.new_keys.ask(key.clone()).await? {
            app.positions.give_back(&places);
            forget_policies(app, tenant, &prepared);
            return Ok(None);
        }
    }
    only(answers(keys, raws, prepared)?).map(Some)
}

/// Creates a key in a tenant.
///
/// # Errors
/// `validation_failed`, `grant_exceeded`, `scope_insufficient`, those of idempotency, and those of any write.
pub async fn create(
    app: &App,
    caller: &Caller,
    tenant: TenantId,
    request: CreateKey,
    idempotency: Option<Idempotency>,
) -> Result<KeyCreated> {
    let now = app.clock.now();
    let prepared = vec![prepare_in(app, caller, tenant, request, now).await?];
    only(create_prepared(app, caller, tenant, prepared, idempotency, now).await?)
}

/// Creates keys in a tenant, all of them or none, in one transaction.
///
/// # Errors
/// As [`create`]; fields are named with their key's place.
pub async fn create_many(
    app: &App,
    caller: &Caller,
    tenant: TenantId,
    requests: Vec<CreateKey>,
    idempotency: Option<Idempotency>,
) -> Result<Vec<KeyCreated>> {
    let now = app.clock.now();
    if !(1..=MOST).contains(&requests.len()) {
        return Err(Error::field("keys", format!("1 to {MOST} keys")));
    }
    let (mut prepared, mut errors) = (Vec::with_capacity(requests.len()), Vec::new());
    for (at, request) in requests.into_iter().enumerate() {
        match prepare_in(app, caller, tenant, request, now).await.map_err(|error| error.within(&format!("keys[{at}]"))) {
            Ok(key) => prepared.push(key),
            Err(error) if error.code() == Code::ValidationFailed => errors.extend(error.into_fields()),
            Err(error) => return app.positions.unless_made(&places(&prepared), Err(error)),
        }
        if errors.len() >= MOST_ERRORS {
            break;
        }
    }
    if !errors.is_empty() {
        errors.truncate(MOST_ERRORS);
        return app.positions.unless_made(&places(&prepared), Err(Error::invalid(errors)));
    }
    create_prepared(app, caller, tenant, prepared, idempotency, now).await
}

/// Creates keys that may be made. Their places are for others where they aren't.
async fn create_prepared(
    app: &App,
    caller: &Caller,
    tenant: TenantId,
    prepared: Vec<Prepared>,
    idempotency: Option<Idempotency>,
    now: Timestamp,
) -> Result<Vec<KeyCreated>> {
    let places = places(&prepared);
    let made = anew_or_again(app, caller, tenant, prepared, idempotency, now).await;
    app.positions.unless_made(&places, made)
}

/// Creates keys that may be made, in one message where that will do; or gives again what the same request made before.
async fn anew_or_again(
    app: &App,
    caller: &Caller,
    tenant: TenantId,
    prepared: Vec<Prepared>,
    idempotency: Option<Idempotency>,
    now: Timestamp,
) -> Result<Vec<KeyCreated>> {
    if let Err(refused) = app.tenants.may_create(tenant, now) {
        // To what was made before nothing is added.
        let Some(idempotency) = idempotency else { return Err(refused) };
        let mut tx = app.db.tenant(tenant).await?;
        let mut replays = Vec::new();
        for at in 0..prepared.len() {
            match idempotency.earlier(app, &mut tx, caller, tenant, at, now).await? {
                Some(replay) => replays.push(replay),
                None => return Err(refused),
            }
        }
        let answers = replayed(replays, now)?;
        app.positions.give_back(&places(&prepared));
        return Ok(answers);
    }
    if idempotency.is_none()
        && let Some(policies) = known_policies(app, tenant, &prepared)
    {
        let Minted { keys, raws } = mint(app, &prepared, &policies)?;
        if store_at_once(app, tenant, &keys).await? {
            return answers(keys, raws, prepared);
        }
        forget_policies(app, tenant, &prepared);
    }
    make(app, caller, tenant, prepared, idempotency, now).await
}

/// One key goes with others of the same moment, many by themselves.
async fn store_at_once(app: &App, tenant: TenantId, keys: &[NewKey]) -> Result<bool> {
    if let [key] = keys {
        return app.new_keys.ask(key.clone()).await;
    }
    let _turn = app.db.turn_for_many().await?;
    create_keys(&app.db, tenant, &keys.iter().collect::<Vec<_>>()).await
}

/// The policies that say what these keys are to hold, where all are known from before, and the keys' shards open: nearly always.
/// Then there is nothing to tell edges, and a message to the database will do.
fn known_policies(app: &App, tenant: TenantId, prepared: &[Prepared]) -> Option<Vec<PolicyNumber>> {
    let policy = |key: &Prepared| app.positions.is_open(key.draft.place).then(|| app.policies.hint(tenant, key.digest))?;
    prepared.iter().map(policy).collect()
}

/// No longer takes them for known: one of them has been superseded, or there is another reason, which `make` finds.
fn forget_policies(app: &App, tenant: TenantId, prepared: &[Prepared]) {
    prepared.iter().for_each(|key| app.policies.forget(tenant, key.digest));
}

/// Keys that have been minted, and what is to be presented for each.
struct Minted {
    keys: Vec<NewKey>,
    raws: Vec<SecretKeyText>,
}

fn mint(app: &App, prepared: &[Prepared], policies: &[PolicyNumber]) -> Result<Minted> {
    let keyring = app.keyrings.current();
    let (mut keys, mut raws) = (Vec::with_capacity(prepared.len()), Vec::with_capacity(prepared.len()));
    for (key, policy) in prepared.iter().zip(policies) {
        let minted = key.draft.mint(&keyring, *policy)?;
        keys.push(NewKey { profile: key.profile.clone(), draft: key.draft.clone(), stamp: minted.stamp, on: None });
        raws.push(minted.raw);
    }
    Ok(Minted { keys, raws })
}

/// What is said of keys that have been stored.
fn answers(keys: Vec<NewKey>, raws: Vec<SecretKeyText>, prepared: Vec<Prepared>) -> Result<Vec<KeyCreated>> {
    keys.into_iter().zip(raws).zip(prepared).map(|((key, raw), Prepared { terms, .. })| created(key, &raw, terms)).collect()
}

/// The one of one.
///
/// # Errors
/// Where there is none.
pub fn only(made: Vec<KeyCreated>) -> Result<KeyCreated> {
    made.into_iter().next().ok_or_else(|| Error::internal(anyhow::anyhow!("of one key none was made")))
}

/// Makes keys in a transaction of their own, with whatever policies and shards they need; or gives again what the same
/// request made before.
async fn make(
    app: &App,
    caller: &Caller,
    tenant: TenantId,
    prepared: Vec<Prepared>,
    idempotency: Option<Idempotency>,
    now: Timestamp,
) -> Result<Vec<KeyCreated>> {
    let mut tx = app.db.tenant(tenant).await?;
    if let Some(idempotency) = idempotency {
        let mut replays = Vec::new();
        for (at, key) in prepared.iter().enumerate() {
            replays.extend(idempotency.claim(app, &mut tx, caller, tenant, (at, &key.draft), now).await?);
        }
        if !replays.is_empty() {
            // They were claimed in one transaction, so that it is all or none.
            let answers = replayed(replays, now)?;
            app.positions.give_back(&places(&prepared));
            return Ok(answers);
        }
    }
    let made = make_in(app, &mut tx, tenant, prepared, now).await?;
    if let Err(error) = finish(app, tx, &made.change).await {
        app.tenants.remember_refusal(tenant, error.code(), now);
        return Err(error);
    }
    made.committed(app, tenant)
}

/// Keys that are made when their transaction is committed.
pub struct Made {
    /// What there is to tell of them then.
    pub change: Change,
    prepared: Vec<Prepared>,
    minted: Minted,
    policies: BTreeMap<Digest, PolicyNumber>,
}

impl Made {
    /// They are: what to answer.
    ///
    /// # Errors
    /// Never with what the database admits.
    pub fn committed(self, app: &App, tenant: TenantId) -> Result<Vec<KeyCreated>> {
        self.prepared.iter().for_each(|key| app.positions.opened(key.draft.place));
        self.policies.into_iter().for_each(|(digest, policy)| app.policies.remember(tenant, digest, policy));
        answers(self.minted.keys, self.minted.raws, self.prepared)
    }
}

/// Makes keys in a transaction of their tenant's, with whatever policies and shards they need.
///
/// # Errors
/// As any write.
pub async fn make_in(app: &App, tx: &mut Tx, tenant: TenantId, prepared: Vec<Prepared>, now: Timestamp) -> Result<Made> {
    let mut change = Change::default();
    // Shards and policies in one order by all, so that nobody waits in a circle.
    let places: BTreeMap<u32, Place> = prepared.iter().map(|key| (key.draft.place.index.shard(), key.draft.place)).collect();
    for place in places.values() {
        change.opened.extend(app.positions.open(tx.connection(), *place).await?.opened);
    }
    let mut policies: BTreeMap<Digest, PolicyNumber> = BTreeMap::new();
    let wanted: BTreeMap<Digest, &PolicyTerms> = prepared.iter().map(|key| (key.digest, &key.terms)).collect();
    for (digest, terms) in wanted {
        let (policy, is_new) = find_or_create(tx.connection(), terms, now).await?;
        change.policies.extend(is_new.then_some(policy));
        policies.insert(digest, policy);
    }
    let numbers: Vec<PolicyNumber> = prepared.iter().map(|key| policies[&key.digest]).collect();
    let minted = mint(app, &prepared, &numbers)?;
    if !store_in(tx.connection(), tenant, &minted.keys.iter().collect::<Vec<_>>()).await? {
        return Err(Error::internal(anyhow::anyhow!("a policy was superseded while a key was made under it")));
    }
    minted.keys.iter().for_each(|key| tx.record(key.event()));
    Ok(Made { change, prepared, minted, policies })
}

fn replayed(replays: Vec<Replay>, now: Timestamp) -> Result<Vec<KeyCreated>> {
    replays.into_iter().map(|replay| replay.answer(now)).collect()
}

impl Replay {
    /// What the first request was answered, about the key as it is now.
    ///
    /// # Errors
    /// Never with what the database admits.
    pub fn answer(self, now: Timestamp) -> Result<KeyCreated> {
        Ok(answer(self.key.show(now)?, &self.raw))
    }
}

/// Commits; through the feed where there is something to tell. A key under a known policy is none of the feed's business.
///
/// # Errors
/// As any write.
pub async fn finish(app: &App, tx: Tx, change: &Change) -> Result<()> {
    if change.is_empty() {
        return tx.commit().await;
    }
    app.feed.committed(tx.commit_with(change).await?, change);
    Ok(())
}

fn created(key: NewKey, raw: &SecretKeyText, terms: PolicyTerms) -> Result<KeyCreated> {
    let NewKey { profile, draft, stamp, .. } = key;
    tracing::info!(
        event = "api_key_created",
        key = %draft.id,
        tenant = %profile.tenant,
        by = profile.by.as_ref().map(|by| tracing::field::display(by.who.key)),
        policy = stamp.policy.0
    );
    let holding = Holding {
        index: draft.place.index.0.into(),
        hint: Some(stamp.hint.clone()),
        created: datetime(profile.created),
        expires: expiry(draft.expires),
    };
    let row = KeyRow {
        id: draft.id.0,
        tenant: profile.tenant.0,
        owner: profile.owner,
        name: profile.name,
        description: profile.description,
        scope: draft.scope as i16,
        environment: draft.environment.as_str().to_owned(),
        exchange: draft.exchange,
        state: "active".to_owned(),
        expires_at: expiry(draft.expires),
        current_index: draft.place.index.0.into(),
        hint: stamp.hint,
        created_by: profile.by.map(|by| by.who.key.0),
        created_at: datetime(profile.created),
        updated_at: datetime(profile.created),
        last_rotated: None,
        rotation_period_days: profile.rotation_period_days,
        version: 1,
        revoked_at: None,
        revocation_reason: None,
        credentials: Some(Json(vec![holding])),
        policy_in_force: stamp.policy.0.into(),
        terms: Json(terms),
        used_requests: None,
        used_bytes: None,
        used_errors: None,
        used_rate_limit_hits: None,
        last_used: None,
    };
    Ok(answer(row.show(profile.created)?, raw))
}

fn answer(api_key: Key, raw: &SecretKeyText) -> KeyCreated {
    KeyCreated { api_key, raw_key: raw.expose().to_owned(), warning: WARNING.to_owned() }
}
