#![doc = include_str!("../README.md")]

pub mod bench;
mod broker;
pub mod ingest;
mod replica;

pub use broker::Broker;
pub use replica::{Replica, pinned};
