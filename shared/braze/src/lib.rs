#![doc = include_str!("../README.md")]

mod array;
mod attribute;
mod client;
mod end;
mod error;
mod gate;
mod instance;
mod json;
mod lookup;
mod occurrence;
mod rate;
mod redact;
mod request;
mod response;
mod segment;

pub use array::Array;
pub use attribute::{AttributeError, AttributeName, Clause, VALUE_CHARS_MAX};
pub use client::{Attempt, Client, ClientOptions};
pub use end::{End, Reason, Refusal, Verdict};
pub use error::Error;
pub use instance::{INSTANCES, Instance, UnknownInstance, endpoint};
pub use json::is_plain;
pub use lookup::{Held, LookupError, User};
pub use occurrence::{EventNameError, Purchase, PurchaseError, QUANTITY_MAX, check_event_name};
pub use rate::RateHints;
pub use request::{BODY_BYTES_MAX, EXTERNAL_ID_BYTES_MAX, Full, Identifier, OBJECTS_MAX, Track, TrackBuilder};
/// The URL type that [`endpoint`] returns and [`Client::track`] takes.
pub use reqwest::Url;
pub use segment::{Denial, Denied, EXPORT_FIELDS, OutputFormat, Segment, SegmentExport, SegmentPage, StartedExport};
