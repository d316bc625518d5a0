#![doc = include_str!("../README.md")]
// Commands print by `runtime::stdout`, which a closed pipe does not bring down.
#![warn(clippy::print_stdout)]

mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod files;
mod imports;
mod mappings;
pub mod metrics;
pub mod normalize;
mod publish;
mod readable;
mod shadow;
pub mod source;
pub mod store;
pub mod uploads;
