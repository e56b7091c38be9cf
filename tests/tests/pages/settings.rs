//! The page of settings, and who is shown which pages.

use anyhow::{Context, Result};
use keyward_tests::{Edge, EdgeConfig, Origin, Upstream, eventually, http::Request};
use serde_json::json;

use crate::support::{SOON, host, visit};

#[tokio::test(flavor = "multi_thread")]
async fn settings_say_what_an_edge_is_told_and_pages_of_operators_show_nothing_to_others() -> Result<()> {
    let origin = Origin::start().await?;
    let user = origin.create(json!({"name": "a user's", "owner_id": "ann", "capabilities": ["keys:read"]})).await?;
    let upstream = Upstream::start().await?;
    let edge = Edge::start(EdgeConfig::new(&origin, &upstream)?).await?;
    // It follows once it has something to decide.
    let request = Request::get("/").bearer(&user.raw_key);
    let decides = async || edge.send(0, &request).await.ok().filter(|answer| answer.status == 403).map(drop);
    eventually("the edge knows the key", SOON, decides).await?;
    let mut command = host("settings.mjs", &origin)?;
    let said = visit(command.env("WEAK", &user.raw_key))?;
    assert!(said["server"].as_str().is_some_and(|server| server.contains("400 days")), "{said}");
    assert_eq!(said["shown"], 0, "a user is shown how the deployment runs");
    let lines = said["lines"].as_str().context("lines")?;
    for line in [format!("KEYWARD_ROOTS = \"{}\"", origin.root()?), format!("KEYWARD_ORIGIN = \"{}\"", origin.url())] {
        assert!(lines.contains(&line), "{lines}");
    }
    let shown = |who: &str, page: &str| said[who].as_array().is_some_and(|pages| pages.contains(&json!(page)));
    for page in ["Signing keys", "Tenants", "Owners"] {
        assert!(shown("operator", page) && !shown("user", page), "{page}: {said}");
    }
    assert!(shown("user", "Keys") && shown("user", "Settings"), "{said}");
    assert_eq!(said["switches"], 0);
    assert!(said["refused"].as_str().context("refused")?.contains("signing:read"), "{said}");
    assert_eq!(said["asked"], 0);
    Ok(())
}
