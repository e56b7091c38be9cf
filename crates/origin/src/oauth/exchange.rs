//! An API key in, a capability token out (RFC 8693): for all that the key permits, or for less.

use keyward_api::{
    Code,
    oauth::{ACCESS_TOKEN, API_KEY, JWT, TOKEN_EXCHANGE, TokenIssued},
};
use keyward_core::{AnyOr, Capability, Class, EndpointPattern, Exceeds, Network, ParsedKey, bounds::MAX_POLICY_LIST};

use super::{Form, OauthError, Result};
use crate::{
    audit::Issue,
    auth::{self, Asked, Caller, Credential, Freshness, Holder},
    error::Error,
    state::App,
    tokens::{self, Extent, LIFETIME, Minted},
};

/// All that a request may have; `endpoint` and `ip` more than once.
const PARAMETERS: [&str; 10] = [
    "grant_type",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "audience",
    "resource",
    "scope",
    "endpoint",
    "ip",
    "expires_in",
];
/// Characters of an audience.
const MAX_AUDIENCE: usize = 256;
/// All that is said of a subject token that nobody proved to hold.
const UNRECOGNISED: &str = "subject_token is not valid";

/// Exchanges a key for a token.
///
/// # Errors
/// Those of RFC 8693 section 2.2.2; `unauthorized_client` where the key can't be exchanged, or who asks for another may
/// not.
pub async fn exchange(app: &App, asked: &Asked<'_>, form: &Form) -> Result<TokenIssued> {
    form.only(&PARAMETERS)?;
    if form.required("grant_type")? != TOKEN_EXCHANGE {
        return Err(OauthError::grant());
    }
    if !matches!(form.required("subject_token_type")?, API_KEY | ACCESS_TOKEN) {
        return Err(OauthError::request(format!("subject_token_type has to be {API_KEY}")));
    }
    if !matches!(form.one("requested_token_type")?, None | Some(ACCESS_TOKEN | JWT)) {
        return Err(OauthError::request(format!("requested_token_type has to be {ACCESS_TOKEN}")));
    }
    let holder = subject(app, asked, form.required("subject_token")?).await?;
    if !holder.key().exchange() {
        return Err(OauthError::client("the key can't be exchanged for tokens"));
    }
    let extent = extent(app, &holder, form)?;
    let minted = tokens::mint(app, &holder, extent)?;
    let Some(Minted { text, claims }) = minted else {
        return Err(OauthError::request("the key permits more than a token can hold: ask for less"));
    };
    if let Some(actor) = asked.made_by() {
        let issue = Issue { key: claims.sub, grant: "token-exchange" };
        app.audit.tally.issue(actor, issue, claims.jti, app.clock.now());
    }
    Ok(TokenIssued {
        access_token: text,
        issued_token_type: ACCESS_TOKEN.to_owned(),
        token_type: "Bearer".to_owned(),
        expires_in: claims.exp - claims.iat,
        scope: claims.scope,
    })
}

/// The holder of the subject token: who asks, or whoever a caller that may validate keys asks for.
async fn subject(app: &App, asked: &Asked<'_>, text: &str) -> Result<Holder> {
    let client = asked.credential(app)?;
    let own = match client {
        None => true,
        Some(Credential::Key(presented)) => presented == text,
        // A session has no key to show. Who asks for its own has to prove that here, as anybody does.
        Some(Credential::Session(_)) => false,
    };
    let caller = if own { None } else { Some(asking(app, asked).await?) };
    let parsed = ParsedKey::parse(text).map_err(|_| OauthError::request(UNRECOGNISED))?;
    let found = match caller {
        None => auth::holder(app, asked, &parsed, Freshness::Followed).await.map(|holder| Some(holder.into_holder())),
        Some(caller) => auth::of_tenant(app, caller.tenant(), &parsed).await,
    };
    match found {
        Ok(Some(holder)) => Ok(holder),
        Ok(None) => Err(OauthError::request(UNRECOGNISED)),
        Err(error) => Err(match error.code() {
            // As the client's own credential it is answered as one (RFC 6749 section 5.2).
            Code::Refused(reason) if client.is_some() && own && reason.class() == Class::Unauthenticated => error.into(),
            Code::Refused(reason) if !reason.proved() => OauthError::request(UNRECOGNISED),
            Code::Refused(reason) if reason.class() != Class::Unavailable => OauthError::request(format!("subject_token: {reason}")),
            _ => error.into(),
        }),
    }
}

/// A caller who asks for another: who may validate keys gets tokens for them anyway.
async fn asking(app: &App, asked: &Asked<'_>) -> Result<Caller> {
    let validate = Capability::parse("keys:validate").map_err(Error::internal)?;
    auth::authenticate(app, asked, &validate, Freshness::Followed).await.map_err(|error| match error.code() {
        Code::Refused(reason) if reason.class() == Class::Forbidden => OauthError::client(reason.code()),
        _ => error.into(),
    })
}

/// What is asked for, within what the key permits.
fn extent(app: &App, holder: &Holder, form: &Form) -> Result<Extent> {
    let held = holder.terms();
    let mut wanted = held.clone();
    if let Some(scope) = form.one("scope")? {
        wanted.capabilities =
            list("scope", scope.split(' ').filter(|word| !word.is_empty()), Capability::parse).map_err(OauthError::scope)?;
    }
    let endpoints = form.all("endpoint");
    if !endpoints.is_empty() {
        wanted.endpoints = AnyOr::Only(list("endpoint", endpoints.into_iter(), EndpointPattern::parse).map_err(OauthError::request)?);
    }
    let ips = form.all("ip");
    if !ips.is_empty() {
        wanted.ips = AnyOr::Only(list("ip", ips.into_iter(), Network::parse).map_err(OauthError::request)?);
    }
    held.covers(&wanted).map_err(|dimension| match dimension {
        Exceeds::Capabilities => OauthError::scope("scope goes beyond what the key has"),
        other => OauthError::request(format!("{other} go beyond what the key has")),
    })?;
    Ok(Extent {
        lifetime: lifetime(form)?,
        audience: audience(app, form)?,
        capabilities: wanted.capabilities,
        endpoints: wanted.endpoints,
        ips: wanted.ips,
    })
}

/// A bounded list without repetitions, in its order.
fn list<'a, T: PartialEq, E: ToString>(
    name: &str,
    texts: impl Iterator<Item = &'a str>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, String> {
    let mut list = Vec::new();
    for text in texts {
        let entry = parse(text).map_err(|error| format!("{name}: {}", error.to_string()))?;
        if list.contains(&entry) {
            continue;
        }
        if list.len() == MAX_POLICY_LIST {
            return Err(format!("{name}: at most {MAX_POLICY_LIST}"));
        }
        list.push(entry);
    }
    Ok(list)
}

fn lifetime(form: &Form) -> Result<u64> {
    let Some(text) = form.one("expires_in")? else { return Ok(LIFETIME) };
    let seconds = text.parse().ok().filter(|seconds: &u64| (1..=LIFETIME).contains(seconds) && seconds.to_string() == text);
    seconds.ok_or_else(|| OauthError::request(format!("expires_in: 1 to {LIFETIME} seconds")))
}

fn audience(app: &App, form: &Form) -> Result<String> {
    if form.one("resource")?.is_some() {
        return Err(OauthError::target("targets are named by audience"));
    }
    let Some(audience) = form.one("audience")? else { return Ok(app.config.issuer.clone()) };
    let shaped = audience.len() <= MAX_AUDIENCE && audience.bytes().all(|byte| byte.is_ascii_graphic());
    if shaped {
        Ok(audience.to_owned())
    } else {
        Err(OauthError::target(format!("audience: at most {MAX_AUDIENCE} visible ASCII characters")))
    }
}
