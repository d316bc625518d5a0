#![doc = include_str!("../README.md")]

mod bare;
mod client;
mod config;
mod delivery;
mod error;
mod group;
pub mod headers;
mod lost;
pub mod metrics;
mod partition;
mod producer;
mod reader;
mod record;
pub mod rejected;
mod table;
pub mod testing;
pub mod topics;
mod transaction;

pub use bare::BareReader;
pub use config::{Config, Protocol, Security};
pub use error::{Disposition, Error};
pub use group::{Held, Member};
pub use partition::partition_of;
pub use producer::{Publisher, PublisherOptions};
pub use reader::{Polled, Position, Reader, ReaderOptions, RecordView};
pub use record::{Ack, RecordOut};
pub use table::{Change, Entry, MutateError, Table, View};
pub use topics::Topics;
pub use transaction::TransactionalWriter;
