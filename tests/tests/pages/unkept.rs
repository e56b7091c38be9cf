//! What can't be had twice.

use anyhow::{Context, Result};
use keyward_tests::Origin;
use serde_json::json;

use crate::support::{host, visit};

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_shown_once_and_a_form_that_is_half_filled_outlive_whatever_happens_meanwhile() -> Result<()> {
    let origin = Origin::start().await?;
    let said = visit(&mut host("unkept.mjs", &origin)?)?;
    for moment in ["whileAway", "since", "lapsed"] {
        assert_eq!(said[moment], "half filled", "{moment}");
    }
    for (what, there) in said["there"].as_object().context("there")? {
        assert_eq!(*there, true, "the secret was lost by {what}");
    }
    assert_eq!((&said["question"], &said["described"]), (&json!("beforeunload"), &json!("what it is for")));
    Ok(())
}
