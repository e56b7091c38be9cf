//! keyward
fn main() {}
