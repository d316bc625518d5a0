#![cfg(test)]
//! The client against a server that answers with bytes written by hand, or not at all.

mod calls;
mod segments;
mod server;
