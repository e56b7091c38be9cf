use crate::{
    Case, Change, File, error, ok,
    world::{self, NOW_MS, given, key_claims, mint, policy_claims},
};
use keyward_core::{ApiKeyClaims, PolicyNumber, ScopeClass};
use serde_json::{Value, json};

pub(crate) const ROUTES: &str = "\
# What the upstream of the vectors asks for.
POST /v1/chat/** -> llm:gpt-4
GET /v1/search -> rag:search
/v1/me -> authenticated
/v1/admin/** -> authenticated
";

pub(crate) fn file() -> File {
    let mut given = given();
    given["routes"] = ROUTES.into();
    let mut cases = routes_and_capabilities();
    cases.extend(endpoints());
    cases.extend(addresses());
    cases.extend(domains_and_tls());
    cases.extend(scopes_and_constraints());
    cases.extend(order());
    File {
        name: "decisions.json",
        about: "The whole way of a request: route table, path, key, policy (its claims, trusted), decision.",
        operation: "decision",
        given,
        cases,
    }
}

/// A request that is permitted, but for what `change` makes of it. `change` sees the whole input.
fn input(change: Change<'_>) -> Value {
    let mut input = json!({
        "key": mint("api", key_claims()),
        "policy": policy_claims(),
        "request": { "method": "POST", "path": "/v1/chat/completions", "address": "198.51.100.7", "domain": null, "tls": true },
        "now_ms": NOW_MS,
    });
    change(&mut input);
    input
}

fn permit(name: &str, change: Change<'_>) -> Case {
    ok(name, input(change), "permit")
}

fn deny(name: &str, code: &str, change: Change<'_>) -> Case {
    error(name, input(change), code)
}

fn ask(input: &mut Value, method: &str, path: &str) {
    input["request"]["method"] = method.into();
    input["request"]["path"] = path.into();
}

fn routes_and_capabilities() -> Vec<Case> {
    vec![
        permit("a capability that is held", &|_| ()),
        permit("a capability that a star covers", &|input| input["policy"]["capabilities"] = json!(["llm:*"])),
        permit("a route for any genuine key", &|input| {
            ask(input, "GET", "/v1/me");
            input["policy"]["capabilities"] = json!([]);
        }),
        deny("no route", "no_route", &|input| ask(input, "GET", "/v2")),
        deny("no route for the method", "no_route", &|input| ask(input, "DELETE", "/v1/chat/completions")),
        deny("no route for a method in other letters", "no_route", &|input| ask(input, "post", "/v1/chat/completions")),
        deny("a method in other letters, where its block would not see it", "no_route", &|input| {
            ask(input, "get", "/v1/me");
            input["policy"]["blocked_endpoints"] = json!(["GET /v1/me"]);
        }),
        deny("no capability", "capability_missing", &|input| input["policy"]["capabilities"] = json!([])),
        deny("another capability", "capability_missing", &|input| ask(input, "GET", "/v1/search")),
        deny("a star of another resource", "capability_missing", &|input| input["policy"]["capabilities"] = json!(["rag:*"])),
        deny("a path without a normal form", "path_refused", &|input| ask(input, "POST", "/v1/chat/../admin")),
    ]
}

fn endpoints() -> Vec<Case> {
    let only = |patterns: &'static [&'static str]| move |input: &mut Value| input["policy"]["endpoints"] = json!({ "only": patterns });
    let blocked = |path: &'static str| {
        move |input: &mut Value| {
            ask(input, "GET", path);
            input["policy"]["blocked_endpoints"] = json!(["/v1/admin/**"]);
        }
    };
    let mut cases = vec![
        permit("an endpoint that is allowed", &only(&["POST /v1/chat/**"])),
        deny("an endpoint that is not", "endpoint_not_allowed", &only(&["/v1/search"])),
        deny("an endpoint of another method", "endpoint_not_allowed", &only(&["GET /v1/chat/**"])),
        deny("no endpoint at all", "endpoint_not_allowed", &only(&[])),
        permit("beside a block", &|input| input["policy"]["blocked_endpoints"] = json!(["/v1/admin/**"])),
        deny("a block of one method", "endpoint_blocked", &|input| input["policy"]["blocked_endpoints"] = json!(["POST /v1/chat/*"])),
        permit("a block of another method", &|input| input["policy"]["blocked_endpoints"] = json!(["GET /v1/chat/*"])),
        deny("a block beats what is allowed", "endpoint_blocked", &|input| {
            input["policy"]["endpoints"] = json!({ "only": ["POST /v1/chat/completions"] });
            input["policy"]["blocked_endpoints"] = json!(["/v1/chat/**"]);
        }),
        deny("a block of what has two spellings", "endpoint_blocked", &|input| {
            ask(input, "POST", "/v1/chat/a%3Arun");
            input["policy"]["blocked_endpoints"] = json!(["/v1/chat/a:run"]);
        }),
    ];
    for path in ["/v1/admin", "/v1/admin/", "/v1/admin/x", "/v1/%61dmin", "/v1/adm%69n/x", "/%76%31/admin"] {
        cases.push(deny(&format!("blocked as {path}"), "endpoint_blocked", &blocked(path)));
    }
    for path in [
        "/v1/x/../admin",
        "/v1/x/%2e%2e/admin",
        "/v1//admin",
        "/v1\\admin",
        "/v1%2fadmin",
        "/v1/%2561dmin",
        "/v1/%25%361dmin",
        "/v1/admin;x=1",
        "/v1/admin%00",
    ] {
        cases.push(deny(&format!("refused as {path}"), "path_refused", &blocked(path)));
    }
    cases
}

fn addresses() -> Vec<Case> {
    let from = |address: Value| {
        move |input: &mut Value| {
            input["request"]["address"] = address.clone();
            input["policy"]["ips"] = json!({ "only": ["10.0.0.0/8", "2001:db8::/32"] });
        }
    };
    vec![
        permit("a v4 address within", &from("10.1.2.3".into())),
        permit("a v4-mapped address within", &from("::ffff:10.1.2.3".into())),
        permit("a v6 address within", &from("2001:db8::7".into())),
        deny("a v4 address outside", "address_not_allowed", &from("11.0.0.1".into())),
        deny("a v4-mapped address outside", "address_not_allowed", &from("::ffff:11.0.0.1".into())),
        deny("a v6 address outside", "address_not_allowed", &from("2001:db9::7".into())),
        deny("an address that isn't known", "address_not_allowed", &from(Value::Null)),
        deny("no address at all", "address_not_allowed", &|input| input["policy"]["ips"] = json!({ "only": [] })),
        permit("an unknown address where any will do", &|input| input["request"]["address"] = Value::Null),
    ]
}

fn domains_and_tls() -> Vec<Case> {
    let from = |domain: Value| {
        move |input: &mut Value| {
            input["request"]["domain"] = domain.clone();
            input["policy"]["domains"] = json!({ "only": ["app.example.com", "*.example.org"] });
        }
    };
    vec![
        permit("a domain that is allowed", &from("app.example.com".into())),
        permit("a domain below one that is allowed", &from("a.example.org".into())),
        deny("another domain", "domain_not_allowed", &from("evil.test".into())),
        deny("the domain above", "domain_not_allowed", &from("example.org".into())),
        deny("no domain", "domain_not_allowed", &from(Value::Null)),
        deny("without TLS", "tls_required", &|input| input["request"]["tls"] = false.into()),
        permit("without TLS where it isn't asked for", &|input| {
            input["request"]["tls"] = false.into();
            input["policy"]["require_tls"] = false.into();
        }),
    ]
}

fn scopes_and_constraints() -> Vec<Case> {
    let with_key = |input: &mut Value, scope: ScopeClass| input["key"] = mint("api", ApiKeyClaims { scope, ..key_claims() }).into();
    vec![
        permit("a policy below the signed scope", &|input| with_key(input, ScopeClass::Admin)),
        permit("a policy at the signed scope", &|input| {
            with_key(input, ScopeClass::Tenant);
            input["policy"]["scope"] = "tenant".into();
        }),
        deny("a policy above the signed scope", "scope_exceeded", &|input| input["policy"]["scope"] = "admin".into()),
        permit("known constraints", &|input| {
            input["policy"]["constraints"] = json!({ "mcp_timeout_seconds": 5, "llm:gpt-4": { "top_p": 0.5 } })
        }),
        deny("an unknown constraint", "constraint_unknown", &|input| input["policy"]["constraints"] = json!({ "max_teleports": 3 })),
        deny("the policy that was signed, where another has taken its place", "policy_unavailable", &|input| {
            input["key"] = mint("api", ApiKeyClaims { policy: PolicyNumber(4), ..key_claims() }).into();
            input["policy"]["number"] = 4.into();
        }),
        permit("the policy that has taken its place", &|input| {
            input["key"] = mint("api", ApiKeyClaims { policy: PolicyNumber(4), ..key_claims() }).into();
            input["policy"]["number"] = 20.into();
        }),
        deny("a revoked key", "key_revoked", &|input| {
            input["key"] = mint("api", ApiKeyClaims { index: keyward_core::StatusIndex(world::REVOKED), ..key_claims() }).into();
        }),
    ]
}

/// Where several rules refuse, the reason is that of the first.
fn order() -> Vec<Case> {
    let steps: [(&str, &str, Change<'_>); 10] = [
        ("policy_unavailable", "another policy", &|input| input["policy"]["number"] = 18.into()),
        ("scope_exceeded", "too high a scope", &|input| input["policy"]["scope"] = "admin".into()),
        ("constraint_unknown", "an unknown constraint", &|input| input["policy"]["constraints"] = json!({ "new": 1 })),
        ("no_route", "no route", &|input| ask(input, "GET", "/v1/chat/x")),
        ("endpoint_not_allowed", "not allowed", &|input| input["policy"]["endpoints"] = json!({ "only": [] })),
        ("endpoint_blocked", "blocked", &|input| input["policy"]["blocked_endpoints"] = json!(["/**"])),
        ("address_not_allowed", "a wrong address", &|input| input["policy"]["ips"] = json!({ "only": [] })),
        ("domain_not_allowed", "a wrong domain", &|input| input["policy"]["domains"] = json!({ "only": [] })),
        ("tls_required", "no TLS", &|input| input["request"]["tls"] = false.into()),
        ("capability_missing", "no capability", &|input| input["policy"]["capabilities"] = json!([])),
    ];
    (0..steps.len())
        .map(|first| {
            deny(&format!("{} comes before all that follows it", steps[first].1), steps[first].0, &|input| {
                steps[first..].iter().for_each(|(_, _, change)| change(input));
            })
        })
        .collect()
}
