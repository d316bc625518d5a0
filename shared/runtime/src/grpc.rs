//! gRPC: how a server is assembled, how a client connects, and how errors are spelled.

pub use client::{Channel, ConnectError, connect};
pub use server::{Options, Server, ServerError, Services};

mod call;
mod client;
mod connection;
mod deadline;
mod health;
mod server;
pub mod status;

/// The largest message a server of ours takes, in bytes. It is tonic's default; a service that needs another limit says so
/// with `max_decoding_message_size` on its generated server.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
