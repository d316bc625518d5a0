#![cfg(test)]
//! The whole system as it is run: real binaries in processes of their own, a Kafka, the simulator. Every file says at its top what
//! it proves and how.

mod compose;
mod docs;
mod drain;
mod exports_page;
mod first_hour;
mod grpc_page;
mod harness;
mod imports;
mod imports_page;
mod outage;
mod placement;
mod races;
mod secrets;
mod telemetry;
