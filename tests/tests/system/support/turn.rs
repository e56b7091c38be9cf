//! Tests that measure time run by themselves; the others share the machine.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static MACHINE: RwLock<()> = RwLock::const_new(());

/// The machine to oneself, for as long as the guard lives.
pub(crate) async fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().await
}

/// The machine beside other tests, for as long as the guard lives.
pub(crate) async fn together() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().await
}
