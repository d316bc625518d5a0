//! The runtime as a service uses it: over sockets, and with real signals.
#![cfg(test)]

mod admin;
mod grpc;
mod signals;
mod traces;

use runtime::testing::{DEADLINE, wait_for};
