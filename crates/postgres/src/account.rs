//! The account that Postgres runs under: it refuses to be root.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use anyhow::Context;

/// A user and group that stand in for root; `None` in [`Account::current`] means that we aren't root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The `postgres` account where this process is root, else nothing to change.
    pub(crate) fn current() -> anyhow::Result<Option<Account>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").context("can't read /etc/passwd")?;
        passwd
            .lines()
            .find_map(|line| {
                let mut fields = line.split(':');
                (fields.next()? == "postgres").then_some(())?;
                let uid = fields.nth(1)?.parse().ok()?;
                Some(Account { uid, gid: fields.next()?.parse().ok()? })
            })
            .map(Some)
            .context("Postgres doesn't run as root, and there is no `postgres` account to run it: make one, or start as another user")
    }
}

/// Makes `dir` (its parents too), readable by the Postgres account alone.
pub(crate) fn private_dir(dir: &Path, account: Option<Account>) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
    if let Some(account) = account {
        chown(dir, Some(account.uid), Some(account.gid)).with_context(|| format!("can't hand {} over", dir.display()))?;
    }
    fs::set_permissions(dir, Permissions::from_mode(0o700)).with_context(|| format!("can't protect {}", dir.display()))
}

/// Has `command` run under `account` (the standard library drops the supplementary groups too).
pub(crate) fn run_as(command: &mut Command, account: Option<Account>) {
    if let Some(account) = account {
        command.gid(account.gid).uid(account.uid);
    }
}
