//! The service over a broker: its API and its command line, in this process or as a real one.
#![cfg(test)]

mod api;
mod cli;
mod engine;
mod handover_model;
mod service;
