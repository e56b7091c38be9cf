//! Many who want the same: they wait for each other, and nobody else for them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;
use sqlx::{Connection, Executor};
use tokio::task::JoinSet;

use crate::harness::{Answer, Client, KEYS, Origin, eventually};

/// So many requests at a time, and how many of them have been answered.
fn crowd<F>(size: usize, ask: impl Fn() -> F) -> (JoinSet<Answer>, Arc<AtomicUsize>)
where
    F: Future<Output = Answer> + Send + 'static,
{
    let answered = Arc::new(AtomicUsize::new(0));
    let asked = (0..size).map(|_| (ask(), Arc::clone(&answered))).map(|(ask, answered)| async move {
        let answer = ask.await;
        answered.fetch_add(1, Ordering::Relaxed);
        answer
    });
    (asked.collect(), answered)
}

/// How many of them were done, and how many were told to come again.
async fn ended(crowd: JoinSet<Answer>) -> (usize, usize) {
    let answers = crowd.join_all().await;
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    for answer in &refused {
        assert_eq!((answer.problem().0, answer.problem().1.as_str()), (429, "rate_limited"), "{answer:?}");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    (done.len(), refused.len())
}

#[tokio::test]
async fn however_many_change_one_key_the_others_find_connections() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let made = admin.post("/api/v1/tenants", json!({"slug": "other", "name": "Other", "first_key": true})).await.ok();
    let other = origin.client(made["first_key"]["raw_key"].as_str().unwrap());
    let key = admin.create(json!({})).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let wait = async |most: i64| {
        let all = async || (origin.database.count(waiting).await == most).then_some(());
        eventually("they wait for the row", all).await;
    };
    let lists = async |client: &Client| client.get(KEYS).await.ok();
    let row = format!("SELECT FROM api_keys WHERE id = '{}' FOR UPDATE", key.id);
    let mut outside = origin.database.connect().await;

    // Somebody outside has the key's row; of all who change it one waits for that, most in memory, and the others are told.
    let mut holder = outside.begin().await.unwrap();
    holder.execute(sqlx::AssertSqlSafe(row.clone())).await.unwrap();
    let change = || {
        let (admin, id) = (admin.clone(), key.id.clone());
        async move { admin.act(&id, "patch", Some(json!({"name": "hot"}))).await }
    };
    let (changes, refused) = crowd(300, change);
    eventually("too many are told so", async || (refused.load(Ordering::Relaxed) == 300 - 257).then_some(())).await;
    wait(1).await;
    lists(&other).await;
    lists(&admin).await;
    assert_eq!(origin.database.count(waiting).await, 1);
    holder.commit().await.unwrap();
    let (done, _) = ended(changes).await;
    assert!(done > 1, "{done}");

    // In bulk they name many keys, and wait where they meet: a tenant leaves connections to the others.
    let mut holder = outside.begin().await.unwrap();
    holder.execute(sqlx::AssertSqlSafe(row)).await.unwrap();
    let suspend = || {
        let (admin, ids) = (admin.clone(), json!({"ids": [key.id]}));
        async move { admin.post(&format!("{KEYS}/bulk/suspend"), ids).await }
    };
    let (bulk, answered) = crowd(40, suspend);
    wait(16).await;
    lists(&other).await;
    assert_eq!((origin.database.count(waiting).await, answered.load(Ordering::Relaxed)), (16, 0));
    holder.commit().await.unwrap();
    assert_eq!(ended(bulk).await, (40, 0));
}
