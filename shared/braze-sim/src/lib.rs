#![doc = include_str!("../README.md")]

mod faults;
mod journal;
mod meter;
mod options;
mod settings;
mod sim;
mod users;

pub use faults::{Fault, FaultKind};
pub use journal::JournalEntry;
pub use meter::Meter;
pub use options::{DEFAULT_WORKSPACE, Key, Options, PERMISSIONS};
pub use settings::{
    AttributeType, Burst, ErrorForm, ObjectLimit, RateHeaders, RateLimits, Settings, SettingsError,
};
pub use sim::{Error, Sim, SimHandle};
pub use users::{Alias, Happening, User, UserRef};
