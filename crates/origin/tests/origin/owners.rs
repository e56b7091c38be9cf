//! Tenants, owners, and what a tenant adds to the catalogue.

use keyward_core::Reason;
use serde_json::{Value, json};

use crate::{
    edge::Edge,
    harness::{Client, KEYS, Origin},
};

const TENANTS: &str = "/api/v1/tenants";
const OWNERS: &str = "/api/v1/owners";

#[tokio::test]
async fn an_admin_makes_a_tenant_whose_first_key_manages_it_alone() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let made = admin.post(TENANTS, json!({"slug": "acme", "name": "Acme", "key_prefix": "acme", "first_key": true})).await.ok();
    let (id, raw) = (made["tenant"]["id"].as_str().unwrap(), made["first_key"]["raw_key"].as_str().unwrap());
    assert!(raw.starts_with("acme_live_"));
    let manager = origin.client(raw);
    let key = manager.create(json!({"capabilities": ["llm:gpt-4"]})).await;
    assert_eq!(key.body["tenant_id"], id);

    assert_eq!(manager.get(TENANTS).await.ok(), json!([made["tenant"]]));
    let mut shown = manager.get(&format!("{TENANTS}/{id}")).await.ok();
    assert_eq!(shown.as_object_mut().unwrap().remove("used").unwrap()["live_keys"], 2);
    assert_eq!(shown, made["tenant"]);
    let all = admin.get(TENANTS).await.ok();
    assert_eq!(all.as_array().unwrap().len(), 2);
    // Another's and one that isn't there look the same.
    let ours = all[0]["id"].as_str().unwrap();
    let missing = manager.get(&format!("{TENANTS}/01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11")).await.text;
    assert_eq!(manager.get(&format!("{TENANTS}/{ours}")).await.text, missing);
    assert_eq!(manager.send("PATCH", &format!("{TENANTS}/{ours}"), Some(&json!({"name": "x"})), &[]).await.text, missing);
    manager.send("PATCH", &format!("{TENANTS}/{id}"), Some(&json!({"name": "x"})), &[]).await.refused(403, "scope_insufficient");
    manager.post(TENANTS, json!({"slug": "mine", "name": "x"})).await.refused(403, "scope_insufficient");

    admin.post(TENANTS, json!({"slug": "acme", "name": "Acme again"})).await.refused(409, "already_exists");
    for (request, field) in [
        (json!({"slug": "A", "name": "x"}), "slug"),
        (json!({"slug": "-a", "name": "x"}), "slug"),
        (json!({"slug": "a", "name": ""}), "name"),
        (json!({"slug": "a", "name": "x", "key_prefix": "A"}), "key_prefix"),
        (json!({"slug": "a", "name": "x", "ceilings": {"live_keys": u64::MAX}}), "ceilings.live_keys"),
        (json!({"slug": "a", "name": "x", "ceilings": {"keys": 1}}), "keys"),
    ] {
        assert_eq!(admin.post(TENANTS, request.clone()).await.problem(), (422, "validation_failed".into(), field.into()), "{request}");
    }
    let changed = json!({"name": "Acme Inc", "key_prefix": "ac", "ceilings": {"policies": 9}});
    let changed = admin.send("PATCH", &format!("{TENANTS}/{id}"), Some(&changed), &[]).await.ok();
    assert_eq!((&changed["name"], &changed["ceilings"]["policies"]), (&json!("Acme Inc"), &json!(9)));
    assert!(manager.create(json!({})).await.raw.starts_with("ac_live_"));
    let trail = admin.get(&format!("/api/v1/audit?tenant={id}&action=tenant_updated")).await.ok();
    assert_eq!((&trail[0]["before"]["name"], &trail[0]["after"]["name"]), (&json!("Acme"), &json!("Acme Inc")));
}

#[tokio::test]
async fn a_tenant_and_its_first_key_are_made_together_or_not_at_all_and_once_however_often_it_is_asked_for() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let acme = json!({"slug": "acme", "name": "Acme", "first_key": true});
    // Whoever doesn't hold what the first key gives, or leaves it no room, makes no tenant either.
    let weak = origin.caller(json!({"capabilities": ["tenants:*", "llm:*"], "scope": "admin", "require_tls": false})).await;
    weak.post(TENANTS, acme.clone()).await.refused(403, "grant_exceeded");
    let full = json!({"slug": "acme", "name": "Acme", "first_key": true, "ceilings": {"live_keys": 0}});
    admin.post(TENANTS, full).await.refused(409, "ceiling_reached");
    assert_eq!(admin.get(TENANTS).await.ok().as_array().unwrap().len(), 1);

    let ask = async |client: &Client, body: &Value| client.send("POST", TENANTS, Some(body), &[("Idempotency-Key", "a")]).await;
    let made = ask(&admin, &acme).await.ok();
    let manager = origin.client(made["first_key"]["raw_key"].as_str().unwrap());
    manager.create(json!({})).await;
    assert_eq!(ask(&admin, &acme).await.ok(), made);
    ask(&admin, &json!({"slug": "other", "name": "Other"})).await.refused(422, "idempotency_mismatch");
    ask(&weak, &json!({"slug": "acme", "name": "Acme"})).await.refused(409, "already_exists");
    // Without a first key likewise; and of many at the same moment one makes it.
    let bare = json!({"slug": "bare", "name": "Bare"});
    let tries = (0..8).map(|_| {
        let (weak, bare) = (weak.clone(), bare.clone());
        tokio::spawn(async move { ask(&weak, &bare).await.ok()["tenant"]["id"].clone() })
    });
    let mut ids = Vec::new();
    for attempt in tries.collect::<Vec<_>>() {
        ids.push(attempt.await.unwrap());
    }
    ids.dedup();
    assert_eq!((ids.len(), admin.get(TENANTS).await.ok().as_array().unwrap().len()), (1, 3));
    // What has ended since isn't given again.
    let id = made["first_key"]["api_key"]["id"].as_str().unwrap();
    let path = format!("{KEYS}/{id}/revoke?tenant={}", made["tenant"]["id"].as_str().unwrap());
    admin.send("DELETE", &path, None, &[]).await.ok();
    ask(&admin, &acme).await.refused(409, "idempotency_conflict");
}

#[tokio::test]
async fn disabling_an_owner_stops_all_of_its_keys_in_one_delta_and_none_is_made_or_resumed_for_it() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(admin.create(json!({"owner_id": "ann"})).await);
    }
    // Made when a key first named it.
    let ann = admin.get(&format!("{OWNERS}/ann")).await.ok();
    assert_eq!((&ann["kind"], &ann["name"], &ann["disabled"]), (&json!("person"), &json!("ann"), &json!(false)));
    edge.catch_up(&origin).await;
    let before = edge.position().seq;
    let change = json!({"disabled": true, "name": "Ann", "email": "ann@example.com"});
    let patch = async |change: &Value| admin.send("PATCH", &format!("{OWNERS}/ann"), Some(change), &[]).await;
    assert_eq!(patch(&change).await.ok()["disabled"], true);
    for key in &keys {
        assert_eq!(edge.sees(&origin, &key.raw).await.map(|_| ()), Err(Reason::Suspended));
        admin.act(&key.id, "resume", None).await.refused(409, "owner_disabled");
    }
    assert_eq!(edge.position().seq, before + 1);
    admin.try_create(json!({"owner_id": "ann"})).await.refused(409, "owner_disabled");
    // Others in the same batch are none the worse for it.
    let (refused, made) = tokio::join!(admin.try_create(json!({"owner_id": "ann"})), admin.create(json!({"owner_id": "bob"})));
    refused.refused(409, "owner_disabled");
    assert_eq!(made.body["owner_id"], "bob");
    assert_eq!(admin.get(&format!("/api/v1/audit?key={}&action=api_key_suspended", keys[1].id)).await.ok().as_array().unwrap().len(), 1);

    patch(&json!({"disabled": false})).await.ok();
    assert_eq!(edge.sees(&origin, &keys[0].raw).await.map(|_| ()), Err(Reason::Suspended), "each is resumed by itself");
    admin.act(&keys[0].id, "resume", None).await.ok();
    assert!(edge.sees(&origin, &keys[0].raw).await.is_ok());
}

#[tokio::test]
async fn a_key_that_is_made_while_its_owner_is_disabled_is_refused_or_suspended() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    for round in 0..6 {
        let owner = format!("owner-{round}");
        admin.create(json!({"owner_id": owner})).await;
        let mut creates = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (admin, owner) = (admin.clone(), owner.clone());
            creates.spawn(async move { admin.try_create(json!({"owner_id": owner})).await.status });
        }
        admin.send("PATCH", &format!("{OWNERS}/{owner}"), Some(&json!({"disabled": true})), &[]).await.ok();
        while let Some(status) = creates.join_next().await {
            assert!(matches!(status.unwrap(), 201 | 409));
        }
        let listed = admin.get(&format!("{KEYS}?owner_id={owner}")).await.ok();
        assert!(listed.as_array().unwrap().iter().all(|key| key["status"] == "suspended"), "{listed}");
    }
}

#[tokio::test]
async fn owners_are_the_tenants_to_manage_and_a_user_sees_itself() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let robot = json!({"id": "build/robot 1", "kind": "service", "name": "Robot"});
    assert_eq!(admin.post(OWNERS, robot.clone()).await.ok()["kind"], "service");
    admin.post(OWNERS, robot).await.refused(409, "already_exists");
    // A slash within a segment has no one reading: such an id is written in base64url.
    admin.get(&format!("{OWNERS}/build%2Frobot%201")).await.refused(400, "path_refused");
    let encoded = |id: &str| format!("{OWNERS}/={}", keyward_core::codec::base64url(id.as_bytes()));
    assert_eq!(admin.get(&encoded("build/robot 1")).await.ok()["name"], "Robot");
    for path in [encoded("\0"), encoded("nobody"), format!("{OWNERS}/=?")] {
        admin.get(&path).await.refused(404, "not_found");
    }
    admin.get(&format!("{OWNERS}?cursor=%00")).await.refused(422, "validation_failed");
    assert_eq!(admin.post(OWNERS, json!({"id": "x", "email": "no address"})).await.problem().2, "email");
    let user = origin.caller(json!({"capabilities": ["tenants:*"], "owner_id": "ann"})).await;
    let listed = user.get(OWNERS).await.ok();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &json!("ann")));
    let missing = user.get(&format!("{OWNERS}/nobody")).await.text;
    assert_eq!(user.get(&format!("{OWNERS}/admin")).await.text, missing);
    user.send("PATCH", &format!("{OWNERS}/ann"), Some(&json!({"name": "x"})), &[]).await.refused(403, "scope_insufficient");
    user.post(OWNERS, json!({"id": "x"})).await.refused(403, "scope_insufficient");
    // Found by a part of id, name or email, in any case; nothing in it is a pattern, and a user finds itself alone.
    admin.post(OWNERS, json!({"id": "svc-7", "name": "100% Nightly", "email": "Ops@example.com"})).await.ok();
    for (text, found) in
        [("ROBOT", vec!["build/robot 1"]), ("0%25", vec!["svc-7"]), ("ops@EX", vec!["svc-7"]), ("%25t", vec![]), ("%5F", vec![])]
    {
        let listed = admin.get(&format!("{OWNERS}?search={text}")).await.ok();
        assert_eq!(listed.as_array().unwrap().iter().map(|owner| owner["id"].as_str().unwrap()).collect::<Vec<_>>(), found, "{text}");
    }
    assert_eq!(user.get(&format!("{OWNERS}?search=svc")).await.ok(), json!([]));
    for text in [String::new(), "%00".into(), "x".repeat(129)] {
        assert_eq!(admin.get(&format!("{OWNERS}?search={text}")).await.problem().2, "search", "{text}");
    }
    let (mut seen, mut next) = (Vec::new(), Some(format!("{OWNERS}?limit=1")));
    while let Some(path) = next {
        let answer = admin.get(&path).await;
        next = answer.headers.get("link").map(|link| link.to_str().unwrap().split(['<', '>']).nth(1).unwrap().to_owned());
        seen.extend(answer.ok().as_array().unwrap().iter().map(|owner| owner["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, ["admin", "ann", "build/robot 1", "keyward", "svc-7"]);
}

#[tokio::test]
async fn a_tenant_adds_to_its_catalogue_and_its_keys_alone_are_given_what_it_added() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let catalogue = format!("{KEYS}/catalog/capabilities");
    let made = admin.post(TENANTS, json!({"slug": "acme", "name": "Acme", "first_key": true})).await.ok();
    let manager = origin.client(made["first_key"]["raw_key"].as_str().unwrap());
    let added = json!({"value": "billing:read", "label": "Read Bills", "category": "Billing"});
    manager.try_create(json!({"capabilities": ["billing:read"]})).await.refused(422, "validation_failed");
    assert_eq!(manager.post(&catalogue, added.clone()).await.ok(), added);
    manager.post(&catalogue, added.clone()).await.refused(409, "already_exists");
    let own = async |client: &Client| {
        let lines = client.get(&catalogue).await.ok()["capabilities"].as_array().unwrap().clone();
        lines.into_iter().filter(|line| line["own"] == true).map(|line| line["value"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((own(&manager).await, own(&admin).await), (vec![json!("billing:read")], vec![]));
    manager.create(json!({"capabilities": ["billing:read"]})).await;
    let all = manager.create(json!({"capabilities": ["billing:*"]})).await;
    manager.act(&all.id, "rotate", None).await.ok();
    admin.try_create(json!({"capabilities": ["billing:read"]})).await.refused(422, "validation_failed");
    // Whoever may not add may not give what was added either, unless it was given to it.
    let weak = origin.client(&manager.create(json!({"capabilities": ["keys:*"], "scope": "tenant"})).await.raw);
    weak.try_create(json!({"capabilities": ["billing:read"]})).await.refused(403, "grant_exceeded");
    // A name within a shipped resource gives no more of that resource.
    let narrow = manager.create(json!({"capabilities": ["keys:*", "tenants:catalog"], "scope": "tenant"})).await;
    let narrow = origin.client(&narrow.raw);
    narrow.post(&catalogue, json!({"value": "llm:house", "label": "x", "category": "x"})).await.ok();
    narrow.create(json!({"capabilities": ["llm:house"]})).await;
    narrow.try_create(json!({"capabilities": ["llm:*"]})).await.refused(403, "grant_exceeded");

    for (value, field) in [("billing", "value"), ("billing:*", "value"), ("keys:more", "value"), ("audit:all", "value"), ("a:b c", "value")]
    {
        let request = json!({"value": value, "label": "x", "category": "x"});
        assert_eq!(manager.post(&catalogue, request).await.problem(), (422, "validation_failed".into(), field.into()), "{value}");
    }
    manager.post(&catalogue, json!({"value": "llm:gpt-4", "label": "x", "category": "x"})).await.refused(409, "already_exists");
}

#[tokio::test]
async fn a_search_of_owners_looks_at_a_bounded_number_a_page_and_goes_on_to_the_last() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let tenant = admin.create(json!({"owner_id": "a"})).await.body["tenant_id"].as_str().unwrap().to_owned();
    let many = format!(
        "INSERT INTO owners (tenant, id, kind, name, created_at, updated_at)
         SELECT '{tenant}', 'robot ' || at, 'service', CASE at WHEN 99999 THEN 'the last' ELSE 'one' END, now(), now()
         FROM generate_series(89000, 99999) AS at"
    );
    origin.database.execute(&many).await;
    let (mut found, mut pages, mut next) = (Vec::new(), 0, Some(format!("{OWNERS}?search=the%20last")));
    while let Some(path) = next {
        let answer = admin.get(&path).await;
        next = answer.headers.get("link").map(|link| link.to_str().unwrap().split(['<', '>']).nth(1).unwrap().to_owned());
        found.extend(answer.ok().as_array().unwrap().iter().map(|owner| owner["id"].clone()));
        pages += 1;
    }
    assert_eq!((found, pages), (vec![json!("robot 99999")], 2));
    let user = origin.caller(json!({"capabilities": ["tenants:owners"], "owner_id": "ann"})).await;
    let own = user.get(&format!("{OWNERS}?search=an")).await;
    assert!(own.headers.get("link").is_none(), "the id of another owner is told as a place to go on from: {own:?}");
    assert_eq!(own.ok()[0]["id"], "ann");
}
