//! The pages of keys, through a real edge.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Edge, EdgeConfig, Origin, Upstream, eventually,
    http::{Request, Response},
};
use serde_json::{Value, json};

use crate::support::{SOON, host, visit};

/// What the upstream offers.
const ROUTES: &str = "GET /v1/me -> authenticated\n/v1/search -> rag:search\nPOST /v1/chat/** -> llm:gpt-4";

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_what_its_address_says_and_many_keys_are_changed_at_once() -> Result<()> {
    let origin = Origin::start().await?;
    let billing = origin.create(json!({"name": "billing exporter", "owner_id": "team-billing"})).await?;
    let workers: Vec<Value> =
        (0..60).map(|at| json!({"name": format!("worker {at:02}"), "owner_id": if at % 4 == 0 { "ann" } else { "bob" }})).collect();
    origin.api("POST", "/bulk/create", Some(&json!({"keys": workers}))).await?.expect(201)?;
    let said = visit(&mut host("keys.mjs", &origin)?)?;
    let numbered = |numbers: std::ops::Range<u32>| json!(numbers.map(|at| format!("worker {at:02}")).collect::<Vec<_>>());
    assert_eq!((&said["first"], &said["second"]), (&numbered(0..50), &numbered(50..60)));
    assert_eq!(said["again"], said["second"], "a reload shows another page");
    assert_eq!(said["back"], said["first"], "the way back leads elsewhere");
    assert_eq!((&said["anns"], &said["early"], &said["cleared"]), (&json!(15), &json!(false), &json!("/keys")));
    let show = async |id: &str| origin.api("GET", &format!("/{id}"), None).await?.expect(200)?.json();
    let billing = show(&billing.id).await?;
    assert_eq!((&billing["status"], &billing["owner_id"]), (&json!("active"), &json!("team-payments")));
    let revoked = origin.api("GET", "?search=worker&status=revoked", None).await?.expect(200)?.json()?;
    let reasons: Vec<_> = revoked.as_array().context("keys")?.iter().map(|key| &key["revocation_reason"]).collect();
    assert_eq!(reasons, vec!["spring cleaning"; 60]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_shown_once_and_does_what_was_tried_out_before() -> Result<()> {
    let place = Place::start().await?;
    let said = visit(&mut host("new-key.mjs", &place.origin)?)?;
    let secret = said["secret"].as_str().context("secret")?;
    place.follow(secret).await?;
    for (request, verdict) in said["tried"].as_object().context("tried")? {
        let (method, path) = request.split_once(' ').context("a request")?;
        let answer = place.edge.send(0, &Request::new(method, path).bearer(secret)).await?;
        let code = if answer.status == 200 { json!("passed") } else { answer.json()?["code"].clone() };
        assert_eq!(code, *verdict, "{request} was tried out wrongly");
    }
    assert_eq!(said["tried"]["GET /v1/me"], "passed");
    assert_eq!((&said["copied"], &said["downloaded"]), (&json!(secret), &json!(format!("{secret}\n"))));
    for (what, expected) in [("stays", true), ("beside", false), ("early", false), ("left", false), ("sent", false)] {
        assert_eq!(said[what], expected, "{what}");
    }
    assert_eq!(said["wrong"], "true", "the field isn't marked");

    // The lines that were shown make the same key.
    let made = place.origin.api("GET", &format!("/{}", said["id"].as_str().context("id")?), None).await?.expect(200)?.json()?;
    assert_eq!((&made["rate_limit_per_hour"], &made["capabilities"]), (&json!(250), &json!(["rag:search"])));
    for line in ["curl", "cli"] {
        place.shell(said[line].as_str().context("a line")?)?;
    }
    let same = place.origin.api("GET", "?search=it's", None).await?.expect(200)?.json()?;
    let policies: Vec<_> = same.as_array().context("keys")?.iter().map(|key| &key["policy"]).collect();
    assert_eq!(policies, vec![&made["policy"]; 3], "the lines make another key");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_on_a_keys_page_holds_at_the_edge() -> Result<()> {
    let place = Place::start().await?;
    let key = place.origin.create(json!({"name": "billing exporter", "capabilities": ["rag:search"]})).await?;
    place.follow(&key.raw_key).await?;
    place.origin.exchange(&key.raw_key, &[]).await?;
    let used = format!("/{}/usage", key.id);
    eventually("its use is counted and its token written down", SOON, async || {
        let report = place.origin.api("GET", &used, None).await.ok()?.json().ok()?;
        let trail = format!("/api/v1/audit?key={}&action=token_issued", key.id);
        let issued = place.origin.send(&Request::get(&trail).bearer(&place.origin.admin_key().ok()?)).await.ok()?.json().ok()?;
        (report["total_requests"].as_u64()? > 0 && !issued.as_array()?.is_empty()).then_some(())
    })
    .await?;
    let mut command = host("key.mjs", &place.origin)?;
    let said = visit(command.env("EDGE", format!("http://{}", place.edge.addresses()[0])).env("ID", &key.id).env("RAW", &key.raw_key))?;
    assert!(
        said["endpoints"].as_array().context("endpoints")?.iter().any(|line| line.as_str().is_some_and(|line| line.contains("GET /v1/me")))
    );
    assert!(said["tokens"].as_str().context("tokens")?.contains("token exchange"), "{said}");
    assert_eq!((&said["removed"], &said["added"]), (&json!(["rag:search"]), &json!(["rag:upload"])));
    assert!(said["outcomes"][0].as_str().is_some_and(|first| first.starts_with("passed")), "{said}");
    let moment = said["moment"].as_array().context("a moment")?;
    // A busy machine takes its time until it looks.
    let ago = moment[0].as_str().is_some_and(|ago| ago == "just now" || ago.ends_with("minute ago") || ago.ends_with("minutes ago"));
    assert!(ago && moment[1].as_str().is_some_and(|exact| exact.contains(':') && exact.len() > 15), "{moment:?}");
    assert_eq!(said["quiet"], "quiet", "an old raw key that nobody presents isn't said to be quiet");
    assert_eq!(said["tried"], json!({"before": "passed", "after": "capability_missing", "edge": 200}), "tried out before it is saved");
    assert_eq!((&said["both"], &said["finished"], &said["early"]), (&json!([200, 200]), &json!(200), &json!(false)));
    assert_eq!(said["blind"], false, "an old raw key that is still presented can be ended without a typed word");
    assert_eq!(said["stillUsed"], true, "the use of the old raw key isn't told: {}", said["cutOver"]);
    let deeds = [
        "api key revoked",
        "api key rotation finished",
        "api key rotated",
        "api key renewed",
        "api key resumed",
        "api key suspended",
        "api key updated",
        "api key created",
    ];
    assert_eq!(said["deeds"], json!(deeds));
    Ok(())
}

/// An origin, an edge that follows it, and the service behind.
struct Place {
    edge: Edge,
    _upstream: Upstream,
    origin: Origin,
}

impl Place {
    async fn start() -> Result<Self> {
        let origin = Origin::start().await?;
        let upstream = Upstream::start().await?;
        let config = EdgeConfig::new(&origin, &upstream)?.var("KEYWARD_ASSUME_TLS", "1").var("KEYWARD_ROUTES", ROUTES);
        Ok(Self { edge: Edge::start(config).await?, _upstream: upstream, origin })
    }

    /// Waits until the edge knows a key.
    async fn follow(&self, raw: &str) -> Result<()> {
        let request = Request::get("/v1/me").bearer(raw);
        let passes = async || self.edge.send(0, &request).await.ok().filter(|answer: &Response| answer.status == 200).map(drop);
        eventually("the key passes at the edge", SOON, passes).await
    }

    /// Runs a line as somebody would who has copied it.
    fn shell(&self, line: &str) -> Result<()> {
        let program = self.origin.command()?.get_program().to_owned();
        let folder = std::path::Path::new(&program).parent().context("a folder")?.to_owned();
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-euc", line])
            .env("KEYWARD_KEY", self.origin.admin_key()?.trim())
            .env("KEYWARD_URL", self.origin.url())
            .env("PATH", format!("{}:{path}", folder.display()))
            .output()?;
        ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}
