//! The harness does what it says: what it breaks is broken, what it records is what was sent.

use anyhow::Result;
use keyward_tests::{
    Postgres, Relay, Upstream, Verdict,
    http::{Connection, Request, Response, send},
};

#[tokio::test]
async fn an_upstream_sees_each_request_byte_for_byte() -> Result<()> {
    let upstream = Upstream::start().await?;
    let mut connection = Connection::open(upstream.address()).await?;
    for target in ["/a/%2e%2e/b", "//a\\b", "/%61?q=%00#f", "*"] {
        let request = Request::new("POST", target).header("X-Twice", "1").header("x-twice", "2").json(&serde_json::json!([1]));
        connection.send(&request).await?.expect(200)?;
        let seen = upstream.take().remove(0);
        assert_eq!((seen.target_text().as_str(), seen.body.as_slice()), (target, b"[1]".as_slice()));
        assert_eq!(seen.headers.all("x-twice").collect::<Vec<_>>(), ["1", "2"]);
    }
    assert_eq!(upstream.count(), 4);
    Ok(())
}

#[tokio::test]
async fn a_relay_passes_on_changes_answers_and_cuts_off() -> Result<()> {
    let upstream = Upstream::start().await?;
    let relay = Relay::start(upstream.address()).await?;
    let request = Request::new("PUT", "/x");
    let ask = || send(relay.address(), &request);
    assert_eq!(ask().await?.json()?["target"], "/x");
    relay.rule(|_| Verdict::Change(Box::new(|response| Response { status: 418, ..response })));
    assert_eq!(ask().await?.status, 418);
    relay.rule(|_| Verdict::Answer(Response::new(204, "text/plain", "")));
    assert_eq!(ask().await?.status, 204);
    relay.rule(|_| Verdict::Reset);
    assert!(ask().await.is_err());
    assert_eq!((upstream.count(), relay.count()), (2, 4));
    Ok(())
}

#[tokio::test]
async fn a_killed_postgres_keeps_what_it_has_committed() -> Result<()> {
    let mut postgres = Postgres::start().await?;
    postgres.query("create table kept (n int); insert into kept values (7)")?;
    postgres.kill()?;
    assert!(postgres.query("select 1").is_err());
    postgres.restart().await?;
    assert_eq!(postgres.query("select n from kept")?, "7");
    Ok(())
}
