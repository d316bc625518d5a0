#![doc = include_str!("../README.md")]

mod api;
pub mod app;
pub mod cli;
pub mod config;
mod mappings;
pub mod metrics;
pub mod normalize;
mod publish;
mod readable;
mod shadow;
pub mod source;
