//! A small HTTP/1.1, client and server, that changes nothing on the way.
//!
//! Ordinary clients tidy a request target before they send it, and ordinary servers before they show it. What the
//! edge does with `/a/%2e%2e/b`, `//` or `\` can only be seen with neither of them.

mod client;
mod message;
mod server;
mod wire;

pub use client::{Connection, send};
pub use message::{Headers, Request, Response};
pub use server::{Reply, Server};
