#![doc = include_str!("../README.md")]

mod admin;
mod apply;
mod call;
mod export_ids;
mod faults;
mod handle;
mod journal;
mod keys;
mod limits;
mod meter;
mod options;
mod routes;
mod server;
mod settings;
mod shared;
mod sim;
mod tls;
mod track;
mod users;

pub use faults::{Fault, FaultKind};
pub use handle::SimHandle;
pub use journal::{JournalEntry, Order};
pub use meter::Meter;
pub use options::{DEFAULT_WORKSPACE, Key, Options, PERMISSIONS, Tls};
pub use settings::{AttributeType, Burst, ErrorForm, ObjectLimit, RateHeaders, RateLimits, Settings, SettingsError};
pub use sim::{Error, Sim};
pub use users::{Alias, Happening, User, UserRef};
