#![doc = include_str!("../README.md")]

mod client;
mod end;
mod error;
mod gate;
mod instance;
mod rate;
mod redact;
mod request;
mod response;

pub use client::{Attempt, Client, ClientOptions};
pub use end::{End, Reason, Refusal, Verdict};
pub use error::Error;
pub use instance::{INSTANCES, Instance, UnknownInstance, endpoint};
pub use rate::RateHints;
pub use request::{
    AttributeError, AttributeName, BODY_BYTES_MAX, EXTERNAL_ID_BYTES_MAX, Full, Identifier, OBJECTS_MAX, Track,
    TrackBuilder, VALUE_CHARS_MAX, is_plain,
};
/// The URL type that [`endpoint`] returns and [`Client::track`] takes.
pub use reqwest::Url;
