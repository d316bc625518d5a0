//! Import jobs, in this process, on an in-process broker.

mod bad;
mod jobs;
mod kept_updated;
mod observed;
mod running;
mod sources;
mod storages;
