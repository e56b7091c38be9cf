//! What a deployment sets: read once per isolate, plain data, and refused as a whole where any of it can't be read.

use crate::{limits::outage::LimitOutage, outage::Outage};
use keyward_core::{Environment, PublicKey, RouteTable, ScopeClass, limits::Pace};

/// How old the state may be before a request waits for a newer one, unless KEYWARD_SOFT_AGE_MS says otherwise.
const DEFAULT_SOFT_AGE_MS: u64 = 5_000;
/// How old it may be before the outage mode decides, unless KEYWARD_HARD_AGE_MS says otherwise.
const DEFAULT_HARD_AGE_MS: u64 = 60_000;
/// A soft age below this would be shorter than the time between two heartbeats.
const MIN_SOFT_AGE_MS: u64 = 3_000;
/// For how long permits stay that aren't used, unless KEYWARD_LIMIT_IDLE_MS says otherwise.
const DEFAULT_LIMIT_IDLE_MS: u64 = 1_000;
/// Below this a block would go back and forth.
const MIN_LIMIT_IDLE_MS: u64 = 500;
const MAX_AGE_MS: u64 = 24 * 60 * 60 * 1000;
/// Roots that may be pinned: the current one and the next, with room for a third during a change.
const MAX_ROOTS: usize = 4;
/// Variables of the route table: a platform bounds each (Cloudflare by 5 KB), so that a long table takes several.
const MAX_ROUTE_VARIABLES: usize = 32;
/// The shortest token that guards the metrics.
const MIN_METRICS_TOKEN: usize = 16;

/// The configuration of an edge.
#[derive(Debug)]
pub struct Config {
    /// The origin's URL, without a slash at the end.
    pub origin: String,
    /// The key with which the edge asks the origin.
    pub sync_key: Secret,
    /// The roots that may sign a manifest.
    pub roots: Vec<PublicKey>,
    /// Where permitted requests go: a URL without a path, and without a slash at the end.
    pub upstream: String,
    /// The environment whose keys are taken.
    pub environment: Environment,
    /// For whom a token has to be; the issuer where it isn't set.
    pub audience: Option<String>,
    /// What each endpoint asks for.
    pub routes: RouteTable,
    /// The token that the metrics are given to; without it they are given to nobody.
    pub metrics_token: Option<Secret>,
    /// Milliseconds of age from which a request first waits for a newer state.
    pub soft_age_ms: u64,
    /// Milliseconds of age from which the outage mode decides.
    pub hard_age_ms: u64,
    /// What holds past the hard age.
    pub outage: Outage,
    /// What passes where a key's limits can't be asked about.
    pub limit_outage: LimitOutage,
    /// How isolates ask for permits of keys' objects, and give back what isn't used;
    pub isolate_pace: Pace,
    /// and objects of the origin.
    pub object_pace: Pace,
    /// What clients are told of their limits.
    pub limit_fields: LimitFields,
    /// The header that names the caller's address.
    pub client_ip_header: String,
    /// The header in which a request declares its tokens.
    pub tokens_header: Option<String>,
    /// How it is known that a request came over TLS.
    pub tls: Tls,
    /// The name of the hub that this edge's isolates share.
    pub hub: String,
}

/// How it is known that a request came over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// By the scheme of the request's URL.
    Scheme,
    /// All requests do: whatever stands before the edge sees to it.
    Assumed,
    /// By this header having the value `https`. Whatever stands before the edge has to overwrite it.
    Header(String),
}

impl Tls {
    /// The name of the header that tells.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::Header(name) => Some(name),
            Self::Scheme | Self::Assumed => None,
        }
    }
}

/// What clients are told of their limits, beside what a refusal tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitFields {
    /// Requests that pass are told as well, for which the upstream's response has to be made anew.
    pub passed: bool,
    /// The names from before there was a standard, too.
    pub legacy: bool,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is the same as `given`, in a time that tells nothing about where they differ.
    pub fn matches(&self, given: &str) -> bool {
        let (own, given) = (self.0.as_bytes(), given.as_bytes());
        // `black_box` keeps the compiler from ending the loop early.
        let difference = own.iter().zip(given).fold(0, |all, (a, b)| std::hint::black_box(all | (a ^ b)));
        own.len() == given.len() && difference == 0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a configuration is refused; says which variable and never its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with it.
    pub fault: String,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.variable, self.fault)
    }
}

impl Config {
    /// Reads the variables, which `lookup` finds by their names. An empty one counts as unset.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let vars = Vars { lookup };
        let soft_age_ms = vars.age("KEYWARD_SOFT_AGE_MS", DEFAULT_SOFT_AGE_MS, MIN_SOFT_AGE_MS)?;
        let settle_ms = vars.age("KEYWARD_LIMIT_IDLE_MS", DEFAULT_LIMIT_IDLE_MS, MIN_LIMIT_IDLE_MS)?;
        let keep_ms = vars.age("KEYWARD_LIMIT_KEEP_MS", Pace::SPEND.keep_ms, 0)?;
        Ok(Self {
            origin: vars.url("KEYWARD_ORIGIN")?,
            sync_key: Secret(vars.required("KEYWARD_SYNC_KEY")?.trim().to_owned()),
            roots: vars.roots("KEYWARD_ROOTS")?,
            upstream: vars.url("KEYWARD_UPSTREAM")?,
            environment: vars.parsed("KEYWARD_ENV", "is neither live nor test", Environment::parse)?,
            audience: vars.optional("KEYWARD_AUDIENCE"),
            routes: vars.routes("KEYWARD_ROUTES")?,
            metrics_token: vars.metrics_token("KEYWARD_METRICS_TOKEN")?,
            soft_age_ms,
            hard_age_ms: vars.age("KEYWARD_HARD_AGE_MS", DEFAULT_HARD_AGE_MS.max(soft_age_ms), soft_age_ms)?,
            outage: vars.outage("KEYWARD_OUTAGE")?,
            limit_outage: vars.limit_outage("KEYWARD_LIMIT_OUTAGE")?,
            isolate_pace: Pace { settle_ms, keep_ms, ..Pace::SPEND },
            object_pace: Pace { settle_ms, keep_ms: keep_ms.min(Pace::LEND.keep_ms), ..Pace::LEND },
            limit_fields: vars.limit_fields("KEYWARD_RATELIMIT_FIELDS")?,
            client_ip_header: vars.header("KEYWARD_CLIENT_IP_HEADER")?.unwrap_or_else(|| "cf-connecting-ip".to_owned()),
            tokens_header: vars.header("KEYWARD_TOKENS_HEADER")?,
            tls: vars.tls()?,
            hub: vars.optional("KEYWARD_HUB").unwrap_or_else(|| "hub".to_owned()),
        })
    }
}

struct Vars<F> {
    lookup: F,
}

impl<F: Fn(&str) -> Option<String>> Vars<F> {
    fn optional(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).filter(|text| !text.trim().is_empty())
    }

    fn required(&self, variable: &'static str) -> Result<String, ConfigError> {
        self.optional(variable).ok_or_else(|| fault(variable, "is not set"))
    }

    fn parsed<T>(&self, variable: &'static str, otherwise: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, ConfigError> {
        parse(self.required(variable)?.trim()).ok_or_else(|| fault(variable, otherwise))
    }

    /// `scheme://authority`: a path there would have to be joined with the one that was decided on.
    fn url(&self, variable: &'static str) -> Result<String, ConfigError> {
        self.parsed(variable, "is not of the form https://host[:port]", |text| {
            let text = text.strip_suffix('/').unwrap_or(text);
            let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
            (!authority.is_empty() && authority.bytes().all(plain)).then(|| text.to_owned())
        })
    }

    fn roots(&self, variable: &'static str) -> Result<Vec<PublicKey>, ConfigError> {
        let text = self.required(variable)?;
        let roots: Option<Vec<_>> = text.split(',').map(|part| PublicKey::parse(part.trim()).ok()).collect();
        roots
            .filter(|roots| (1..=MAX_ROOTS).contains(&roots.len()))
            .ok_or_else(|| fault(variable, "is not one to four public keys in base64url, with commas between them"))
    }

    fn routes(&self, variable: &'static str) -> Result<RouteTable, ConfigError> {
        // One that is missing between others may be the one whose entries forbid what a later one permits; so may one beyond the last.
        let parts = (2..=MAX_ROUTE_VARIABLES + 1).map(|number| self.optional(&format!("{variable}_{number}")));
        let mut parts: Vec<_> = std::iter::once(self.optional(variable)).chain(parts).collect();
        while parts.last().is_some_and(Option::is_none) {
            parts.pop();
        }
        // Without a table there is no route, and nothing is permitted.
        let parts: Option<Vec<String>> = if parts.len() > MAX_ROUTE_VARIABLES { None } else { parts.into_iter().collect() };
        let text = parts.ok_or_else(|| fault(variable, "doesn't go on as _2, _3 and so on without a gap, to _32 at most"))?.join("\n");
        RouteTable::parse(&text).map_err(|error| fault(variable, &error.to_string()))
    }

    fn metrics_token(&self, variable: &'static str) -> Result<Option<Secret>, ConfigError> {
        match self.optional(variable) {
            Some(token) if token.trim().len() < MIN_METRICS_TOKEN => Err(fault(variable, "is shorter than 16 characters")),
            token => Ok(token.map(|token| Secret(token.trim().to_owned()))),
        }
    }

    fn age(&self, variable: &'static str, default: u64, least: u64) -> Result<u64, ConfigError> {
        let Some(text) = self.optional(variable) else { return Ok(default) };
        let age = text.trim().parse().ok().filter(|age| (least..=MAX_AGE_MS).contains(age));
        age.ok_or_else(|| fault(variable, &format!("is not a number of milliseconds from {least} to {MAX_AGE_MS}")))
    }

    fn outage(&self, variable: &'static str) -> Result<Outage, ConfigError> {
        let text = self.optional(variable).unwrap_or_default();
        Outage::parse(&text).ok_or_else(|| fault(variable, "is not of the form user=closed|open:SECONDS,tenant=…,admin=…"))
    }

    fn limit_outage(&self, variable: &'static str) -> Result<LimitOutage, ConfigError> {
        let text = self.optional(variable).unwrap_or_default();
        LimitOutage::parse(&text).ok_or_else(|| fault(variable, "is not of the form user=closed|leased|open:SECONDS,tenant=…,admin=…"))
    }

    fn limit_fields(&self, variable: &'static str) -> Result<LimitFields, ConfigError> {
        let mut fields = LimitFields::default();
        for word in self.optional(variable).unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "passed" => fields.passed = true,
                "legacy" => fields.legacy = true,
                _ => return Err(fault(variable, "has another word than passed and legacy")),
            }
        }
        Ok(fields)
    }

    fn header(&self, variable: &'static str) -> Result<Option<String>, ConfigError> {
        let token = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match self.optional(variable).map(|name| name.trim().to_ascii_lowercase()) {
            Some(name) if !token(&name) => Err(fault(variable, "is not the name of a header")),
            name => Ok(name),
        }
    }

    fn tls(&self) -> Result<Tls, ConfigError> {
        let header = self.header("KEYWARD_TLS_HEADER")?;
        match (self.optional("KEYWARD_ASSUME_TLS").as_deref().map(str::trim), header) {
            (None | Some("0"), None) => Ok(Tls::Scheme),
            (None | Some("0"), Some(header)) => Ok(Tls::Header(header)),
            (Some("1"), None) => Ok(Tls::Assumed),
            (Some("1"), Some(_)) => Err(fault("KEYWARD_ASSUME_TLS", "contradicts KEYWARD_TLS_HEADER")),
            (Some(_), _) => Err(fault("KEYWARD_ASSUME_TLS", "is neither 0 nor 1")),
        }
    }
}

fn fault(variable: &'static str, fault: &str) -> ConfigError {
    ConfigError { variable, fault: fault.to_owned() }
}

/// All scopes, for what has to go through them.
pub(crate) const SCOPES: [ScopeClass; 3] = [ScopeClass::User, ScopeClass::Tenant, ScopeClass::Admin];

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_core::{NormalPath, bounds::MAX_ROUTES};

    fn read(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let root = keyward_core::codec::base64url(keyward_issuer::SigningKey::from_seed([1; 32]).public_key().as_bytes());
        let base = [
            ("KEYWARD_ORIGIN", "https://keys.example.com/"),
            ("KEYWARD_SYNC_KEY", "secret"),
            ("KEYWARD_ROOTS", root.as_str()),
            ("KEYWARD_UPSTREAM", "http://127.0.0.1:9000"),
            ("KEYWARD_ENV", "live"),
            ("KEYWARD_ROUTES", "/v1/me -> authenticated"),
        ];
        Config::read(|name| {
            let given = changes.iter().chain(&base).find(|(other, _)| *other == name);
            given.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_whole_configuration_is_read_with_its_defaults() {
        let config = read(&[]).unwrap();
        assert_eq!(config.origin, "https://keys.example.com");
        assert_eq!((config.soft_age_ms, config.hard_age_ms), (5_000, 60_000));
        assert_eq!(config.tls, Tls::Scheme);
        assert!(config.metrics_token.is_none());
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_its_name() {
        for (variable, value) in [
            ("KEYWARD_ORIGIN", ""),
            ("KEYWARD_ORIGIN", "https://keys.example.com/path"),
            ("KEYWARD_UPSTREAM", "ftp://x"),
            ("KEYWARD_SYNC_KEY", " "),
            ("KEYWARD_ROOTS", "AAAA"),
            ("KEYWARD_ENV", "prod"),
            ("KEYWARD_ROUTES", "/v1/me => authenticated"),
            ("KEYWARD_METRICS_TOKEN", "short"),
            ("KEYWARD_SOFT_AGE_MS", "10"),
            ("KEYWARD_HARD_AGE_MS", "4999"),
            ("KEYWARD_OUTAGE", "user=ajar"),
            ("KEYWARD_LIMIT_OUTAGE", "user=ajar"),
            ("KEYWARD_LIMIT_IDLE_MS", "0"),
            ("KEYWARD_LIMIT_KEEP_MS", "1 min"),
            ("KEYWARD_RATELIMIT_FIELDS", "all"),
            ("KEYWARD_CLIENT_IP_HEADER", "a b"),
            ("KEYWARD_ASSUME_TLS", "yes"),
        ] {
            assert_eq!(read(&[(variable, value)]).map(|_| ()).unwrap_err().variable, variable, "{value:?}");
        }
    }

    #[test]
    fn a_long_table_of_routes_goes_on_in_the_next_variable_and_never_past_a_gap() {
        let entry = |n: usize| format!("GET /v1/resources-of-kind-{n:04}/** -> resources:read\n");
        let table: Vec<String> = (0..MAX_ROUTES).map(entry).collect();
        // Each as long as Cloudflare takes.
        let parts: Vec<String> = table.chunks(5_120 / entry(0).len()).map(|lines| lines.concat()).collect();
        let named: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(at, part)| (if at == 0 { "KEYWARD_ROUTES".to_owned() } else { format!("KEYWARD_ROUTES_{}", at + 1) }, part))
            .collect();
        let named: Vec<(&str, &str)> = named.iter().map(|(name, part)| (name.as_str(), part.as_str())).collect();
        let routes = read(&named).unwrap().routes;
        for n in [0, 200, MAX_ROUTES - 1] {
            let path = NormalPath::parse(&format!("/v1/resources-of-kind-{n:04}/7")).unwrap();
            assert_eq!(routes.find("GET", &path), Some(n));
        }
        for faulty in [&[("KEYWARD_ROUTES_3", "/v1/** -> authenticated")][..], &[("KEYWARD_ROUTES_33", "/v1/** -> authenticated")]] {
            assert_eq!(read(faulty).map(|_| ()).unwrap_err().variable, "KEYWARD_ROUTES");
        }
    }

    #[test]
    fn secrets_are_compared_whole() {
        let secret = Secret("sixteen letters!".to_owned());
        assert!(secret.matches("sixteen letters!"));
        for other in ["", "sixteen letters", "sixteen letters!!", "Sixteen letters!"] {
            assert!(!secret.matches(other));
        }
    }
}
