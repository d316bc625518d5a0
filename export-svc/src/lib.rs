#![doc = include_str!("../README.md")]
// Commands print by `runtime::stdout`, which a closed pipe does not bring down.
#![warn(clippy::print_stdout)]

pub mod api;
pub mod app;
pub mod batch;
pub mod budget;
mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
mod consume;
mod deliver;
pub mod engine;
mod explain;
mod feed;
mod hash;
mod health;
mod job_log;
mod lease;
pub mod measure;
mod metrics;
pub mod order;
mod pipeline;
mod placement;
mod plan;
pub mod positions;
mod redrive;
pub mod route;
mod settle;
mod stretch;
mod tail;
mod trigger;
mod workspace;
