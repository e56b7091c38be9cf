//! A transaction's records, at the end of their tenant's chain.

use keyward_api::Code;
use keyward_core::{AuditSaid, Digest, TenantId, Timestamp};
use sqlx::{PgConnection, types::Uuid};

use super::event::Event;
use crate::{
    error::{Error, Result},
    tenants::ceilings::{self, Counts},
};

/// Runs a query whose last arguments are [`Records`], in the order in which the database's functions take them.
macro_rules! with_records {
    ($query:ident!($sql:literal, $($argument:expr),* $(,)?), $records:expr) => {{
        let records: &$crate::audit::Records = $records;
        sqlx::$query!(
            $sql,
            $($argument,)*
            &records.times,
            &records.actions,
            &records.actor_tenants as _,
            &records.actor_keys as _,
            &records.actor_owners as _,
            &records.addresses as _,
            &records.user_agents as _,
            &records.requests as _,
            &records.target_kinds as _,
            &records.targets as _,
            &records.befores as _,
            &records.afters as _,
            &records.notes as _,
            &records.said,
            &records.made_for,
            records.counts.made,
            records.counts.ended,
            records.counts.changed,
            records.counts.refusable,
            records.counts.new_policies,
            records.now_ms,
        )
    }};
}
pub(crate) use with_records;

/// Appends records to a tenant's trail, and counts what they use up of the tenant's ceilings. The end of the chain is held
/// until the commit, so that this comes after everything else in its transaction, but for the feed's number (which all
/// transactions take after it: two that wait for each other would wait for ever).
///
/// # Errors
/// `ceiling_reached`, `rate_limited`, `owner_disabled`; else as any write.
pub async fn append(connection: &mut PgConnection, tenant: TenantId, events: &[Event], new_policies: usize) -> Result<()> {
    let Some(last) = events.last() else { return Ok(()) };
    let records = Records::of(events, new_policies)?;
    let refused = with_records!(
        query_scalar!(
            "SELECT append_to_trail($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
            tenant.0,
        ),
        &records
    )
    .fetch_one(connection)
    .await?;
    match refused.as_deref() {
        None => Ok(()),
        Some("ceiling_reached") => Err(ceilings::refusal(Code::CeilingReached, last.at)),
        Some("rate_limited") => Err(ceilings::refusal(Code::RateLimited, last.at)),
        Some("owner_disabled") => Err(Code::OwnerDisabled.into()),
        Some(other) => Err(Error::internal(anyhow::anyhow!("the trail refused a record: {other}"))),
    }
}

/// Records on their way to the database, which gives them their place in the chain: a column each of what they say.
pub struct Records {
    pub times: Vec<i64>,
    pub actions: Vec<String>,
    pub actor_tenants: Vec<Option<Uuid>>,
    pub actor_keys: Vec<Option<Uuid>>,
    pub actor_owners: Vec<Option<String>>,
    pub addresses: Vec<Option<String>>,
    pub user_agents: Vec<Option<String>>,
    pub requests: Vec<Option<Uuid>>,
    pub target_kinds: Vec<Option<String>>,
    pub targets: Vec<Option<String>>,
    pub befores: Vec<Option<String>>,
    pub afters: Vec<Option<String>>,
    pub notes: Vec<Option<String>>,
    /// The ends of their canonical forms.
    pub said: Vec<Vec<u8>>,
    /// Owners for whom keys come into use.
    pub made_for: Vec<String>,
    /// What they use up.
    pub counts: Counts,
    /// When the last of them was made.
    pub now_ms: i64,
}

impl Records {
    /// Those of a transaction's events.
    ///
    /// # Errors
    /// Never with times that can be stored.
    pub fn of(events: &[Event], new_policies: usize) -> Result<Self> {
        fn column<T>(events: &[Event], of: impl Fn(&Event) -> T) -> Vec<T> {
            events.iter().map(of).collect()
        }
        let by = |of: fn(&super::Actor) -> Option<String>| column(events, |event| event.actor.as_deref().and_then(of));
        let id = |of: fn(&super::Actor) -> Uuid| column(events, |event| event.actor.as_deref().map(of));
        let mut records = Self {
            times: events.iter().map(|event| millis(event.at)).collect::<Result<_>>()?,
            actions: column(events, |event| event.action.as_str().to_owned()),
            actor_tenants: id(|actor| actor.who.tenant.0),
            actor_keys: id(|actor| actor.who.key.0),
            actor_owners: by(|actor| Some(actor.who.owner.clone())),
            addresses: by(|actor| actor.address.map(|address| address.to_string())),
            user_agents: by(|actor| actor.user_agent.clone()),
            requests: id(|actor| actor.request),
            target_kinds: column(events, |event| event.target.as_ref().map(|target| target.kind.clone())),
            targets: column(events, |event| event.target.as_ref().map(|target| target.id.clone())),
            befores: column(events, |event| event.before.clone()),
            afters: column(events, |event| event.after.clone()),
            notes: column(events, |event| event.details.clone()),
            said: Vec::new(),
            made_for: events.iter().filter_map(|event| event.made_for.clone()).collect(),
            counts: Counts::of(events, new_policies),
            now_ms: events.last().map_or(Ok(0), |event| millis(event.at))?,
        };
        records.made_for.sort_unstable();
        records.made_for.dedup();
        records.said = events.iter().enumerate().map(|(at, event)| records.form(at, event)).collect();
        Ok(records)
    }

    fn form(&self, at: usize, event: &Event) -> Vec<u8> {
        let said = AuditSaid {
            action: event.action.as_str(),
            actor: event.actor.as_deref().map(|actor| &actor.who),
            address: self.addresses[at].as_deref(),
            user_agent: self.user_agents[at].as_deref(),
            request_id: self.requests[at],
            target: event.target.as_ref(),
            before: self.befores[at].as_deref(),
            after: self.afters[at].as_deref(),
            details: self.notes[at].as_deref(),
        };
        said.form()
    }
}

fn millis(at: Timestamp) -> Result<i64> {
    i64::try_from(at.millis()).map_err(Error::internal)
}

/// A digest from the database, which holds no others.
///
/// # Errors
/// Never with what the database admits.
pub fn digest(bytes: &[u8]) -> Result<Digest> {
    Ok(Digest::from_bytes(bytes.try_into().map_err(Error::internal)?))
}
