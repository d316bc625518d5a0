//! gRPC: how a server is assembled, how a client connects, and how errors are spelled.

pub use client::{Channel, ConnectError, connect};
pub use server::{Options, Server, ServerError, Services};

mod client;
mod server;
pub mod status;

/// The largest message a server of ours takes: generated servers are given it as `max_decoding_message_size`.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
