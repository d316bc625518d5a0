//! The gRPC services, one file each. Every method checks token and role before it does anything else.

mod ingest;
mod records;
mod tail;
mod tokens;

pub(crate) use ingest::Ingest;
pub(crate) use tokens::Tokens;
