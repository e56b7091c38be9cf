//! A key as the database has it, and as the API shows it.

use keyward_api::{
    Code,
    keys::{Credential, Key, KeyStatus, Usage},
};
use keyward_core::{AnyOr, Environment, KeyId, PolicyNumber, PolicyTerms, ScopeClass, TenantId, Timestamp};
use serde::Deserialize;
use sqlx::types::{Json, Uuid};
use time::{Duration, OffsetDateTime};

use crate::{
    auth::Caller,
    clock::{datetime, expiry_seconds, rfc3339},
    db::Tx,
    error::{Error, Result},
    policies::policy_number,
};

/// A row of the view `key_details`.
#[derive(Clone)]
pub struct KeyRow {
    pub id: Uuid,
    pub tenant: Uuid,
    pub owner: String,
    pub name: String,
    pub description: Option<String>,
    pub scope: i16,
    pub environment: String,
    pub exchange: bool,
    pub state: String,
    pub expires_at: Option<OffsetDateTime>,
    pub current_index: i64,
    pub hint: String,
    pub created_by: Option<Uuid>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub last_rotated: Option<OffsetDateTime>,
    pub rotation_period_days: Option<i32>,
    pub version: i64,
    pub revoked_at: Option<OffsetDateTime>,
    pub revocation_reason: Option<String>,
    pub policy_in_force: i64,
    pub terms: Json<PolicyTerms>,
    /// Those that aren't INVALID, newest first; some of them may have ended.
    pub credentials: Option<Json<Vec<Holding>>>,
    /// Since it was made; none of it where it was never used.
    pub used_requests: Option<i64>,
    pub used_bytes: Option<i64>,
    pub used_errors: Option<i64>,
    pub used_rate_limit_hits: Option<i64>,
    pub last_used: Option<OffsetDateTime>,
}

/// A credential that isn't INVALID.
#[derive(Clone, Debug, Deserialize)]
pub struct Holding {
    pub index: i64,
    pub hint: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// In force, whatever was signed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires: Option<OffsetDateTime>,
}

/// What of a key decides what may be done to it, as it was when it was held.
pub struct Held {
    pub id: Uuid,
    pub state: String,
    pub owner: String,
    pub expires_at: Option<OffsetDateTime>,
}

impl Held {
    /// Those of these keys that there are, held until the transaction ends. In one order by all, so that nobody waits in a
    /// circle.
    ///
    /// # Errors
    /// As any read.
    pub async fn hold(tx: &mut Tx, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<Held>> {
        let held = sqlx::query_as!(
            Held,
            "SELECT id, state, owner, expires_at FROM api_keys WHERE tenant = $1 AND id = ANY($2) ORDER BY id FOR NO KEY UPDATE",
            tenant.0,
            ids,
        );
        Ok(held.fetch_all(tx.connection()).await?)
    }

    /// Whether its time is over at `now`.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires| expires <= datetime(now))
    }
}

/// Selects [`KeyRow`]s, by the end of the statement and its arguments.
macro_rules! key_rows {
    ($end:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            $crate::keys::row::KeyRow,
            r#"SELECT id AS "id!", tenant AS "tenant!", owner AS "owner!", name AS "name!", description, scope AS "scope!",
                      environment AS "environment!", exchange AS "exchange!", state AS "state!", expires_at,
                      current_index AS "current_index!", hint AS "hint!", created_by, created_at AS "created_at!", updated_at AS "updated_at!",
                      last_rotated, rotation_period_days, version AS "version!", revoked_at, revocation_reason,
                      credentials AS "credentials: sqlx::types::Json<Vec<crate::keys::row::Holding>>", policy_in_force AS "policy_in_force!", terms AS "terms!: sqlx::types::Json<keyward_core::PolicyTerms>",
                      used_requests, used_bytes, used_errors, used_rate_limit_hits, last_used
               FROM key_details "# + $end,
            $($argument),*
        )
    };
}
pub(crate) use key_rows;

impl KeyRow {
    /// The key of that id, if the caller may see it. One that it may not see and one that isn't there look the same:
    /// whoever guesses ids learns nothing.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn find(tx: &mut Tx, caller: &Caller, tenant: TenantId, id: KeyId) -> Result<KeyRow> {
        let row = key_rows!("WHERE tenant = $1 AND id = $2", tenant.0, id.0).fetch_optional(tx.connection()).await?;
        row.filter(|row| caller.sees(&row.owner)).ok_or(Code::NotFound.into())
    }

    /// As [`KeyRow::find`]; holds the key until the transaction ends, so that its changes queue.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn hold(tx: &mut Tx, caller: &Caller, tenant: TenantId, id: KeyId) -> Result<KeyRow> {
        sqlx::query!("SELECT id FROM api_keys WHERE tenant = $1 AND id = $2 FOR NO KEY UPDATE", tenant.0, id.0)
            .fetch_optional(tx.connection())
            .await?
            .ok_or(Code::NotFound)?;
        Self::find(tx, caller, tenant, id).await
    }

    /// The key of that id as the transaction has left it.
    ///
    /// # Errors
    /// As any read.
    pub async fn reread(tx: &mut Tx, tenant: TenantId, id: KeyId) -> Result<KeyRow> {
        Ok(key_rows!("WHERE tenant = $1 AND id = $2", tenant.0, id.0).fetch_one(tx.connection()).await?)
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        KeyId(self.id)
    }

    /// How far it reaches, as signed.
    ///
    /// # Errors
    /// Never with what the database admits.
    pub fn scope(&self) -> Result<ScopeClass> {
        match self.scope {
            0 => Ok(ScopeClass::User),
            1 => Ok(ScopeClass::Tenant),
            2 => Ok(ScopeClass::Admin),
            _ => Err(Error::internal(anyhow::anyhow!("a scope that is none"))),
        }
    }

    /// Its environment.
    ///
    /// # Errors
    /// Never with what the database admits.
    pub fn environment(&self) -> Result<Environment> {
        Environment::parse(&self.environment).ok_or_else(|| Error::internal(anyhow::anyhow!("an environment that is none")))
    }

    /// The policy in force.
    pub fn policy(&self) -> PolicyNumber {
        policy_number(self.policy_in_force)
    }

    /// Unix seconds from which it can't be used.
    pub fn expires(&self) -> Option<u32> {
        expiry_seconds(self.expires_at)
    }

    /// Whether its time is over at `now`.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires| expires <= datetime(now))
    }

    /// What it is at `now`. Revoked and suspended outlast expired, as where requests are decided: the status list comes first.
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        match self.state.as_str() {
            "active" if self.has_expired(now) => KeyStatus::Expired,
            "active" => KeyStatus::Active,
            "suspended" => KeyStatus::Suspended,
            _ => KeyStatus::Revoked,
        }
    }

    /// Names this state: what is stored of it, the policy that is in force (a plan's change doesn't touch its keys), and
    /// what time makes of it.
    pub fn etag(&self, now: Timestamp) -> String {
        format!("\"{}.{}.{}\"", self.version, self.policy_in_force, self.status(now).as_str())
    }

    /// When it has to be rotated, by its period.
    pub fn rotation_due(&self) -> Option<OffsetDateTime> {
        let days = self.rotation_period_days?;
        self.last_rotated.unwrap_or(self.created_at).checked_add(Duration::days(days.into()))
    }

    /// What can be presented at `now`, if nothing else stands against it.
    fn holdings(&self, now: Timestamp) -> impl Iterator<Item = &Holding> {
        let all = self.credentials.as_ref().map(|all| &all.0[..]).unwrap_or_default();
        all.iter().filter(move |holding| holding.expires.is_none_or(|expires| expires > datetime(now)))
    }

    /// The credential that overlaps with the newest one after a rotation.
    pub fn overlapping(&self, now: Timestamp) -> Option<&Holding> {
        self.holdings(now).find(|holding| holding.index != self.current_index)
    }

    /// As the API shows it.
    ///
    /// # Errors
    /// Never with what the database admits.
    pub fn show(self, now: Timestamp) -> Result<Key> {
        let (scope, environment, status, policy) = (self.scope()?, self.environment()?, self.status(now), self.policy());
        let (etag, due) = (self.etag(now), self.rotation_due().filter(|_| status != KeyStatus::Revoked));
        let credentials = self
            .holdings(now)
            .map(|holding| Credential {
                key_hint: holding.hint.clone(),
                created_at: rfc3339(holding.created),
                expires_at: holding.expires.map(rfc3339),
                current: holding.index == self.current_index,
            })
            .collect();
        let number = |number: Option<i64>| number.unwrap_or_default().unsigned_abs();
        let usage = Usage {
            requests_count: number(self.used_requests),
            bytes_transferred: number(self.used_bytes),
            errors_count: number(self.used_errors),
            rate_limit_hits: number(self.used_rate_limit_hits),
            last_used: self.last_used.map(rfc3339),
        };
        let terms = self.terms.0;
        Ok(Key {
            id: KeyId(self.id),
            name: self.name,
            description: self.description,
            owner_id: self.owner,
            tenant_id: TenantId(self.tenant),
            scope,
            environment,
            capabilities: texts(&terms.capabilities),
            rate_limit_per_hour: terms.limits.rate_per_hour,
            daily_quota: terms.limits.daily_quota,
            monthly_quota: terms.limits.monthly_quota,
            cost_limit_cents: terms.limits.cost_cents,
            max_tokens_per_request: terms.limits.tokens_per_request,
            max_concurrent_requests: terms.limits.concurrent,
            allowed_endpoints: restriction(&terms.endpoints),
            blocked_endpoints: texts(&terms.blocked_endpoints),
            allowed_ips: restriction(&terms.ips),
            allowed_domains: terms.domains.only().unwrap_or_default().iter().map(|domain| domain.as_str().to_owned()).collect(),
            require_tls: terms.require_tls,
            token_exchange: self.exchange,
            tenant_constraints: terms.constraints,
            status,
            policy,
            key_hint: self.hint,
            created_by: self.created_by.map(KeyId),
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
            expires_at: self.expires_at.map(rfc3339),
            last_rotated: self.last_rotated.map(rfc3339),
            rotation_period_days: self.rotation_period_days.and_then(|days| days.try_into().ok()),
            rotation_due_at: due.map(rfc3339),
            rotation_due: due.is_some_and(|due| due <= datetime(now)),
            credentials,
            revoked_at: self.revoked_at.map(rfc3339),
            revocation_reason: self.revocation_reason,
            etag,
            usage: Some(usage),
        })
    }
}

fn texts<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn restriction<T: ToString>(restriction: &AnyOr<T>) -> Vec<String> {
    texts(restriction.only().unwrap_or_default())
}
