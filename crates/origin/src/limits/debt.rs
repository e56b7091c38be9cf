//! Debts: what requests have cost beyond what their keys were charged, as the upstream says. They come with the batches of usage, and
//! are recorded in the transaction that takes a batch: once, whatever is sent again.

use std::collections::BTreeMap;

use keyward_core::{
    Timestamp,
    limits::{Meter, Window},
};
use sqlx::{PgConnection, types::Uuid};

use super::store;
use crate::error::Result;

/// Deducts what these keys owe, in cents, from the month after this one.
///
/// # Errors
/// As any write.
pub async fn record(tx: &mut PgConnection, debts: &BTreeMap<Uuid, u64>, now: Timestamp) -> Result<()> {
    if debts.is_empty() {
        return Ok(());
    }
    let keys = debts.keys().copied().collect();
    store::open(tx, &keys).await?;
    let (mut accounts, _) = store::lock(tx, &keys).await?;
    let meter = Meter::CostCents;
    let next = Window::at(meter.period(), now).next();
    for (key, accounts) in &mut accounts {
        accounts[meter as usize].owe(next.number(), debts.get(key).copied().unwrap_or(0));
    }
    store::update(tx, accounts.iter()).await
}
