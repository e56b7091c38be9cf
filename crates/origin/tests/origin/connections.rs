//! Connections, by who is at their other end.

use std::{net::SocketAddr, time::Duration};

use keyward_origin::config::Connections;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{interval, timeout},
};

use crate::harness::Origin;

/// More than systems keep for a reader that doesn't come.
const ANSWERS: usize = 16;

/// Asks for that many large answers; takes little at a time.
async fn ask(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(128 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = |last: bool| format!("GET /openapi.json HTTP/1.1\r\nHost: x\r\n{}\r\n", if last { "Connection: close\r\n" } else { "" });
    let requests: String = (1..=ANSWERS).map(|number| request(number == ANSWERS)).collect();
    stream.write_all(requests.as_bytes()).await.unwrap();
    stream
}

/// The answers that came whole.
fn answers(read: &[u8]) -> usize {
    let whole = String::from_utf8_lossy(read);
    whole.split("HTTP/1.1 200 OK\r\n").skip(1).filter(|answer| answer.ends_with('}')).count()
}

async fn is_healthy(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_gets_all_of_its_answers_one_that_stops_is_let_go_and_no_more_are_let_in_than_are_kept() {
    let mut origin = Origin::start().await;
    origin.connections = Connections { most: 1, look: Duration::from_millis(100) };
    origin.restart().await;
    let mut slow = ask(origin.address).await;
    let mut read = Vec::new();
    read.push(slow.read_u8().await.unwrap());
    let next = tokio::spawn(is_healthy(origin.address));
    // For longer than would do without progress.
    let mut pace = interval(Duration::from_millis(20));
    let mut some = vec![0; 64 * 1024];
    loop {
        pace.tick().await;
        let count = slow.read(&mut some).await.unwrap();
        if count == 0 {
            break;
        }
        assert!(!next.is_finished() || answers(&read) > ANSWERS / 2);
        read.extend_from_slice(&some[..count]);
    }
    assert_eq!(answers(&read), ANSWERS);
    next.await.unwrap();

    let mut stopped = ask(origin.address).await;
    is_healthy(origin.address).await;
    let mut read = Vec::new();
    let _ = stopped.read_to_end(&mut read).await;
    assert!(answers(&read) < ANSWERS);
}
