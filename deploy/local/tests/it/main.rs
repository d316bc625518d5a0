//! The commands that a newcomer types, on real processes.

mod demo;
mod first_hour;
