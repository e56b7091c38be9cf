//! The configuration of a bare workerd (Cap'n Proto text), made from `wrangler.toml`.
//!
//! The bindings stand in `wrangler.toml` alone, so what is tested has the same as what is deployed. Under `wrangler
//! dev` it would too, but its proxy hides what clients do to their connections and costs most of the throughput.

use std::{fmt::Write, fs, net::SocketAddr, path::Path};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::EdgeConfig;
use crate::workspace_root;

/// What of `wrangler.toml` matters here.
#[derive(Debug, Default, Deserialize)]
struct Wrangler {
    compatibility_date: String,
    #[serde(default)]
    compatibility_flags: Vec<String>,
    #[serde(default)]
    vars: toml::Table,
    #[serde(default)]
    durable_objects: DurableObjects,
}

#[derive(Debug, Default, Deserialize)]
struct DurableObjects {
    bindings: Vec<Object>,
}

#[derive(Debug, Deserialize)]
struct Object {
    name: String,
    class_name: String,
}

impl Wrangler {
    fn read() -> Result<Self> {
        let path = workspace_root().join("wrangler.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(toml::from_str(&text)?)
    }
}

/// The text for `config`; sockets without an address get a port of the system's choice.
///
/// What the Durable Objects store stands in `objects`, a folder that has to exist: SQLite is not to be had in memory.
pub(super) fn write(config: &EdgeConfig, addresses: &[SocketAddr], modules: &Path, objects: &Path) -> Result<String> {
    let bindings = config.objects.iter().map(|(name, class_name)| Object { name: name.clone(), class_name: class_name.clone() });
    let wrangler = match config.modules {
        None => Wrangler::read()?,
        Some(_) => Wrangler {
            compatibility_date: Wrangler::read()?.compatibility_date,
            durable_objects: DurableObjects { bindings: bindings.collect() },
            ..Wrangler::default()
        },
    };
    let modules = module_list(modules)?;
    let mut text = String::from("using Workerd = import \"/workerd/workerd.capnp\";\n");
    text.push_str("const config :Workerd.Config = (\n  services = [\n");
    for isolate in 0..config.isolates {
        writeln!(text, "    (name = \"s{isolate}\", worker = .w{isolate}),")?;
    }
    // Loopback is a private address, where the origin and the upstream are.
    text.push_str("    (name = \"internet\", network = (allow = [\"private\", \"public\"])),\n");
    let objects = quoted(objects.to_str().context("a folder's path")?)?;
    writeln!(text, "    (name = \"objects\", disk = (path = {objects}, writable = true)),")?;
    text.push_str("  ],\n  sockets = [\n");
    for isolate in 0..config.isolates {
        let address = addresses.get(isolate).map_or_else(|| "127.0.0.1:0".to_owned(), ToString::to_string);
        writeln!(text, "    (name = \"s{isolate}\", address = \"{address}\", http = (), service = \"s{isolate}\"),")?;
    }
    text.push_str("  ],\n);\n");
    for isolate in 0..config.isolates {
        worker(&mut text, isolate, config, &wrangler, &modules)?;
    }
    Ok(text)
}

/// One isolate. The first owns the Durable Objects; the others reach them there.
fn worker(text: &mut String, isolate: usize, config: &EdgeConfig, wrangler: &Wrangler, modules: &str) -> Result<()> {
    writeln!(text, "const w{isolate} :Workerd.Worker = (\n  modules = [\n{modules}  ],")?;
    writeln!(text, "  compatibilityDate = {},", quoted(&wrangler.compatibility_date)?)?;
    let flags = wrangler.compatibility_flags.iter().map(|flag| quoted(flag)).collect::<Result<Vec<_>>>()?;
    writeln!(text, "  compatibilityFlags = [{}],\n  bindings = [", flags.join(", "))?;
    for (name, value) in &wrangler.vars {
        if !config.vars.iter().any(|(other, _)| other == name) {
            let value = value.as_str().with_context(|| format!("{name} in wrangler.toml isn't a text"))?;
            writeln!(text, "    (name = {}, text = {}),", quoted(name)?, quoted(value)?)?;
        }
    }
    for (name, value) in &config.vars {
        writeln!(text, "    (name = {}, text = {}),", quoted(name)?, quoted(value)?)?;
    }
    for (name, _) in &config.secrets {
        writeln!(text, "    (name = {0}, fromEnvironment = {0}),", quoted(name)?)?;
    }
    let objects = &wrangler.durable_objects.bindings;
    for Object { name, class_name } in objects {
        let class = quoted(class_name)?;
        let place = if isolate == 0 { class } else { format!("(className = {class}, serviceName = \"s0\")") };
        writeln!(text, "    (name = {}, durableObjectNamespace = {place}),", quoted(name)?)?;
    }
    text.push_str("  ],\n");
    if isolate == 0 && !objects.is_empty() {
        text.push_str("  durableObjectNamespaces = [\n");
        for Object { class_name, .. } in objects {
            let class = quoted(class_name)?;
            writeln!(text, "    (className = {class}, uniqueKey = {class}, enableSql = true),")?;
        }
        text.push_str("  ],\n  durableObjectStorage = (localDisk = \"objects\"),\n");
    }
    text.push_str(");\n");
    Ok(())
}

/// Every module of the folder, the entry first. Embedded paths are relative to workerd's import path.
fn module_list(folder: &Path) -> Result<String> {
    let mut names = Vec::new();
    collect(folder, "", &mut names)?;
    names.sort_by_key(|name| (name != "index.js", name.clone()));
    ensure!(names.first().is_some_and(|name| name == "index.js"), "no index.js in {}", folder.display());
    let mut text = String::new();
    for name in names {
        let kind = if name.ends_with(".wasm") { "wasm" } else { "esModule" };
        let (module, file) = (quoted(&name)?, quoted(&format!("/{name}"))?);
        writeln!(text, "    (name = {module}, {kind} = embed {file}),")?;
    }
    Ok(text)
}

fn collect(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_str().context("a module's name")?);
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), names)?;
        } else if name.ends_with(".js") || name.ends_with(".wasm") {
            names.push(name);
        }
    }
    Ok(())
}

/// A Cap'n Proto text literal.
fn quoted(text: &str) -> Result<String> {
    ensure!(!text.contains(|c: char| c.is_control() && c != '\n'), "a control character in {text:?}");
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")))
}
