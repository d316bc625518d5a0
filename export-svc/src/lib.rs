#![doc = include_str!("../README.md")]

pub mod api;
pub mod app;
pub mod batch;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
mod hash;
mod metrics;
pub mod order;
