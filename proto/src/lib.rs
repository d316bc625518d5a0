#![doc = include_str!("../README.md")]

#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    missing_docs,
    unreachable_pub,
    reason = "generated code"
)]
mod contracts {
    include!(concat!(env!("OUT_DIR"), "/contracts.rs"));
}

pub use contracts::lytics::{
    account, apitoken, authorization, control, export, imports, ingest, mapping, membership, profile,
};

/// Every contract as an encoded `FileDescriptorSet`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
