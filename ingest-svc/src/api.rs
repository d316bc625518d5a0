//! The gRPC services, one file each. Every method checks token and role before it does anything else.

mod imports;
mod ingest;
mod mappings;
mod records;
mod resource;
mod storages;
mod tail;
mod tokens;

pub(crate) use imports::{Imports, Observer};
pub(crate) use ingest::Ingest;
pub(crate) use mappings::Mappings;
pub(crate) use storages::Storages;
pub(crate) use tokens::Tokens;
