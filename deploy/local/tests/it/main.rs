//! The commands that a newcomer types, on real processes.

mod configuration;
mod demo;
mod preflight;
