#![doc = include_str!("../README.md")]

mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod metrics;
pub mod normalize;
mod publish;
mod source;
