#![doc = include_str!("../README.md")]

mod broker;
mod replica;

pub use broker::Broker;
pub use replica::{Replica, pinned};
