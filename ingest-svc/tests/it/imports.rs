//! Import jobs, in this process, on an in-process broker.

mod bad;
mod kept_updated;
mod running;
mod sources;
