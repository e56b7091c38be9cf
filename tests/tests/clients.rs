//! The code in the documentation, run as it stands there.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use keyward_tests::{Artefacts, Edge, EdgeConfig, Origin, OriginConfig, Upstream, eventually, http::Request, workspace_root};
use serde_json::Value;

/// What Node has and the language's own library doesn't know of.
const NODE: &str = "declare const process: { env: Record<string, string | undefined> };\nexport {};\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_of_the_documentation_do_what_it_says_in_each_language() -> Result<()> {
    let origin = Origin::start().await?;
    let place = tempfile::tempdir()?;
    for (name, language) in [("from curl", "bash"), ("from Python", "python"), ("from TypeScript", "typescript")] {
        let code = code("docs/clients.md", language)?;
        let mut command = match language {
            "bash" => script("bash", place.path(), "client.sh", &code)?,
            "python" => script("python3", place.path(), "client.py", &code)?,
            _ => script("node", place.path(), &compiled(place.path(), &code)?, "")?,
        };
        let output = command.env("KEYWARD_URL", origin.url()).env("KEYWARD_KEY", origin.admin_key()?).output()?;
        let said = succeeded(language, &output)?;
        // Each has listed all pages, and told the problem.
        for part in [name, "First admin", "allowed_ips[0]: "] {
            ensure!(said.contains(part), "{language} doesn't say {part:?}: {said}");
        }
        let asked = Request::get("/api/v1/api-keys?status=revoked&sort=created&limit=1").bearer(&origin.admin_key()?);
        let keys: Value = serde_json::from_slice(&origin.send(&asked).await?.expect(200)?.body)?;
        ensure!(keys[0]["name"] == name && keys[0]["revocation_reason"] == "an example", "{language}: {keys}");
        ensure!(keys[0]["last_rotated"].is_string(), "{language} hasn't rotated: {keys}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_steps_of_the_readme_work_as_they_are_written() -> Result<()> {
    let home = tempfile::Builder::new().prefix("keyward-readme-").tempdir()?;
    let origin = Origin::start_with(OriginConfig { data: Some(home.path().join(".keyward/data")), ..OriginConfig::default() }).await?;
    let upstream = Upstream::start().await?;
    let config = EdgeConfig::new(&origin, &upstream)?.var("KEYWARD_ASSUME_TLS", "1").var("KEYWARD_ROUTES", "/echo -> authenticated");
    let edge = Edge::start(config).await?;

    let steps = section("README.md", "## A first key")?;
    let code = steps.into_iter().find(|(language, _)| language == "sh").context("the steps")?.1;
    let programs = Artefacts::locate()?.keyward.parent().context("a folder")?.display().to_string();
    let code = code.replace("$PWD/target/debug", &programs);
    let code = code.replace("127.0.0.1:8080", &origin.address().to_string()).replace("127.0.0.1:8787", &edge.addresses()[0].to_string());
    let code = format!("export KEYWARD_URL={}\n{code}\nprintf %s \"$KEY\" > first.key\n", origin.url());
    let said = succeeded("README.md", &script("bash", home.path(), "first.sh", &code)?.output()?)?;
    let statuses: Vec<&str> = said.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect();
    // The last one is answered within milliseconds of the revocation, which is mostly, not always, long enough.
    ensure!(statuses.len() == 3 && statuses[..2] == ["200", "401"], "{said}");
    let key = fs::read_to_string(home.path().join("first.key"))?;
    eventually("the edge refuses it", Duration::from_secs(5), async || {
        let answer = edge.send(0, &Request::get("/echo").bearer(&key)).await.ok()?;
        (answer.status == 401).then_some(())
    })
    .await
}

/// All code of a language in a page, in order.
fn code(page: &str, language: &str) -> Result<String> {
    let blocks = section(page, "# ")?;
    let code: String = blocks.into_iter().filter(|(found, _)| found == language).map(|(_, code)| code).collect();
    ensure!(!code.is_empty(), "no {language} in {page}");
    Ok(code)
}

/// The blocks of code below a heading (up to the next one of its level), each with its language.
fn section(page: &str, heading: &str) -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string(workspace_root().join(page))?;
    let (_, rest) = text.split_once(heading).with_context(|| format!("{page} has no {heading:?}"))?;
    let end = if heading == "# " { None } else { rest.find("\n## ") };
    let parts = rest[..end.unwrap_or(rest.len())].split("\n```");
    // Between two fences, every other part is code; its first line is the language.
    let blocks = parts.skip(1).step_by(2).filter_map(|part| part.split_once('\n'));
    Ok(blocks.map(|(language, code)| (language.to_owned(), format!("{code}\n"))).collect())
}

/// A program on a file there, with nothing of Keyward's in its environment.
fn script(program: &str, place: &Path, name: &str, code: &str) -> Result<Command> {
    if !code.is_empty() {
        fs::write(place.join(name), code)?;
    }
    let mut command = Command::new(program);
    command.current_dir(place).arg(name);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("KEYWARD_")) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// As JavaScript, once the compiler finds nothing wrong with it.
fn compiled(place: &Path, code: &str) -> Result<String> {
    fs::write(place.join("client.ts"), format!("{NODE}{code}"))?;
    let compiler = workspace_root().join("node_modules/.bin/tsc");
    ensure!(compiler.exists(), "{} is missing: run `cargo xtask setup`", compiler.display());
    let options = ["--strict", "--target", "es2023", "--module", "esnext", "--lib", "es2023,dom", "--types", "", "client.ts"];
    succeeded("tsc", &Command::new(compiler).current_dir(place).args(options).output()?)?;
    fs::rename(place.join("client.js"), place.join("client.mjs"))?;
    Ok("client.mjs".to_owned())
}

fn succeeded(name: &str, output: &Output) -> Result<String> {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{name} failed: {complained}\n{said}");
    Ok(said.into_owned())
}
