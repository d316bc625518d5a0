#![doc = include_str!("../README.md")]

mod account;
pub mod name;
mod role;
pub mod text;
pub mod time;

pub use account::{AccountHex, AccountNumber, AccountRef, ParseAccountError};
pub use role::{ParseRoleError, Role};
