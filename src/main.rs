//! The `herald` binary: everything is in the library.

fn main() {}
