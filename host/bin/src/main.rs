//! The wattle program.
fn main() {}
