//! Pictures of the pages, of everything running with data that look like somebody's.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result};
use keyward_tests::{eventually, http::Request};
use tokio::task::spawn_blocking;

use crate::{
    setup,
    shell::{root, run, step},
    up::Stack,
};

/// What doesn't happen within that won't.
const SOON: Duration = Duration::from_secs(20);
/// Where they go.
const FOLDER: &str = "docs/screenshots";

/// Takes them all anew.
pub(crate) async fn take() -> Result<()> {
    let stack = Stack::start(None).await?;
    let edge = format!("http://{}", stack.edge.addresses().first().context("the edge's address")?);
    let admin = stack.origin.admin_key()?;
    eventually("the edge follows the origin", SOON, async || {
        let request = Request::get("/echo").bearer(admin.trim());
        let answer = stack.edge.send(0, &request).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await?;
    let mut command = Command::new("node");
    command
        .arg(root().join("tests/hosts/pages/screenshots.mjs"))
        .env("CHROMIUM", setup::chromium()?)
        .env("PAGE", stack.origin.url())
        .env("EDGE", edge)
        .env("KEY", admin.trim())
        .env("EDGE_KEY", stack.origin.edge_key()?.trim())
        .env("OUT", root().join(FOLDER));
    spawn_blocking(move || step("pictures", || run(&mut command))).await?
}
