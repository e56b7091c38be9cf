//! The statements of the authority. Rows come and go as columns, many in one statement.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keyward_core::{
    Limits,
    limits::{Account, Granted, Lease, Leases, Meter},
};
use sqlx::{
    PgConnection,
    types::{Json, Uuid},
};

use super::{authority::Answers, desk::Desk};
use crate::{
    db::{Db, again},
    error::{Error, Result},
};

/// A key's accounts, in the order of [`Meter::ALL`].
pub type Accounts = [Account; Meter::ALL.len()];
/// Windows of a row.
const SLOTS: usize = 2 * Meter::ALL.len();

/// A key's accounts as they were read, held by nobody; `None`: it had none.
#[derive(Clone)]
pub struct Seen(pub Option<Accounts>);

impl Seen {
    /// A row's, where there is one.
    pub fn of(windows: Option<&[i32]>, given: Option<&[i64]>) -> Self {
        Self(windows.zip(given).map(|(windows, given)| accounts(windows, given)))
    }
}

/// What is known of a key.
#[derive(Clone)]
pub struct Known {
    pub tenant: Uuid,
    /// Those in force.
    pub limits: Limits,
}

/// Locks the accounts of these keys, in their order; answers those that there are, and who has slots of them.
///
/// # Errors
/// As any read.
pub async fn lock(tx: &mut PgConnection, keys: &BTreeSet<Uuid>) -> Result<(BTreeMap<Uuid, Accounts>, BTreeMap<Uuid, Leases>)> {
    let keys: Vec<Uuid> = keys.iter().copied().collect();
    let rows = sqlx::query!(
        r#"SELECT a.api_key, a.windows, a.given, a.leases AS "leases: Json<Vec<Lease>>"
         FROM unnest($1::uuid[]) AS wanted (api_key) JOIN limit_accounts a ON a.api_key = wanted.api_key
         ORDER BY a.api_key
         FOR UPDATE OF a"#,
        &keys,
    )
    .fetch_all(tx)
    .await?;
    let (mut all, mut leases) = (BTreeMap::new(), BTreeMap::new());
    for row in rows {
        all.insert(row.api_key, accounts(&row.windows, &row.given));
        leases.extend(row.leases.map(|Json(those)| (row.api_key, Leases::new(those))));
    }
    Ok((all, leases))
}

/// What is known of these keys, and the accounts that there are, none of them held.
///
/// # Errors
/// As any read.
pub async fn look(db: &Db, keys: &BTreeSet<Uuid>) -> Result<(HashMap<Uuid, Known>, BTreeMap<Uuid, Accounts>)> {
    let keys: Vec<Uuid> = keys.iter().copied().collect();
    let rows = again!(
        sqlx::query!(
            r#"SELECT k.id, k.tenant, p.limits AS "limits!: Json<Limits>", a.windows AS "windows?", a.given AS "given?"
               FROM unnest($1::uuid[]) AS wanted (api_key)
               JOIN api_keys k ON k.id = wanted.api_key
               JOIN policies own ON own.number = k.policy
               CROSS JOIN LATERAL (
                   SELECT terms -> 'limits' AS limits FROM policies
                   WHERE number = CASE WHEN own.superseded_by IS NULL THEN own.number ELSE own.superseded_by END
                   LIMIT 1
               ) AS p
               LEFT JOIN limit_accounts a ON a.api_key = k.id"#,
            &keys,
        )
        .fetch_all(db.rows())
    )?;
    let (mut all, mut known) = (BTreeMap::new(), HashMap::with_capacity(rows.len()));
    for row in rows {
        all.extend(row.windows.zip(row.given).map(|(windows, given)| (row.id, accounts(&windows, &given))));
        known.insert(row.id, Known { tenant: row.tenant, limits: row.limits.0 });
    }
    Ok((known, all))
}

/// Writes what a desk has come to: accounts that still are as they were before, and those that nobody else has made. Answers of
/// which keys.
///
/// # Errors
/// As any write.
pub async fn replace(db: &Db, before: &BTreeMap<Uuid, Accounts>, desk: &Desk) -> Result<BTreeSet<Uuid>> {
    let then = Columns::of(before.iter().filter(|(key, _)| desk.has_changed(key)))?;
    let now = Columns::of(desk.changed_accounts())?;
    let fresh = Columns::of(desk.fresh.iter())?;
    let tenants: Vec<Uuid> = fresh.keys.iter().filter_map(|key| desk.known.get(key)).map(|known| known.tenant).collect();
    // Not again where the connection dies: it may have been done, and what came back would be taken back twice.
    let done =
        sqlx::query_scalar!(
            r#"WITH changed AS (
                   UPDATE limit_accounts a
                   SET windows = ($4::integer[])[$10 * place - $10 + 1:$10 * place], given = ($5::bigint[])[$10 * place - $10 + 1:$10 * place]
                   FROM unnest($1::uuid[]) WITH ORDINALITY AS old (api_key, place)
                   WHERE a.api_key = old.api_key
                     AND a.windows = ($2::integer[])[$10 * place - $10 + 1:$10 * place]
                     AND a.given = ($3::bigint[])[$10 * place - $10 + 1:$10 * place]
                   RETURNING a.api_key
               ), made AS (
                   INSERT INTO limit_accounts AS a (api_key, tenant, windows, given)
                   SELECT new.api_key, new.tenant, ($8::integer[])[$10 * place - $10 + 1:$10 * place], ($9::bigint[])[$10 * place - $10 + 1:$10 * place]
                   FROM unnest($6::uuid[], $7::uuid[]) WITH ORDINALITY AS new (api_key, tenant, place)
                   ORDER BY place
                   ON CONFLICT DO NOTHING
                   RETURNING a.api_key
               )
               SELECT api_key AS "api_key!" FROM changed UNION ALL SELECT api_key FROM made"#,
            &then.keys,
            &then.windows,
            &then.given,
            &now.windows,
            &now.given,
            &fresh.keys,
            &tenants,
            &fresh.windows,
            &fresh.given,
            SLOTS as i64,
        )
        .fetch_all(db.rows())
        .await?;
    Ok(done.into_iter().collect())
}

/// Sees to it that there are accounts of these keys, as far as there are keys.
///
/// # Errors
/// As any write.
pub async fn open(tx: &mut PgConnection, keys: &BTreeSet<Uuid>) -> Result<()> {
    let keys: Vec<Uuid> = keys.iter().copied().collect();
    sqlx::query!(
        "INSERT INTO limit_accounts (api_key, tenant, windows, given)
         SELECT k.id, k.tenant, array_fill(0, ARRAY[$2::integer]), array_fill(0::bigint, ARRAY[$2::integer])
         FROM api_keys k
         WHERE k.id = ANY($1)
         ORDER BY k.id
         ON CONFLICT DO NOTHING",
        &keys,
        SLOTS as i32,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A row's accounts. It has [`SLOTS`] of each.
fn accounts(windows: &[i32], given: &[i64]) -> Accounts {
    let slot =
        |at: usize| (windows.get(at).map_or(0, |window| window.unsigned_abs()), given.get(at).map_or(0, |given| given.unsigned_abs()));
    std::array::from_fn(|meter| Account { slots: [slot(2 * meter), slot(2 * meter + 1)] })
}

/// Tenant and limits of these keys.
///
/// # Errors
/// As any read.
pub async fn known(tx: &mut PgConnection, keys: &BTreeSet<Uuid>) -> Result<HashMap<Uuid, Known>> {
    let keys: Vec<Uuid> = keys.iter().copied().collect();
    let rows = sqlx::query!(
        r#"SELECT k.id, k.tenant, p.limits AS "limits!: Json<Limits>"
           FROM api_keys k
           JOIN policies own ON own.number = k.policy
           CROSS JOIN LATERAL (
               SELECT terms -> 'limits' AS limits FROM policies
               WHERE number = CASE WHEN own.superseded_by IS NULL THEN own.number ELSE own.superseded_by END
               LIMIT 1
           ) AS p
           WHERE k.id = ANY($1)"#,
        &keys,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, Known { tenant: row.tenant, limits: row.limits.0 })).collect())
}

/// Accounts as columns: of all slots of all keys, one after the other, since there are no arrays of arrays of one length.
struct Columns {
    keys: Vec<Uuid>,
    windows: Vec<i32>,
    given: Vec<i64>,
}

impl Columns {
    fn of<'a>(accounts: impl Iterator<Item = (&'a Uuid, &'a Accounts)>) -> Result<Self> {
        let mut columns = Self { keys: Vec::new(), windows: Vec::new(), given: Vec::new() };
        for (key, accounts) in accounts {
            columns.keys.push(*key);
            for (window, given) in accounts.iter().flat_map(|account| account.slots) {
                columns.windows.push(i32::try_from(window).map_err(Error::internal)?);
                columns.given.push(signed(given)?);
            }
        }
        Ok(columns)
    }
}

/// Writes accounts that are locked.
///
/// # Errors
/// As any write.
pub async fn update<'a>(tx: &mut PgConnection, accounts: impl Iterator<Item = (&'a Uuid, &'a Accounts)>) -> Result<()> {
    let Columns { keys, windows, given } = Columns::of(accounts)?;
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE limit_accounts a
         SET windows = ($2::integer[])[$4 * new.place - $4 + 1:$4 * new.place], given = ($3::bigint[])[$4 * new.place - $4 + 1:$4 * new.place]
         FROM unnest($1::uuid[]) WITH ORDINALITY AS new (api_key, place)
         WHERE a.api_key = new.api_key",
        &keys,
        &windows,
        &given,
        SLOTS as i64,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Makes accounts, in the order of their keys; `false` where somebody else has made one of them just now: then nothing may be
/// committed.
///
/// # Errors
/// As any write.
pub async fn insert(tx: &mut PgConnection, accounts: &BTreeMap<Uuid, Accounts>, known: &HashMap<Uuid, Known>) -> Result<bool> {
    if accounts.is_empty() {
        return Ok(true);
    }
    let Columns { keys, windows, given } = Columns::of(accounts.iter())?;
    let tenants: Vec<Uuid> = keys.iter().filter_map(|key| known.get(key)).map(|known| known.tenant).collect();
    let made = sqlx::query!(
        "INSERT INTO limit_accounts (api_key, tenant, windows, given)
         SELECT new.api_key, new.tenant, ($3::integer[])[$5 * place - $5 + 1:$5 * place], ($4::bigint[])[$5 * place - $5 + 1:$5 * place]
         FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS new (api_key, tenant, place)
         ORDER BY place
         ON CONFLICT DO NOTHING",
        &keys,
        &tenants,
        &windows,
        &given,
        SLOTS as i64,
    )
    .execute(tx)
    .await?;
    Ok(made.rows_affected() == keys.len() as u64)
}

/// Writes down who has slots of keys that are locked, or were made just now.
///
/// # Errors
/// As any write.
pub async fn lease<'a>(tx: &mut PgConnection, leases: impl Iterator<Item = (&'a Uuid, &'a Leases)>) -> Result<()> {
    let (keys, leases): (Vec<Uuid>, Vec<_>) = leases.map(|(key, leases)| (*key, Json(leases.all().to_vec()))).unzip();
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE limit_accounts a SET leases = new.leases
         FROM unnest($1::uuid[], $2::jsonb[]) AS new (api_key, leases)
         WHERE a.api_key = new.api_key",
        &keys,
        &leases as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What these ids were answered.
///
/// # Errors
/// As any read.
pub async fn answers(tx: &mut PgConnection, ids: &[Uuid]) -> Result<Answers> {
    let rows =
        sqlx::query!("SELECT id, api_key, meter, amount, remaining FROM limit_answers WHERE id = ANY($1)", ids).fetch_all(tx).await?;
    let granted = |amount: i64, left: Option<i64>| Granted { amount: amount.unsigned_abs(), left: left.map(i64::unsigned_abs) };
    let meter = |number: i16| usize::try_from(number).ok().and_then(Meter::from_number);
    let answer = |id, key, number, granted| Some(((id, key, meter(number)?), granted));
    Ok(rows.into_iter().filter_map(|row| answer(row.id, row.api_key, row.meter, granted(row.amount, row.remaining))).collect())
}

/// Remembers answers.
///
/// # Errors
/// As any write.
pub async fn remember(tx: &mut PgConnection, answers: &Answers) -> Result<()> {
    if answers.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO limit_answers (id, api_key, meter, amount, remaining)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[])",
        &answers.keys().map(|key| key.0).collect::<Vec<_>>(),
        &answers.keys().map(|key| key.1).collect::<Vec<_>>(),
        &answers.keys().map(|key| key.2 as i16).collect::<Vec<_>>(),
        &answers.values().map(|granted| signed(granted.amount)).collect::<Result<Vec<_>>>()?,
        &answers.values().map(|granted| granted.left.map(signed).transpose()).collect::<Result<Vec<_>>>()? as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(Error::internal)
}
