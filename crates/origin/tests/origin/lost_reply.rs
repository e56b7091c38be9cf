//! A connection to Postgres that dies after a statement was done and before its reply came.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream},
};

use crate::{
    harness::{KEYS, eventually},
    limits::{ask, start},
};

/// Between a server and its Postgres. Once armed, it lets the next statement with this text through, waits until it is done, and
/// breaks its connection off in place of a reply.
struct Relay {
    address: SocketAddr,
    armed: Arc<AtomicBool>,
}

/// A message of the protocol (PostgreSQL, "Message Formats"): its type, where it has one, and all of its bytes.
async fn message(from: &mut (impl AsyncReadExt + Unpin), typed: bool) -> Option<(u8, Vec<u8>)> {
    let mut bytes = vec![0; if typed { 5 } else { 4 }];
    from.read_exact(&mut bytes).await.ok()?;
    let length = u32::from_be_bytes(bytes[bytes.len() - 4..].try_into().unwrap()) as usize;
    let head = bytes.len();
    bytes.resize(head + length - 4, 0);
    from.read_exact(&mut bytes[head..]).await.ok()?;
    Some((if typed { bytes[0] } else { 0 }, bytes))
}

impl Relay {
    async fn start(socket: String, text: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let relay = Self { address: listener.local_addr().unwrap(), armed: Arc::default() };
        let armed = Arc::clone(&relay.armed);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(Self::pass(client, server, text, Arc::clone(&armed)));
            }
        });
        relay
    }

    async fn pass(client: tokio::net::TcpStream, server: UnixStream, text: &'static str, armed: Arc<AtomicBool>) -> Option<()> {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        // What a client begins with: it asks for TLS, or says who it is.
        loop {
            let (_, bytes) = message(&mut from_client, false).await?;
            if bytes[4..8] == 80_877_103_u32.to_be_bytes() {
                to_client.write_all(b"N").await.ok()?;
                continue;
            }
            to_server.write_all(&bytes).await.ok()?;
            break;
        }
        let cut = Arc::new(AtomicBool::new(false));
        let cutting = Arc::clone(&cut);
        let replies = tokio::spawn(async move {
            while let Some((kind, bytes)) = message(&mut from_server, true).await {
                if !cutting.load(Ordering::SeqCst) {
                    to_client.write_all(&bytes).await.ok()?;
                } else if kind == b'Z' {
                    // Ready for the next one: it is done, and committed.
                    break;
                }
            }
            Some(())
        });
        let mut names: Vec<Vec<u8>> = Vec::new();
        let name = |bytes: &[u8], nth: usize| bytes[5..].split(|byte| *byte == 0).nth(nth).map(<[u8]>::to_vec);
        let forward = async {
            while let Some((kind, bytes)) = message(&mut from_client, true).await {
                match kind {
                    b'P' if String::from_utf8_lossy(&bytes).contains(text) => names.extend(name(&bytes, 0)),
                    b'B' if name(&bytes, 1).is_some_and(|name| names.contains(&name)) && armed.swap(false, Ordering::SeqCst) => {
                        cut.store(true, Ordering::SeqCst);
                    }
                    _ => {}
                }
                if to_server.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        };
        // Either end takes the other with it.
        tokio::select! {
            () = forward => {}
            _ = replies => {}
        }
        Some(())
    }
}

#[tokio::test]
async fn what_was_given_back_is_not_taken_back_twice_where_the_reply_is_lost() {
    let mut origin = start().await;
    // The statement that writes accounts which still are as they were read.
    let host = origin.database.url().split("host=").nth(1).unwrap().split('&').next().unwrap().replace("%2F", "/");
    let relay = Relay::start(format!("{host}/.s.PGSQL.5432"), "made AS (").await;
    let url = origin.database.url();
    let name = url.split('?').next().unwrap().rsplit('/').next().unwrap();
    origin.restart_on(&format!("postgres://keyward@{}/{name}?sslmode=disable", relay.address)).await;
    let admin = origin.admin();
    let key = crate::limits::key(&origin, json!({"daily_quota": 100_000})).await;

    let mut passed = 0_u64;
    for _ in 0..200 {
        passed += u64::from(ask(&admin, &key.raw, json!({})).await["valid"] == true);
    }
    assert_eq!(passed, 200);
    admin.act(&key.id, "patch", Some(json!({"daily_quota": 300}))).await.ok();
    relay.armed.store(true, Ordering::SeqCst);
    // Permits under the old limit go back with the next question, and of that the answer is lost.
    let validate = json!({"api_key": key.raw, "endpoint": "/v1/x"});
    let lost = eventually("a reply is lost", async || {
        let answer = admin.post(&format!("{KEYS}/validate"), validate.clone()).await;
        passed += u64::from(answer.status == 200 && answer.json()["valid"] == true);
        (!relay.armed.load(Ordering::SeqCst)).then_some(())
    });
    lost.await;
    let mut refused = 0;
    while refused < 10 {
        let answer = admin.post(&format!("{KEYS}/validate"), validate.clone()).await;
        if answer.status == 200 && answer.json()["valid"] == true {
            (passed, refused) = (passed + 1, 0);
        } else {
            refused += 1;
            origin.advance(Duration::from_secs(1));
        }
        assert!(passed <= 300, "more than the limit");
    }
}
