//! The simulator as a program; see `cli`.

fn main() {}
