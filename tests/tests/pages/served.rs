//! How the pages are served.

use anyhow::{Context, Result};
use keyward_tests::{
    Origin,
    http::{Request, Response},
};

async fn fetch(origin: &Origin, path: &str) -> Result<Response> {
    origin.send(&Request::get(path).header("accept-encoding", "gzip, br").bearer(origin.admin_key()?.trim())).await
}

fn header<'a>(answer: &'a Response, name: &str) -> Result<&'a str> {
    answer.headers.first(name).with_context(|| format!("no {name}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_do_nothing_but_their_own_and_are_kept_where_they_never_change_and_answers_with_secrets_are_neither_kept_nor_compressed()
-> Result<()> {
    let origin = Origin::start().await?;
    let plain = origin.send(&Request::get("/")).await?.expect(200)?.text();
    assert!(!plain.contains("<style") && !plain.contains(" style=") && !plain.contains("javascript:"), "{plain}");
    assert!(plain.split("<script").skip(1).all(|tag| tag.split('>').next().is_some_and(|tag| tag.contains("src="))), "{plain}");
    for path in ["/", "/keys", "/keys/0190", "/audit"] {
        let page = fetch(&origin, path).await?.expect(200)?;
        let policy = header(&page, "content-security-policy")?;
        assert!(policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self';"), "{path}: {policy}");
        for loose in ["unsafe-inline", "'unsafe-eval'", "http:", "https:", "*"] {
            assert!(!policy.contains(loose), "{path}: {policy}");
        }
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{path}: {policy}");
        assert_eq!(header(&page, "cache-control")?, "no-cache", "{path}");
        assert_eq!(header(&page, "cross-origin-opener-policy")?, "same-origin", "{path}");
    }
    let script = plain.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).context("a script")?;
    let script = fetch(&origin, script).await?.expect(200)?;
    assert_eq!(header(&script, "cache-control")?, "public, max-age=31536000, immutable");
    assert_eq!(header(&script, "content-encoding")?, "gzip");
    assert_eq!(fetch(&origin, "/assets/none.js").await?.status, 404);
    for path in ["/api/v1/api-keys", "/api/v1/audit"] {
        let answer = fetch(&origin, path).await?.expect(200)?;
        assert_eq!(header(&answer, "cache-control")?, "no-store", "{path}");
        assert!(answer.headers.first("content-encoding").is_none(), "{path}");
    }
    Ok(())
}
