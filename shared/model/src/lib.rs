#![doc = include_str!("../README.md")]

mod account;
pub mod membership;
pub mod name;
mod role;
pub mod text;
pub mod time;

pub use account::{AccountHex, AccountNumber, AccountRef, ParseAccountError};
pub use membership::{
    Action, Fields, Malformed, Membership, MembershipError, ReadError, membership_key, parse_membership_key,
};
pub use role::{ParseRoleError, Role};
