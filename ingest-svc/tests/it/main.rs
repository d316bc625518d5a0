//! The service in this process against a broker, over raw HTTP and gRPC.
#![cfg(test)]

mod accepted;
mod access;
mod bad_input;
mod bodies;
mod bulk;
mod collect;
mod currents;
mod drain;
mod grpc;
mod harness;
mod import;
mod imports;
mod mappings;
mod normalize;
mod outage;
mod process;
mod senders;
mod store;
mod tokens;
mod trace;
mod uploads;
