//! The route table of an edge.

use keyward_core::{NormalPath, Requirement};
use serde_json::json;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{error::error, explain::plain};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = "
/** An entry of a route table. */
export interface Route {
  /** `POST /v1/chat/**`. */
  readonly pattern: string;
  /** A capability, or `authenticated`. */
  readonly requirement: string;
  /** The most that a request may cost. */
  readonly costCents: number;
}
";

#[wasm_bindgen]
extern "C" {
    /// See `Route` in the types.
    #[wasm_bindgen(typescript_type = "Route | undefined")]
    pub type Entry;
}

/// Which capability each endpoint of an upstream needs: an edge's `KEYWARD_ROUTES`.
#[wasm_bindgen]
pub struct RouteTable(keyward_core::RouteTable);

#[wasm_bindgen]
impl RouteTable {
    /// Reads a table.
    ///
    /// @throws {KeywardError} `routes`
    pub fn parse(text: &str) -> Result<RouteTable, JsValue> {
        keyward_core::RouteTable::parse(text).map(Self).map_err(|cause| error("routes", &cause))
    }

    /// The entry for a request; `undefined` where there is none.
    pub fn find(&self, method: &str, path: &str) -> Entry {
        let found = NormalPath::parse(path).ok().and_then(|path| self.0.find(method, &path));
        self.entry(found.unwrap_or(usize::MAX))
    }

    /// The entry with that number, from 0; `undefined` where there is none.
    pub fn entry(&self, number: usize) -> Entry {
        let Some((pattern, requirement)) = self.0.entry(number) else { return JsValue::UNDEFINED.into() };
        let requirement = match requirement {
            Requirement::Authenticated => "authenticated",
            Requirement::Capability(capability) => capability.as_str(),
        };
        let entry = json!({"pattern": pattern.to_string(), "requirement": requirement, "costCents": self.0.cost_cents(number)});
        plain(&entry).into()
    }
}
