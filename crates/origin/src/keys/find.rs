//! A page of the keys that a filter admits, at the same cost from the first page to the last.
//!
//! A page *walks* along the index of its order, from its cursor on, and looks at [`WALK`] keys at most. Where the filter
//! admits many, that fills it. Where it doesn't, some member of the filter may be *rare*: met by [`RARE`] keys at most,
//! which an index of its own finds; then they are all looked at, and the page is exact. Where none is rare (two that are
//! common and hardly meet), the page ends short of its limit and says where to go on. So no combination of filter and
//! order can take longer than these two bounds, and none needs an index of its own.

use keyward_api::lists::{Order, Sort};
use keyward_core::TenantId;
use sqlx::types::{Uuid, time::OffsetDateTime};

use super::{cursor::Cursor, filter::Filter};
use crate::{
    clock::datetime,
    db::Tx,
    error::{Error, Result},
};
use keyward_core::Timestamp;

/// Keys that one page looks at. Stands in the statements too, so that they are planned for it.
const WALK: i64 = 2000;
/// Keys that may meet a member of a filter for it to be rare.
const RARE: i64 = 2000;

/// In which order, from where, how many.
pub struct Want {
    pub sort: Sort,
    pub order: Order,
    pub cursor: Option<Cursor>,
    pub limit: usize,
}

/// The ids of a page, and from where to go on.
pub struct Page {
    pub ids: Vec<Uuid>,
    pub next: Option<Cursor>,
}

/// A key that was looked at.
struct Seen {
    id: Uuid,
    name: String,
    ends: OffsetDateTime,
    /// Counts those looked at.
    nth: i64,
    /// Whether the filter admits it.
    meets: bool,
}

/// Selects [`Seen`] from what `$from` gives, in an order; the first that the filter admits, and the last one looked at.
/// Its arguments from $15 on are those of `$from`.
macro_rules! seen {
    ($from:literal, $order:literal, $tenant:expr, $limit:expr, $filter:expr $(, $argument:expr)*) => {
        sqlx::query_as!(
            Seen,
            r#"SELECT id AS "id!", name AS "name!", ends AS "ends!", nth AS "nth!", meets AS "meets!" FROM (
                   SELECT id, name, ends, nth,
                          ($3::text IS NULL OR owner = $3)
                          AND ($4::text IS NULL
                               OR $4 = CASE WHEN state = 'active' AND ends <= $5 THEN 'expired' ELSE state END)
                          AND ($6::smallint IS NULL OR scope = $6)
                          AND ends > $7 AND ends <= $8 AND id > $9 AND id < $10
                          AND ($11::text IS NULL OR strpos(search, $11) > 0)
                          -- Not EXISTS: that may be planned to read all policies first.
                          AND ($12::text[] IS NULL OR coalesce((
                              SELECT in_force.terms -> 'capabilities' ?| $12
                              FROM policies own
                              CROSS JOIN LATERAL (
                                  SELECT terms FROM policies
                                  WHERE number = CASE WHEN own.superseded_by IS NULL THEN own.number ELSE own.superseded_by END
                                  LIMIT 1
                              ) AS in_force
                              WHERE own.number = walked.policy
                          ), false))
                          AND ($13::bytea IS NULL OR coalesce((
                              SELECT signing_key = $13 FROM credentials WHERE index = walked.current_index
                          ), false))
                          AND ($14::timestamptz IS NULL OR coalesce((
                              SELECT last_used FROM key_usage WHERE key_usage.tenant = $1 AND key_usage.api_key = walked.id LIMIT 1
                          ), timestamptz 'epoch') <= $14) AS meets
                   FROM (SELECT *, row_number() OVER ("# + $order + r#") AS nth FROM ("# + $from + r#" LIMIT 2000) AS along) AS walked
               ) AS seen
               WHERE meets OR nth = 2000 "# + $order + " LIMIT $2",
            $tenant.0,
            $limit,
            $filter.owner,
            $filter.status,
            $filter.now,
            $filter.scope,
            $filter.ends.0,
            $filter.ends.1,
            $filter.ids.0,
            $filter.ids.1,
            $filter.text,
            $filter.capabilities.as_deref(),
            $filter.signing_key.as_ref().map(|short| &short[..]),
            $filter.unused_since
            $(, $argument)*
        )
    };
}

/// The page of a tenant's keys that comes next.
///
/// # Errors
/// As any read.
pub async fn page(tx: &mut Tx, tenant: TenantId, filter: &Filter, want: &Want) -> Result<Page> {
    let found = walk(tx, tenant, filter, want).await?;
    let stopped = found.last().is_some_and(|last| last.nth == WALK);
    let full = found.iter().filter(|seen| seen.meets).count() > want.limit;
    if stopped
        && !full
        && let Some(rare) = rare(tx, tenant, filter, want).await?
    {
        return Ok(cut(look(tx, tenant, filter, want, &rare).await?, want));
    }
    Ok(cut(found, want))
}

/// Those of these keys that a filter admits, which are at most as many as a page looks at.
///
/// # Errors
/// As any read.
pub async fn those(tx: &mut Tx, tenant: TenantId, filter: &Filter, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let want = Want { sort: Sort::Created, order: Order::Desc, cursor: None, limit: ids.len() };
    Ok(look(tx, tenant, filter, &want, ids).await?.into_iter().map(|seen| seen.id).collect())
}

/// As many as are wanted, and from where to go on: the last of them, or the last that was looked at.
fn cut(mut found: Vec<Seen>, want: &Want) -> Page {
    let place = |seen: &Seen| Cursor::new(want.sort, want.order, seen.id, &seen.name, seen.ends.unix_timestamp());
    let stopped = found.last().filter(|last| last.nth == WALK).map(place);
    found.retain(|seen| seen.meets);
    let more = found.len() > want.limit;
    found.truncate(want.limit);
    let next = if more { found.last().map(place) } else { stopped };
    Page { ids: found.into_iter().map(|seen| seen.id).collect(), next }
}

/// Walks along the index of the order. Among the newest (or oldest), an owner or a status has an index of its own.
async fn walk(tx: &mut Tx, tenant: TenantId, filter: &Filter, want: &Want) -> Result<Vec<Seen>> {
    let limit = i64::try_from(want.limit).map_err(Error::internal)? + 1;
    let Want { sort, order, cursor, .. } = want;
    let mut filter = filter.clone();
    if let (Sort::Created, Some(cursor)) = (sort, cursor) {
        match order {
            Order::Desc => filter.ids.1 = filter.ids.1.min(cursor.id),
            Order::Asc => filter.ids.0 = filter.ids.0.max(cursor.id),
        }
    }
    let phase = match filter.status {
        // Until the sweeper has seen an expiry, the index doesn't know of it.
        Some("expired") if unswept(tx, tenant, &filter).await? => None,
        status => status,
    };
    let (owned, phased) = (filter.owner.is_some(), phase.is_some());
    let connection = tx.connection();
    // Ranges compare whole rows, as their index has them, so that no other index looks as good: generic plans know nothing
    // of what a range holds. But an index is entered by equal members first, and by whole rows only where there are none of
    // them: so the range of ids stands for itself too, or each page would pass over all before it.
    let seen = match (sort, order) {
        (Sort::Created, Order::Desc) if owned => {
            seen!(
                "SELECT * FROM api_keys WHERE tenant = $1 AND owner = $3 AND (owner, id) > ($3, $9) AND (owner, id) < ($3, $10)
                 AND id > $9 AND id < $10
                 ORDER BY id DESC",
                "ORDER BY id DESC",
                tenant,
                limit,
                filter
            )
            .fetch_all(connection)
            .await
        }
        (Sort::Created, Order::Asc) if owned => {
            seen!(
                "SELECT * FROM api_keys WHERE tenant = $1 AND owner = $3 AND (owner, id) > ($3, $9) AND (owner, id) < ($3, $10)
                 AND id > $9 AND id < $10
                 ORDER BY id",
                "ORDER BY id",
                tenant,
                limit,
                filter
            )
            .fetch_all(connection)
            .await
        }
        (Sort::Created, Order::Desc) if phased => {
            seen!(
                "SELECT p.id, name, ends, owner, state, scope, search, policy, current_index
                 FROM key_phases AS p CROSS JOIN LATERAL (SELECT * FROM api_keys WHERE tenant = $1 AND id = p.id LIMIT 1) AS key
                 WHERE p.tenant = $1 AND p.phase = $15 AND (p.phase, p.id) > ($15, $9) AND (p.phase, p.id) < ($15, $10)
                 AND p.id > $9 AND p.id < $10
                 ORDER BY p.id DESC",
                "ORDER BY id DESC",
                tenant,
                limit,
                filter,
                phase
            )
            .fetch_all(connection)
            .await
        }
        (Sort::Created, Order::Asc) if phased => {
            seen!(
                "SELECT p.id, name, ends, owner, state, scope, search, policy, current_index
                 FROM key_phases AS p CROSS JOIN LATERAL (SELECT * FROM api_keys WHERE tenant = $1 AND id = p.id LIMIT 1) AS key
                 WHERE p.tenant = $1 AND p.phase = $15 AND (p.phase, p.id) > ($15, $9) AND (p.phase, p.id) < ($15, $10)
                 AND p.id > $9 AND p.id < $10
                 ORDER BY p.id",
                "ORDER BY id",
                tenant,
                limit,
                filter,
                phase
            )
            .fetch_all(connection)
            .await
        }
        (Sort::Created, Order::Desc) => {
            seen!(
                "SELECT * FROM api_keys WHERE tenant = $1 AND (tenant, id) > ($1, $9) AND (tenant, id) < ($1, $10) AND id > $9 AND id < $10
                 ORDER BY id DESC",
                "ORDER BY id DESC",
                tenant,
                limit,
                filter
            )
            .fetch_all(connection)
            .await
        }
        (Sort::Created, Order::Asc) => {
            seen!(
                "SELECT * FROM api_keys WHERE tenant = $1 AND (tenant, id) > ($1, $9) AND (tenant, id) < ($1, $10) AND id > $9 AND id < $10
                 ORDER BY id",
                "ORDER BY id",
                tenant,
                limit,
                filter
            )
            .fetch_all(connection)
            .await
        }
        (Sort::Name, Order::Desc) => {
            // Above every name: none is as long.
            let (name, id) =
                cursor.as_ref().map_or_else(|| ("\u{10FFFF}".repeat(129), Uuid::max()), |cursor| (cursor.name().to_owned(), cursor.id));
            seen!(
                r#"SELECT * FROM api_keys WHERE tenant = $1 AND (name COLLATE "C", id) < ($15 COLLATE "C", $16)
                   ORDER BY name COLLATE "C" DESC, id DESC"#,
                r#"ORDER BY name COLLATE "C" DESC, id DESC"#,
                tenant,
                limit,
                filter,
                name,
                id
            )
            .fetch_all(connection)
            .await
        }
        (Sort::Name, Order::Asc) => {
            let (name, id) = cursor.as_ref().map_or(("", Uuid::nil()), |cursor| (cursor.name(), cursor.id));
            seen!(
                r#"SELECT * FROM api_keys WHERE tenant = $1 AND (name COLLATE "C", id) > ($15 COLLATE "C", $16)
                   ORDER BY name COLLATE "C", id"#,
                r#"ORDER BY name COLLATE "C", id"#,
                tenant,
                limit,
                filter,
                name,
                id
            )
            .fetch_all(connection)
            .await
        }
        (Sort::Expires, Order::Desc) => {
            let (ends, id) = cursor.as_ref().map_or((filter.ends.1, Uuid::max()), |cursor| (moment(cursor), cursor.id));
            seen!(
                "SELECT * FROM api_keys WHERE tenant = $1 AND ends > $7 AND (ends, id) < ($15, $16) ORDER BY ends DESC, id DESC",
                "ORDER BY ends DESC, id DESC",
                tenant,
                limit,
                filter,
                ends,
                id
            )
            .fetch_all(connection)
            .await
        }
        (Sort::Expires, Order::Asc) => {
            let (ends, id) = cursor.as_ref().map_or((filter.ends.0, Uuid::max()), |cursor| (moment(cursor), cursor.id));
            seen!(
                "SELECT * FROM api_keys WHERE tenant = $1 AND ends <= $8 AND (ends, id) > ($15, $16) ORDER BY ends, id",
                "ORDER BY ends, id",
                tenant,
                limit,
                filter,
                ends,
                id
            )
            .fetch_all(connection)
            .await
        }
    };
    Ok(seen?)
}

fn moment(cursor: &Cursor) -> OffsetDateTime {
    datetime(Timestamp::from_secs(cursor.ends().try_into().unwrap_or(0)))
}

/// Whether a key of the tenant has expired that the sweeper hasn't seen since.
async fn unswept(tx: &mut Tx, tenant: TenantId, filter: &Filter) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM (SELECT tenant, ends, lapsed, state FROM api_keys WHERE wake_at <= $2 LIMIT 2000) AS waiting
               WHERE tenant = $1 AND ends <= $2 AND NOT lapsed AND state = 'active'
           ) OR (SELECT count(*) FROM (SELECT FROM api_keys WHERE wake_at <= $2 LIMIT 2000) AS waiting) = 2000 AS "found!""#,
        tenant.0,
        filter.now,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(found)
}

/// All keys that meet a member of the filter which few do; `None` where there is no such member. That by which the walk
/// went is no help.
async fn rare(tx: &mut Tx, tenant: TenantId, filter: &Filter, want: &Want) -> Result<Option<Vec<Uuid>>> {
    let most = RARE + 1;
    let few = |ids: Vec<Uuid>| (ids.len() < most as usize).then_some(ids);
    if let Some(pattern) = filter.pattern() {
        let ids = sqlx::query_scalar!("SELECT keys_with_text($1, $2)", pattern, most as i32);
        if let Some(ids) = ids.fetch_one(tx.connection()).await?.and_then(few) {
            return Ok(Some(ids));
        }
    }
    if filter.owner.is_some() && want.sort != Sort::Created {
        let ids = sqlx::query_scalar!("SELECT id FROM api_keys WHERE tenant = $1 AND owner = $2 LIMIT 2001", tenant.0, filter.owner);
        if let Some(ids) = few(ids.fetch_all(tx.connection()).await?) {
            return Ok(Some(ids));
        }
    }
    if filter.expiring && want.sort != Sort::Expires {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM api_keys WHERE tenant = $1 AND ends > $2 AND ends <= $3 LIMIT 2001",
            tenant.0,
            filter.ends.0,
            filter.ends.1,
        );
        if let Some(ids) = few(ids.fetch_all(tx.connection()).await?) {
            return Ok(Some(ids));
        }
    }
    if filter.dated && want.sort != Sort::Created {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM api_keys WHERE tenant = $1 AND id > $2 AND id < $3 LIMIT 2001",
            tenant.0,
            filter.ids.0,
            filter.ids.1,
        );
        if let Some(ids) = few(ids.fetch_all(tx.connection()).await?) {
            return Ok(Some(ids));
        }
    }
    if let Some(status) = filter.status
        && (want.sort != Sort::Created || filter.owner.is_some())
        && !(status == "expired" && unswept(tx, tenant, filter).await?)
    {
        let ids = sqlx::query_scalar!("SELECT id FROM key_phases WHERE tenant = $1 AND phase = $2 LIMIT 2001", tenant.0, status);
        return Ok(few(ids.fetch_all(tx.connection()).await?));
    }
    Ok(None)
}

/// Looks at these keys, in the order wanted, from the cursor on.
async fn look(tx: &mut Tx, tenant: TenantId, filter: &Filter, want: &Want, ids: &[Uuid]) -> Result<Vec<Seen>> {
    let seen = seen!("SELECT * FROM api_keys WHERE tenant = $1 AND id = ANY($15)", "", tenant, RARE, filter, ids);
    let mut found = seen.fetch_all(tx.connection()).await?;
    let place = |seen: &Seen| match want.sort {
        Sort::Created => (String::new(), 0, seen.id),
        Sort::Name => (seen.name.clone(), 0, seen.id),
        Sort::Expires => (String::new(), seen.ends.unix_timestamp(), seen.id),
    };
    let after = want.cursor.as_ref().map(|cursor| (cursor.name().to_owned(), cursor.ends(), cursor.id));
    found.retain(|seen| match (&after, want.order) {
        (None, _) => true,
        (Some(after), Order::Asc) => place(seen) > *after,
        (Some(after), Order::Desc) => place(seen) < *after,
    });
    found.sort_by_cached_key(place);
    if want.order == Order::Desc {
        found.reverse();
    }
    Ok(found)
}
