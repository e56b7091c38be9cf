//! The API reference.

use anyhow::Result;
use keyward_tests::Origin;
use serde_json::json;

use crate::support::{host, output};

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_fits_a_phone_in_light_and_dark_and_asks_nobody_else() -> Result<()> {
    let origin = Origin::start().await?;
    let found = output(&mut host("reference.mjs", &origin)?)?;
    let said = &found["said"];
    for scheme in ["light", "dark"] {
        assert_eq!(said[scheme]["width"], 360, "{scheme}: something sticks out");
        assert_eq!(said[scheme]["opened"], "schema-CreateKey", "{scheme}: a link leads to what is closed");
        assert!(said[scheme]["operations"].as_u64().is_some_and(|operations| operations > 40), "{said}");
    }
    assert_ne!(said["light"]["paper"], said["dark"]["paper"]);
    assert_eq!(found["faults"], json!([]), "the browser complained");
    let url = origin.url();
    assert_eq!(found["requests"], json!([format!("{url}/docs"), format!("{url}/docs/style.css")]));
    Ok(())
}
