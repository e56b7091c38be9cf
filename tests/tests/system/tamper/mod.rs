//! Whatever is done to a signed object on its way, an edge refuses it, keeps what it knew and counts it.
//!
//! The origin here is one whose signing keys the test holds, with a relay in front that tells the lies.

mod feed;
mod lies;
mod parts;
mod scene;
