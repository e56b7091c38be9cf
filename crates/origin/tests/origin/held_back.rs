//! Requests of which the end is held back.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{KEYS, Origin};

/// A request that is all there but for its last byte, and of which the head has been let in.
struct HeldBack {
    stream: TcpStream,
    last: u8,
}

impl HeldBack {
    async fn begin(origin: &Origin, key: &str, method: &str, path: &str, body: &Value) -> Self {
        let (body, address) = (body.to_string(), origin.address);
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // It comes when the body is waited for, and so after the look at the caller.
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        let (last, rest) = body.as_bytes().split_last().unwrap();
        stream.write_all(rest).await.unwrap();
        Self { stream, last: *last }
    }

    /// The answer's status and its problem's code.
    async fn end(mut self) -> (u16, Value) {
        self.stream.write_all(&[self.last]).await.unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str::<Value>(body).unwrap()["code"].clone())
    }
}

#[tokio::test]
async fn who_is_revoked_while_the_end_of_its_request_is_held_back_changes_nothing() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let target = admin.create(json!({"name": "as it was"})).await.id;
    let cases = [
        ("PATCH", format!("{KEYS}/{target}"), json!({"name": "another"})),
        ("POST", format!("{KEYS}/{target}/rotate"), json!({"overlap_seconds": 0})),
        ("POST", format!("{KEYS}/bulk/create"), json!({"keys": [{"name": "another"}]})),
        ("POST", KEYS.to_owned(), json!({"name": "another"})),
    ];
    let capabilities = json!(["keys:read", "keys:create", "keys:update", "keys:rotate"]);
    for (method, path, body) in cases {
        let caller = admin.create(json!({"scope": "tenant", "capabilities": capabilities})).await;
        let request = HeldBack::begin(&origin, &caller.raw, method, &path, &body).await;
        admin.act(&caller.id, "revoke", None).await.ok();
        assert_eq!(request.end().await, (401, json!("key_revoked")), "{method} {path}");
    }
    let before = admin.get(&format!("{KEYS}/{target}")).await.ok();
    assert_eq!((&before["name"], &before["last_rotated"]), (&json!("as it was"), &Value::Null));
    assert_eq!(admin.get(&format!("{KEYS}?search=another")).await.ok(), json!([]));
}

#[tokio::test]
async fn who_is_changed_while_its_request_comes_is_asked_to_send_it_again() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let target = admin.create(json!({})).await.id;
    let caller = admin.create(json!({"scope": "tenant", "capabilities": ["keys:update", "llm:*"]})).await;
    let change = (format!("{KEYS}/{target}"), json!({"name": "another"}));
    let request = HeldBack::begin(&origin, &caller.raw, "PATCH", &change.0, &change.1).await;
    admin.act(&caller.id, "patch", Some(json!({"capabilities": ["keys:update"]}))).await.ok();
    assert_eq!(request.end().await, (408, json!("request_timeout")));
    let request = HeldBack::begin(&origin, &caller.raw, "PATCH", &change.0, &change.1).await;
    assert_eq!(request.end().await.0, 200);
}
