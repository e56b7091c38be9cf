//! The route table: which capability a request needs. A request without an entry is denied.

use crate::{
    Capability, EndpointPattern, NormalPath,
    bounds::{MAX_COST_CENTS, MAX_ROUTES},
};
use alloc::vec::Vec;

/// Which capability each endpoint of an upstream needs; the first entry that matches counts.
///
/// As text, an entry a line: `[METHOD ]/path -> capability`, or `-> authenticated` where any genuine key will do; and at its end
/// ` costs 25`, where a request may cost as many cents. Blank lines and lines that begin with `#` are passed over.
///
/// ```
/// use keyward_core::{NormalPath, Requirement, RouteTable};
/// let table = RouteTable::parse("POST /v1/chat/** -> llm:chat\n/v1/me -> authenticated").unwrap();
/// let path = NormalPath::parse("/v1/me").unwrap();
/// assert_eq!(table.requirement("GET", &path), Some(&Requirement::Authenticated));
/// assert_eq!(table.requirement("GET", &NormalPath::parse("/v2").unwrap()), None);
/// assert_eq!(RouteTable::parse("/v1/** -> llm:chat costs 25").unwrap().cost_cents(0), 25);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTable {
    routes: Vec<Route>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Route {
    entry: (EndpointPattern, Requirement),
    cost_cents: u64,
}

/// What a route asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// A key that holds, whatever its capabilities.
    Authenticated,
    /// A key whose policy has this capability.
    Capability(Capability),
}

/// Why a text is not a route table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the route table: {fault}")]
pub struct RouteError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: &'static str,
}

impl RouteTable {
    /// Reads a table.
    pub fn parse(text: &str) -> Result<Self, RouteError> {
        let mut routes = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let fault = |fault| RouteError { line: number + 1, fault };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if routes.len() == MAX_ROUTES {
                return Err(fault("too many routes"));
            }
            let (pattern, requirement) = line.split_once(" -> ").ok_or_else(|| fault("not of the form `pattern -> capability`"))?;
            let pattern = EndpointPattern::parse(pattern.trim()).map_err(|_| fault("not an endpoint pattern"))?;
            let (requirement, cost_cents) = match requirement.split_once(" costs ") {
                None => (requirement, 0),
                Some((requirement, cents)) => {
                    let cents = cents.trim().parse().ok().filter(|cents| *cents <= MAX_COST_CENTS);
                    (requirement, cents.ok_or_else(|| fault("not a number of cents"))?)
                }
            };
            let requirement = match requirement.trim() {
                "authenticated" => Requirement::Authenticated,
                text => Requirement::Capability(Capability::parse(text).map_err(|_| fault("not a capability"))?),
            };
            routes.push(Route { entry: (pattern, requirement), cost_cents });
        }
        Ok(Self { routes })
    }

    /// The number of the first entry that is for a request, from 0; `None` where no route is for it.
    pub fn find(&self, method: &str, path: &NormalPath) -> Option<usize> {
        self.routes.iter().position(|route| route.entry.0.matches(method, path))
    }

    /// The entry with this number: what it is for, and what it asks for.
    pub fn entry(&self, number: usize) -> Option<&(EndpointPattern, Requirement)> {
        self.routes.get(number).map(|route| &route.entry)
    }

    /// The most that a request of the entry with this number costs, cents.
    pub fn cost_cents(&self, number: usize) -> u64 {
        self.routes.get(number).map_or(0, |route| route.cost_cents)
    }

    /// What a request has to have; `None` where no route is for it.
    pub fn requirement(&self, method: &str, path: &NormalPath) -> Option<&Requirement> {
        self.entry(self.find(method, path)?).map(|(_, requirement)| requirement)
    }
}
