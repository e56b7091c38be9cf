use crate::{
    Case, Change, File, error,
    mangle::Sound,
    ok,
    world::{self, EPOCH, FIRST_POLICY, NOW_MS, given, policy_claims},
};
use keyward_core::{Capability, EndpointPattern, PolicyClaims, PolicyNumber};
use serde_json::{Value, json};

pub(crate) fn file() -> File {
    let number = policy_claims().number.0;
    let payload = |claims: PolicyClaims| serde_json::to_value(claims).expect("a policy");
    let sound = |payload| Sound { typ: "keyward-policy+jwt", signer: "policy", payload, number: "iat", max_len: 64 * 1024 };
    let of = |payload: Value| sound(payload).text();
    let now = |text: String| json!({ "text": text, "number": number, "now_ms": NOW_MS });
    let policy = sound(payload(policy_claims()));

    let mut cases = vec![
        ok("a policy", now(policy.text()), number),
        ok("with the newer name of the algorithm", now(policy.with_new_alg()), number),
        error("of another number than was asked for", json!({ "text": policy.text(), "number": number + 1, "now_ms": NOW_MS }), "Number"),
        error(
            "after the manifest has expired",
            json!({ "text": policy.text(), "number": number, "now_ms": (world::NOW + 1_000_000) * 1000 }),
            "Open(ManifestExpired)",
        ),
        error("by a retired key", now(policy.signed_by("policy retired")), "Open(KeyState)"),
    ];
    cases.extend(
        policy.spoiled().into_iter().map(|spoiled| error(spoiled.name, now(spoiled.text), format!("Open(Jws({}))", spoiled.error))),
    );
    cases.extend(policy.by_others().into_iter().map(|(name, text)| error(name, now(text), "Open(UnknownKey)")));
    cases.extend(epochs(&|claims| of(payload(claims))));
    cases.extend(shapes(&|change| {
        let mut value = payload(policy_claims());
        change(&mut value);
        now(of(value))
    }));
    cases.push(repeated(&policy));
    File {
        name: "policies.json",
        about: "Signed policies, and the `number` under which they were asked for.",
        operation: "policy",
        given: given(),
        cases,
    }
}

/// A number that this epoch has given anew means what it means now.
fn epochs(text: &dyn Fn(PolicyClaims) -> String) -> Vec<Case> {
    let case = |name: &str, number: u32, epoch: u32, code: Option<&str>| {
        let text = text(PolicyClaims { number: PolicyNumber(number), epoch, ..policy_claims() });
        let input = json!({ "text": text, "number": number, "now_ms": NOW_MS });
        match code {
            None => ok(name, input, number),
            Some(code) => error(name, input, code),
        }
    };
    vec![
        case("of this epoch", FIRST_POLICY, EPOCH, None),
        case("of this epoch, with an old number", FIRST_POLICY - 1, EPOCH, None),
        case("of an older epoch, with an old number", FIRST_POLICY - 1, 1, None),
        case("of an older epoch, with a number given anew", FIRST_POLICY, EPOCH - 1, Some("Epoch")),
        case("of an older epoch, with a higher number", FIRST_POLICY + 7, EPOCH - 1, Some("Epoch")),
        case("of an epoch to come", 17, EPOCH + 1, Some("Epoch")),
    ]
}

fn shapes(with: &dyn Fn(Change<'_>) -> Value) -> Vec<Case> {
    let number = policy_claims().number.0;
    let taken = |name: &str, change: Change<'_>| ok(name, with(change), number);
    let refused = |name: &str, code: &str, change: Change<'_>| error(name, with(change), code);
    const PAYLOAD: &str = "Open(Jws(Payload))";
    let many = |text: &dyn Fn(usize) -> String, count: usize| (0..count).map(text).collect::<Vec<_>>();
    let paths = |count| many(&|n| EndpointPattern::parse(&format!("/{n}")).expect("a pattern").to_string(), count);
    let words = |count| many(&|n| Capability::parse(&format!("a:{n}")).expect("a capability").to_string(), count);
    let addresses = |count| many(&|n| format!("10.0.{}.{}/32", n / 256, n % 256), count);
    let hosts = |count| many(&|n| format!("h{n}.example.com"), count);
    vec![
        taken("with an unknown constraint: it denies, but is a policy", &|policy| policy["constraints"] = json!({ "new": 1 })),
        taken("with as many entries as may be", &|policy| policy["endpoints"] = json!({ "only": paths(256) })),
        taken("with an empty list, which permits nothing", &|policy| policy["endpoints"] = json!({ "only": [] })),
        taken("without limits", &|policy| {
            for (_, limit) in policy["limits"].as_object_mut().expect("limits") {
                *limit = Value::Null;
            }
        }),
        refused("with too many capabilities", "TooLong", &|policy| policy["capabilities"] = json!(words(257))),
        refused("with too many endpoints", "TooLong", &|policy| policy["endpoints"] = json!({ "only": paths(257) })),
        refused("with too many blocked endpoints", "TooLong", &|policy| policy["blocked_endpoints"] = json!(paths(257))),
        refused("with too many networks", "TooLong", &|policy| policy["ips"] = json!({ "only": addresses(257) })),
        refused("with too many domains", "TooLong", &|policy| policy["domains"] = json!({ "only": hosts(257) })),
        refused("with too many constraints", "TooLong", &|policy| {
            policy["constraints"] = (0..65).map(|n| (format!("c{n}"), json!(1))).collect();
        }),
        refused("with a constraint of another type", "Constraint", &|policy| {
            policy["constraints"] = json!({ "mcp_timeout_seconds": "30" })
        }),
        refused("with a negative constraint", "Constraint", &|policy| policy["constraints"] = json!({ "mcp_timeout_seconds": -1 })),
        refused("with a switch that is a number", "Constraint", &|policy| policy["constraints"] = json!({ "enable_premium_features": 1 })),
        refused("with a list of other than strings", "Constraint", &|policy| policy["constraints"] = json!({ "allowed_file_types": [1] })),
        refused("with a capability's constraint that is no object", "Constraint", &|policy| {
            policy["constraints"] = json!({ "llm:gpt-4": true })
        }),
        refused("with a limit missing: it doesn't mean unlimited", PAYLOAD, &|policy| {
            drop(policy["limits"].as_object_mut().expect("limits").remove("daily_quota"))
        }),
        refused("with limits in a list", PAYLOAD, &|policy| policy["limits"] = json!([1, 1, 1, 1, 1, 1])),
        refused("with an unknown limit", PAYLOAD, &|policy| policy["limits"]["per_second"] = 1.into()),
        refused("with a limit below zero", PAYLOAD, &|policy| policy["limits"]["daily_quota"] = (-1).into()),
        refused("with an unknown scope", PAYLOAD, &|policy| policy["scope"] = "root".into()),
        refused("with a scope in capitals", PAYLOAD, &|policy| policy["scope"] = "User".into()),
        refused("with null for any", PAYLOAD, &|policy| policy["ips"] = Value::Null),
        refused("with a list for any", PAYLOAD, &|policy| policy["ips"] = json!([])),
        refused("with another word for any", PAYLOAD, &|policy| policy["ips"] = "all".into()),
        refused("with something beside only", PAYLOAD, &|policy| policy["ips"] = json!({ "only": [], "except": [] })),
        refused("with a network that has host bits", PAYLOAD, &|policy| policy["ips"] = json!({ "only": ["10.0.0.1/8"] })),
        refused("with a pattern that is none", PAYLOAD, &|policy| policy["blocked_endpoints"] = json!(["/a/../b"])),
        refused("with a capability that is none", PAYLOAD, &|policy| policy["capabilities"] = json!(["*"])),
        refused("with a tenant that is no id", PAYLOAD, &|policy| policy["tenant"] = "acme".into()),
        refused("with a number above 32 bits", PAYLOAD, &|policy| policy["number"] = 4_294_967_296_u64.into()),
        refused("with constraints that are no object", PAYLOAD, &|policy| policy["constraints"] = json!([])),
    ]
}

/// A constraint twice, which another reader might take the other one of.
fn repeated(policy: &Sound) -> Case {
    let text = policy.payload.to_string().replace(r#""constraints":{}"#, r#""constraints":{"llm:gpt-4":{"a":1,"a":2}}"#);
    let header = format!(r#"{{"alg":"EdDSA","typ":"{}","kid":"{}"}}"#, policy.typ, world::signer("policy").kid());
    let text = crate::mangle::jws("policy", &header, text.as_bytes());
    error("with a member twice deep within a constraint", json!({ "text": text, "number": 17, "now_ms": NOW_MS }), "Open(Jws(Payload))")
}
