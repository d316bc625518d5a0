#![doc = include_str!("../README.md")]

pub mod admin;
pub mod config;
pub mod exit;
pub mod grpc;
pub mod lifecycle;
pub mod secrets;
pub mod telemetry;
pub mod trace;
