//! The way to the origin: which one, with which key, and what can happen on it.

use std::{
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, rustls};

use super::shell::Shell;
use crate::harness::Origin;

#[tokio::test]
async fn what_goes_wrong_is_told_with_its_code_and_an_exit_code_that_scripts_can_go_by() {
    let origin = Origin::start().await;
    let shell = Shell::of(&origin);
    let id = "0197f3a0-0000-7000-8000-000000000000";
    shell.run(&["keys", "get", id]).await.fails(1, "Not found (404 not_found)");
    let problem = shell.run(&["keys", "get", id, "--json"]).await.fails(1, "");
    assert_eq!(serde_json::from_str::<Value>(&problem.err).unwrap()["code"], "not_found");
    assert!(problem.out.is_empty());
    shell.run(&["keys", "create", "x", "--allow-ip", "nowhere"]).await.fails(1, "allowed_ips[0]: ");
    shell.run(&["keys", "get", "nothing"]).await.fails(2, "UUID");
    shell.run(&["keys", "create", "x", "--scope", "root"]).await.fails(2, "possible values");

    let key = origin.file("admin.key");
    Shell::at("https://no-such-host.invalid", &key).run(&["keys", "list"]).await.fails(3, "no-such-host.invalid");
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for scheme in ["http", "https"] {
        Shell::at(&format!("{scheme}://127.0.0.1:{port}"), &key).run(&["keys", "list"]).await.fails(3, "no answer");
    }
    Shell::at("http://192.0.2.1", &key).run(&["keys", "list"]).await.fails(2, "--insecure-http");
    // What something else answers is no answer, and the key doesn't follow it.
    let moved = format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", origin.address);
    Shell::at(&saying(moved).await, &key).run(&["keys", "list"]).await.fails(3, "doesn't answer as Keyward does: 302");

    // Nor is half an export one.
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncontent-length: 99\r\nconnection: close\r\n\r\n{}\n";
    let cut = Shell::at(&saying(half.to_owned()).await, &key);
    let file = cut.home.path().join("audit.jsonl");
    cut.run(&["audit", "export", "--output", file.to_str().unwrap()]).await.fails(3, "no answer");
    assert!(!file.exists());

    let broken = format!("{}x", origin.file("admin.key"));
    Shell::at(&shell.env[0].1, &broken).run(&["keys", "list"]).await.fails(2, "isn't one");
    let stranger = origin.key(json!({})).await.raw;
    Shell::at(&shell.env[0].1, &stranger).run(&["keys", "list"]).await.fails(1, "capability_missing");
}

#[tokio::test]
async fn a_profile_names_origin_and_key_in_a_file_that_others_must_not_be_able_to_read() {
    let origin = Origin::start().await;
    let bare = || Shell::of(&origin).without("KEYWARD_URL").without("KEYWARD_KEY");
    let (url, key) = (format!("http://{}", origin.address), origin.file("admin.key"));
    let inline = format!("[default]\nurl = \"{url}\"\nkey = \"{key}\"\n");
    bare().profiles(0o600, &inline).run(&["keys", "list"]).await.ok();
    bare().profiles(0o640, &inline).run(&["keys", "list"]).await.fails(2, "mode 0640");
    bare().run(&["keys", "list"]).await.fails(2, "profiles.toml");

    let beside = format!("[ops]\nurl = \"{url}\"\nkey_file = \"ops.key\"\n");
    let shell = bare().profiles(0o600, &beside);
    let file = shell.home.path().join(".config/keyward/ops.key");
    std::fs::write(&file, &key).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    shell.run(&["keys", "list", "--profile", "ops"]).await.fails(2, "ops.key");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    shell.run(&["keys", "list", "--profile", "ops"]).await.ok();
    shell.run(&["keys", "list"]).await.fails(2, "no profile `default`");

    // What can't be read as TOML isn't repeated: it may be the key.
    bare().profiles(0o600, &format!("[default]\nkey = {key}\n")).run(&["keys", "list"]).await.fails(2, "profiles.toml:2");
    // A profile's key goes to the profile's origin alone.
    bare().profiles(0o600, &inline).run(&["keys", "list", "--url", "https://elsewhere.example"]).await.fails(2, "KEYWARD_KEY");
}

/// A request to its end: who closes before resets the connection, and the answer with it.
async fn read_whole(client: &mut TcpStream) {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            if body.len() >= length {
                return;
            }
        }
        assert!(client.read_buf(&mut request).await.unwrap() > 0, "{text}");
    }
}

/// Something that answers so to whatever it is asked.
async fn saying(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            read_whole(&mut client).await;
            client.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}")
}

/// A way to the origin on which the first request gets this answer; or, without one, the origin, whose answer is lost.
async fn where_the_first_gets(origin: &Origin, answer: Option<&'static str>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, origin, count) = (listener.local_addr().unwrap(), origin.address, Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(origin).await.unwrap();
            if counted.fetch_add(1, Ordering::Relaxed) > 0 {
                tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
            } else if let Some(answer) = answer {
                read_whole(&mut client).await;
                client.write_all(answer.as_bytes()).await.unwrap();
            } else {
                // The origin's answer begins once all is committed: there the connection breaks.
                let (mut from_client, (mut from_server, mut to_server)) = (client.split().0, server.split());
                let mut first = [0];
                tokio::select! {
                    _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                    _ = from_server.read(&mut first) => {}
                }
            }
        }
    });
    (format!("http://{address}"), count)
}

#[tokio::test]
async fn a_create_or_rotate_whose_answer_is_lost_is_done_once_and_its_raw_key_comes_with_the_next_try() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let (url, connections) = where_the_first_gets(&origin, None).await;
    let raw = Shell::at(&url, &origin.file("admin.key")).run(&["keys", "create", "once"]).await.ok();
    assert_eq!(connections.load(Ordering::Relaxed), 2);
    let listed = admin.get("/api/v1/api-keys?search=once").await.ok();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(admin.verdict(raw.trim()).await, None);

    let (url, _) = where_the_first_gets(&origin, None).await;
    let id = listed[0]["id"].as_str().unwrap();
    let rotated = Shell::at(&url, &origin.file("admin.key")).run(&["keys", "rotate", id]).await.ok();
    assert_eq!(admin.verdict(rotated.trim()).await, None);
    let (url, _) = where_the_first_gets(&origin, None).await;
    let first_key = Shell::at(&url, &origin.file("admin.key")).run(&["tenants", "create", "acme", "Acme", "--first-key"]).await.ok();
    assert_eq!(origin.client(first_key.trim()).get("/api/v1/api-keys").await.ok().as_array().unwrap().len(), 1);
    // What has no such name is not sent twice.
    let (url, connections) = where_the_first_gets(&origin, None).await;
    let unknown = Shell::at(&url, &origin.file("admin.key")).run(&["owners", "create", "ann"]).await;
    unknown.fails(3, "isn't known");
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    // And where the last word is a proxy's, the name of the try is told.
    let bad = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let shell = Shell::at(&saying(bad.to_owned()).await, &origin.file("admin.key"));
    shell.run(&["keys", "create", "x"]).await.fails(3, "--idempotency-key");
    // By hand likewise: the name of the first run has its answer.
    let again = ["keys", "create", "named", "--idempotency-key", "order-4711"];
    let shell = Shell::of(&origin);
    assert_eq!(shell.run(&again).await.ok(), shell.run(&again).await.ok());
}

#[tokio::test]
async fn an_origin_that_says_when_to_come_again_is_asked_again_then_and_no_proxy_hears_of_it() {
    let origin = Origin::start().await;
    let busy = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (url, connections) = where_the_first_gets(&origin, Some(busy)).await;
    let mut shell = Shell::at(&url, &origin.file("admin.key"));
    shell.env.extend(["http_proxy", "HTTP_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1".to_owned())));
    assert!(shell.run(&["keys", "list"]).await.ok().contains("First admin"));
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

/// The origin behind TLS, and the certificate of who vouches for it.
async fn behind_tls(origin: &Origin) -> (String, String) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![signed.cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, origin) = (listener.local_addr().unwrap().port(), origin.address);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let (mut client, mut server) = (acceptor.accept(client).await?, TcpStream::connect(origin).await?);
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    (format!("https://localhost:{port}"), signed.cert.pem())
}

#[tokio::test]
async fn an_origin_is_told_the_key_over_tls_where_the_system_trusts_its_certificate_and_else_not() {
    let origin = Origin::start().await;
    let (url, certificate) = behind_tls(&origin).await;
    let mut shell = Shell::at(&url, &origin.file("admin.key"));
    shell.run(&["keys", "list"]).await.fails(3, "no answer from https://localhost");
    let file = shell.home.path().join("trusted.pem");
    std::fs::write(&file, certificate).unwrap();
    shell.env.push(("SSL_CERT_FILE", file.to_str().unwrap().to_owned()));
    assert!(shell.run(&["keys", "list"]).await.ok().contains("First admin"));
}
