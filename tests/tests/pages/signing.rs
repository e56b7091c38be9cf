//! The page of signing keys, with an edge that follows.

use std::path::Path;

use anyhow::{Context, Result};
use keyward_tests::{Edge, EdgeConfig, Origin, Upstream, eventually, http::Request};
use serde_json::json;

use crate::support::{SOON, host, visit};

#[tokio::test(flavor = "multi_thread")]
async fn signing_keys_are_rotated_frozen_and_signed_for_elsewhere_and_a_customers_key_goes_on_to_pass() -> Result<()> {
    let origin = Origin::start().await?;
    let upstream = Upstream::start().await?;
    let config = EdgeConfig::new(&origin, &upstream)?.var("KEYWARD_ASSUME_TLS", "1").var("KEYWARD_ROUTES", "GET /v1/me -> authenticated");
    let edge = Edge::start(config).await?;
    let key = origin.create(json!({"name": "a customer's"})).await?;
    let request = Request::get("/v1/me").bearer(&key.raw_key);
    let passes = async || edge.send(0, &request).await.ok().filter(|answer| answer.status == 200).map(drop);
    eventually("the key passes at the edge", SOON, passes).await?;
    let folder = tempfile::tempdir()?;
    let program = origin.command()?.get_program().to_owned();
    let mut command = host("signing.mjs", &origin)?;
    command
        .env("EDGE", format!("http://{}", edge.addresses()[0]))
        .env("KEYWARD", Path::new(&program))
        .env("FOLDER", folder.path())
        .env("RAW", &key.raw_key)
        .env("ROOT", origin.root()?);
    let said = visit(&mut command)?;
    assert_eq!((&said["waited"], &said["early"]), (&json!(false), &json!(false)), "a button that mustn't be pressed can be");
    assert_eq!(said["rotated"], json!(["active", "verify-only"]));
    assert_eq!(said["frozen"], json!(["active", "frozen"]));
    assert_eq!((&said["before"], &said["after"]), (&json!(200), &json!(200)), "the customer notices");
    let reissue = said["reissue"].as_str().context("reissue")?.split_once('?').context("a query")?.1;
    let listed = origin.api("GET", &format!("?{reissue}"), None).await?.expect(200)?.json()?;
    let listed: Vec<_> = listed.as_array().context("keys")?.iter().map(|key| &key["id"]).collect();
    assert!(listed.contains(&&json!(key.id)), "{said}");
    let proposed = said["proposed"].as_str().context("proposed")?;
    assert!(proposed.contains("Feed") && proposed.contains("new") && proposed.contains("pre-published"), "{proposed}");
    Ok(())
}
