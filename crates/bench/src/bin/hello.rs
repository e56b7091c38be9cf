//! A bare axum server, which says `ready PORT` when it listens: what HTTP alone costs, and what stands behind edges. So it
//! answers on every path.

use axum::{Router, routing::get, serve::ListenerExt};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ready {}", listener.local_addr()?.port());
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, Router::new().route("/", get(hello)).fallback(hello)).await
}

async fn hello() -> &'static str {
    "hello"
}
