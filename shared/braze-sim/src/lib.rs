#![doc = include_str!("../README.md")]

mod admin;
mod apply;
mod call;
mod downloads;
mod endpoint;
mod export;
mod export_ids;
mod export_segment;
mod exports;
mod faults;
mod handle;
mod journal;
mod keys;
mod limits;
mod meter;
mod options;
mod pack;
mod routes;
mod segments;
mod server;
mod settings;
mod shared;
mod sim;
mod storage;
mod tls;
mod track;
mod users;

pub use exports::{Callback, Export};
pub use faults::{Fault, FaultKind};
pub use handle::SimHandle;
pub use journal::{JournalEntry, Order};
pub use meter::Meter;
pub use options::{DEFAULT_WORKSPACE, Key, Options, PERMISSIONS, Tls};
pub use segments::Segment;
pub use settings::{
    AttributeType, Burst, ErrorForm, ObjectLimit, RateHeaders, RateLimits, SegmentExports, Settings, SettingsError,
};
pub use sim::{Error, Sim};
pub use storage::{Bucket, Storage};
pub use users::{Alias, Happening, User, UserRef};
