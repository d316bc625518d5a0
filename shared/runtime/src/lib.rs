#![doc = include_str!("../README.md")]

pub mod admin;
pub mod background;
pub mod config;
mod connections;
pub mod error;
pub mod exit;
pub mod grpc;
pub mod http1;
pub mod lifecycle;
pub mod secrets;
pub mod stdout;
pub mod telemetry;
pub mod testing;
pub mod trace;
pub mod window;
