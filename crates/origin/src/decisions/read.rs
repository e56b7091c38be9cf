//! Reading decisions: newest first, a bounded number of them at a time.

use keyward_api::{
    Code,
    decisions::{Decision, Verdict},
    usage::{PASSED, UPSTREAM_UNAVAILABLE},
};
use keyward_core::{KeyId, PolicyNumber, ScopeClass, TenantId, Timestamp};
use sqlx::types::{Uuid, time::OffsetDateTime};
use time::Duration;

use crate::{
    auth::Caller,
    clock::{datetime, rfc3339},
    db::Tx,
    error::Result,
    policies::policy_number,
    state::App,
};

/// Decisions that a page looks at, whatever it finds among them.
pub const MOST_LOOKED_AT: i64 = 20_000;

/// A decision as it is kept.
pub struct Row {
    pub seq: i64,
    pub made_at: OffsetDateTime,
    pub api_key: Uuid,
    pub weight: i64,
    pub policy: Option<i64>,
    pub epoch: i64,
    pub state_seq: i64,
    pub method: String,
    pub path: String,
    pub path_cut: bool,
    pub address: Option<String>,
    pub domain: Option<String>,
    pub tls: bool,
    pub token: bool,
    pub route: Option<String>,
    pub capability: Option<String>,
    pub outcome: String,
    pub status: i16,
    pub cost: i64,
    pub duration_ms: Option<i64>,
}

/// Which decisions.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// On this key.
    pub key: Option<KeyId>,
    /// That came to this.
    pub verdict: Option<Verdict>,
    /// For this reason.
    pub reason: Option<String>,
    /// On paths that begin so.
    pub path: Option<String>,
}

/// Of a tenant, as far as somebody sees it.
#[derive(Clone, Debug)]
pub struct View {
    tenant: TenantId,
    /// The one whose keys are seen; `None`: all.
    owner: Option<String>,
    /// What is older isn't shown, even where it is still there.
    oldest: OffsetDateTime,
}

impl View {
    /// What a caller sees now.
    pub fn of(app: &App, caller: &Caller, tenant: TenantId) -> Self {
        let owner = (caller.scope() == ScopeClass::User).then(|| caller.owner().to_owned());
        Self { tenant, owner, oldest: datetime(app.clock.now()) - Duration::hours(app.config.decision_hours.into()) }
    }

    /// The number of the tenant's newest decision; 0: there was never one.
    ///
    /// # Errors
    /// As any read.
    pub async fn newest(&self, tx: &mut Tx) -> Result<i64> {
        let seq = sqlx::query_scalar!("SELECT seq FROM decision_meters WHERE tenant = $1", self.tenant.0);
        Ok(seq.fetch_optional(tx.connection()).await?.unwrap_or(0))
    }

    /// Those between two numbers, without these, newest first.
    ///
    /// # Errors
    /// As any read.
    pub async fn between(&self, tx: &mut Tx, filter: &Filter, (after, before): (i64, i64), limit: i64) -> Result<Vec<Row>> {
        let (passed, refused) = match filter.verdict {
            None => (true, true),
            Some(verdict) => (verdict == Verdict::Passed, verdict == Verdict::Refused),
        };
        macro_rules! rows {
            ($which:literal, $key:expr) => {
                sqlx::query_as!(
                    Row,
                    "SELECT seq, made_at, api_key, weight, policy, epoch, state_seq, method, path, path_cut, address, domain, tls, token,
                            route, capability, outcome, status, cost, duration_ms
                     FROM decisions d
                     WHERE tenant = $1 AND seq > $2 AND seq < $3 AND received >= $4 AND "
                        + $which
                        + " AND ($6 AND outcome IN ($7, $8) OR $9 AND outcome NOT IN ($7, $8))
                       AND ($10::text IS NULL OR outcome = $10) AND ($11::text IS NULL OR starts_with(path, $11))
                       AND ($12::text IS NULL OR EXISTS (SELECT FROM api_keys k WHERE k.id = d.api_key AND k.owner = $12))
                     ORDER BY seq DESC LIMIT $13",
                    self.tenant.0,
                    after,
                    before,
                    self.oldest,
                    $key,
                    passed,
                    PASSED,
                    UPSTREAM_UNAVAILABLE,
                    refused,
                    filter.reason.as_deref(),
                    filter.path.as_deref(),
                    self.owner.as_deref(),
                    limit,
                )
                .fetch_all(tx.connection())
                .await?
            };
        }
        // Two statements, so that each has its index.
        Ok(match filter.key {
            Some(KeyId(key)) => rows!("api_key = $5", key),
            None => rows!("$5::uuid IS NULL", None::<Uuid>),
        })
    }

    /// A page of them, from before `cursor` on; and the cursor of the next page, where there may be one.
    ///
    /// # Errors
    /// As any read.
    pub async fn page(&self, app: &App, filter: &Filter, cursor: Option<u64>, limit: u32) -> Result<(Vec<Decision>, Option<i64>)> {
        let mut tx = app.db.tenant(self.tenant).await?;
        let newest = self.newest(&mut tx).await?;
        let before = cursor.and_then(|cursor| i64::try_from(cursor).ok()).map_or(newest + 1, |cursor| cursor.min(newest + 1));
        let after = (before - 1 - MOST_LOOKED_AT).max(0);
        let mut rows = self.between(&mut tx, filter, (after, before), i64::from(limit) + 1).await?;
        let oldest = self.oldest_seq(&mut tx).await?;
        tx.commit().await?;
        let full = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = match rows.last() {
            Some(last) if full => Some(last.seq),
            _ => oldest.filter(|oldest| *oldest <= after).map(|_| after + 1),
        };
        Ok((rows.iter().map(show).collect(), next))
    }

    async fn oldest_seq(&self, tx: &mut Tx) -> Result<Option<i64>> {
        let seq = sqlx::query_scalar!("SELECT min(seq) FROM decisions WHERE tenant = $1 AND received >= $2", self.tenant.0, self.oldest);
        Ok(seq.fetch_one(tx.connection()).await?)
    }

    /// The one with this number.
    ///
    /// # Errors
    /// `not_found` where there is none that is seen.
    pub async fn one(&self, app: &App, seq: u64) -> Result<Row> {
        let seq = i64::try_from(seq).ok().filter(|seq| *seq < i64::MAX).ok_or(Code::NotFound)?;
        let mut tx = app.db.tenant(self.tenant).await?;
        let found = self.between(&mut tx, &Filter::default(), (seq - 1, seq + 1), 1).await?;
        tx.commit().await?;
        Ok(found.into_iter().next().ok_or(Code::NotFound)?)
    }

    /// Those from this moment on alone.
    #[must_use]
    pub fn since(self, moment: Timestamp) -> Self {
        Self { oldest: self.oldest.max(datetime(moment)), ..self }
    }

    /// From when on they are seen.
    pub fn begin(&self) -> String {
        rfc3339(self.oldest)
    }
}

/// As the API shows it.
pub fn show(row: &Row) -> Decision {
    let positive = |number: i64| number.unsigned_abs();
    Decision {
        id: positive(row.seq),
        time: rfc3339(row.made_at),
        key_id: KeyId(row.api_key),
        verdict: Verdict::of(&row.outcome),
        outcome: row.outcome.clone(),
        weight: positive(row.weight),
        policy: policy(row),
        position: format!("{}.{}", row.epoch, row.state_seq),
        method: row.method.clone(),
        path: row.path.clone(),
        address: row.address.clone(),
        domain: row.domain.clone(),
        tls: row.tls,
        token: row.token,
        route: row.route.clone(),
        capability: row.capability.clone(),
        status: u16::try_from(row.status).ok().filter(|status| *status > 0),
        cost_cents: positive(row.cost),
        duration_ms: row.duration_ms.and_then(|millis| u32::try_from(millis).ok()),
    }
}

/// The policy that was in force.
pub fn policy(row: &Row) -> Option<PolicyNumber> {
    row.policy.map(policy_number)
}
