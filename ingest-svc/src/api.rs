//! The gRPC services, one file each. Every method checks token and role before it does anything else.

mod ingest;
mod mappings;
mod records;
mod tail;
mod tokens;

pub(crate) use ingest::Ingest;
pub(crate) use mappings::Mappings;
pub(crate) use tokens::Tokens;
