//! How fast the list is where there are many keys.

use std::time::Duration;

use anyhow::{Context, Result};
use keyward_tests::Origin;
use serde_json::{Value, json};

use crate::support::{host, visit};

/// Many keys of one tenant.
const FILL: &str = include_str!("../../fill.sql");
/// From asking for the page to its first rows.
const FIRST_ROWS: Duration = Duration::from_millis(500);
/// From the last letter of a search to its rows.
const SEARCH: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_4_000_keys_is_shown_and_searched_without_a_wait() -> Result<()> {
    // Of a build that isn't optimised, beside other tests.
    measure(4000, 6).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: cargo xtask soak pages"]
async fn soak_pages_of_400_000_keys_show_rows_in_500_ms_and_search_in_300_ms() -> Result<()> {
    measure(400_000, 1).await
}

/// With so many keys, and so many times the time.
async fn measure(keys: u32, leeway: u32) -> Result<()> {
    let origin = Origin::start().await?;
    let plain = origin.create(json!({"capabilities": ["llm:gpt-4"]})).await?.body;
    let rare = origin.create(json!({"capabilities": ["rag:search"]})).await?.body;
    let (plain, rare) = (&plain["api_key"], &rare["api_key"]);
    let fill = FILL.replace("TENANT", plain["tenant_id"].as_str().context("tenant_id")?).replace("COUNT", &keys.to_string());
    let fill = fill.replace("PLAIN", &plain["policy"].to_string()).replace("RARE", &rare["policy"].to_string());
    let database = origin.postgres.as_ref().context("a database")?;
    database.query(&fill)?;
    database.query("VACUUM ANALYZE api_keys, credentials, policies")?;
    let said = visit(&mut host("speed.mjs", &origin)?)?;
    for (what, bound) in [("rows", FIRST_ROWS), ("searches", SEARCH)] {
        let mut times: Vec<f64> = said[what].as_array().context("times")?.iter().filter_map(Value::as_f64).collect();
        times.sort_by(f64::total_cmp);
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        println!("{what} of {keys} keys: median {median:.0} ms, worst {worst:.0} ms");
        assert!(worst <= (bound * leeway).as_secs_f64() * 1000.0, "{what}: {times:?}");
    }
    Ok(())
}
