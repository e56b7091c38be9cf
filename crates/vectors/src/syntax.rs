//! What is judged by its text alone.

use crate::{input, outcome};
use keyward_core::{Capability, DomainPattern, EndpointPattern, Network, NormalPath, StatusListBody};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    raw: String,
}

pub(crate) fn path(_: &Value, case: Value) -> Result<Value, String> {
    let Raw { raw } = input(case)?;
    Ok(outcome(NormalPath::parse(&raw).map(|path| path.as_str().to_owned())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternCase {
    pattern: String,
    request: Option<(String, String)>,
}

/// With a request: whether it matches. Without: how the pattern is written in its normal form.
pub(crate) fn pattern(_: &Value, case: Value) -> Result<Value, String> {
    let PatternCase { pattern, request } = input(case)?;
    let pattern = match EndpointPattern::parse(&pattern) {
        Ok(pattern) => pattern,
        Err(error) => return Ok(outcome::<Value, _>(Err(error))),
    };
    let Some((method, raw)) = request else { return Ok(json!({ "ok": pattern.to_string() })) };
    Ok(outcome(NormalPath::parse(&raw).map(|path| pattern.matches(&method, &path))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkCase {
    network: String,
    address: Option<String>,
}

/// With an address: whether the network holds it. Without: how the network is written in its normal form.
pub(crate) fn network(_: &Value, case: Value) -> Result<Value, String> {
    let NetworkCase { network, address } = input(case)?;
    let network = match Network::parse(&network) {
        Ok(network) => network,
        Err(error) => return Ok(outcome::<Value, _>(Err(error))),
    };
    let Some(address) = address else { return Ok(json!({ "ok": network.to_string() })) };
    let address = address.parse().map_err(|_| format!("{address} is no address"))?;
    Ok(json!({ "ok": network.contains(address) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CapabilityCase {
    held: String,
    wanted: String,
}

pub(crate) fn capability(_: &Value, case: Value) -> Result<Value, String> {
    let CapabilityCase { held, wanted } = input(case)?;
    let covers = |held: &str, wanted: &str| Ok(Capability::parse(held)?.covers(&Capability::parse(wanted)?));
    Ok(outcome::<bool, keyward_core::CapabilityError>(covers(&held, &wanted)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DomainCase {
    pattern: String,
    host: String,
}

pub(crate) fn domain(_: &Value, case: Value) -> Result<Value, String> {
    let DomainCase { pattern, host } = input(case)?;
    Ok(match DomainPattern::parse(&pattern) {
        Some(pattern) => json!({ "ok": pattern.matches(&host) }),
        None => json!({ "error": "Domain" }),
    })
}

/// The values of a list, or why it is none.
pub(crate) fn status_list(_: &Value, case: Value) -> Result<Value, String> {
    let body: StatusListBody = input(case)?;
    Ok(outcome(body.decode().map(|list| (0..list.len()).filter_map(|at| list.value(at)).collect::<Vec<u8>>())))
}
