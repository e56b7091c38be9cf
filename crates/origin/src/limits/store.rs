//! The statements of the authority. Rows come and go as columns, many in one statement.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keyward_core::{
    Limits,
    limits::{Account, Granted},
};
use sqlx::{
    PgConnection,
    types::{Json, Uuid},
};

use super::authority::Answers;
use crate::error::{Error, Result};

/// An account: a key, and the number of a meter.
pub type Line = (Uuid, i16);

fn columns<'a>(lines: impl Iterator<Item = &'a Line>) -> (Vec<Uuid>, Vec<i16>) {
    lines.copied().unzip()
}

/// Locks these accounts, in their order, and makes those that aren't there. What is missing from the answer is no key of ours.
///
/// # Errors
/// As any write.
pub async fn lock(tx: &mut PgConnection, lines: &BTreeSet<Line>) -> Result<BTreeMap<Line, Account>> {
    let mut accounts = locked(tx, lines).await?;
    let missing: BTreeSet<Line> = lines.iter().filter(|line| !accounts.contains_key(line)).copied().collect();
    if missing.is_empty() {
        return Ok(accounts);
    }
    let (keys, meters) = columns(missing.iter());
    sqlx::query!(
        "INSERT INTO limit_accounts (tenant, api_key, meter, even_window, even_given, odd_window, odd_given)
         SELECT k.tenant, wanted.api_key, wanted.meter, 0, 0, 0, 0
         FROM unnest($1::uuid[], $2::smallint[]) AS wanted (api_key, meter) JOIN api_keys k ON k.id = wanted.api_key
         ORDER BY wanted.api_key, wanted.meter
         ON CONFLICT DO NOTHING",
        &keys,
        &meters,
    )
    .execute(&mut *tx)
    .await?;
    accounts.extend(locked(tx, &missing).await?);
    Ok(accounts)
}

async fn locked(tx: &mut PgConnection, lines: &BTreeSet<Line>) -> Result<BTreeMap<Line, Account>> {
    let (keys, meters) = columns(lines.iter());
    let rows = sqlx::query!(
        "SELECT a.api_key, a.meter, even_window, even_given, odd_window, odd_given
         FROM unnest($1::uuid[], $2::smallint[]) AS wanted (api_key, meter)
         JOIN limit_accounts a ON a.api_key = wanted.api_key AND a.meter = wanted.meter
         ORDER BY a.api_key, a.meter
         FOR UPDATE OF a",
        &keys,
        &meters,
    )
    .fetch_all(tx)
    .await?;
    let slot = |window: i32, given: i64| (window.unsigned_abs(), given.unsigned_abs());
    let account = |even, odd| Account { slots: [even, odd] };
    Ok(rows
        .into_iter()
        .map(|row| ((row.api_key, row.meter), account(slot(row.even_window, row.even_given), slot(row.odd_window, row.odd_given))))
        .collect())
}

/// The limits that are in force for these keys.
///
/// # Errors
/// As any read.
pub async fn limits(tx: &mut PgConnection, keys: &[Uuid]) -> Result<HashMap<Uuid, Limits>> {
    let rows = sqlx::query!(
        r#"SELECT k.id, p.limits AS "limits!: Json<Limits>"
           FROM api_keys k
           JOIN policies own ON own.number = k.policy
           CROSS JOIN LATERAL (
               SELECT terms -> 'limits' AS limits FROM policies
               WHERE number = CASE WHEN own.superseded_by IS NULL THEN own.number ELSE own.superseded_by END
               LIMIT 1
           ) AS p
           WHERE k.id = ANY($1)"#,
        keys,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.limits.0)).collect())
}

/// Writes accounts that are locked.
///
/// # Errors
/// As any write.
pub async fn write(tx: &mut PgConnection, accounts: impl Iterator<Item = (Line, Account)> + Clone) -> Result<()> {
    let (keys, meters): (Vec<Uuid>, Vec<i16>) = accounts.clone().map(|(line, _)| line).unzip();
    if keys.is_empty() {
        return Ok(());
    }
    let windows = |parity: usize| -> Result<Vec<i32>> {
        accounts.clone().map(|(_, account)| i32::try_from(account.slots[parity].0).map_err(Error::internal)).collect()
    };
    let given = |parity: usize| -> Result<Vec<i64>> { accounts.clone().map(|(_, account)| signed(account.slots[parity].1)).collect() };
    sqlx::query!(
        "UPDATE limit_accounts a
         SET even_window = new.even_window, even_given = new.even_given, odd_window = new.odd_window, odd_given = new.odd_given
         FROM unnest($1::uuid[], $2::smallint[], $3::integer[], $4::bigint[], $5::integer[], $6::bigint[])
              AS new (api_key, meter, even_window, even_given, odd_window, odd_given)
         WHERE a.api_key = new.api_key AND a.meter = new.meter",
        &keys,
        &meters,
        &windows(0)?,
        &given(0)?,
        &windows(1)?,
        &given(1)?,
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
    Ok(rows.into_iter().map(|row| ((row.id, (row.api_key, row.meter)), granted(row.amount, row.remaining))).collect())
}

/// Remembers answers.
///
/// # Errors
/// As any write.
pub async fn remember(tx: &mut PgConnection, answers: &BTreeMap<(Uuid, Line), Granted>) -> Result<()> {
    let (keys, meters) = columns(answers.keys().map(|(_, line)| line));
    sqlx::query!(
        "INSERT INTO limit_answers (id, api_key, meter, amount, remaining)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[])",
        &answers.keys().map(|(id, _)| *id).collect::<Vec<_>>(),
        &keys,
        &meters,
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
