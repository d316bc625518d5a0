//! Import jobs, in this process, on an in-process broker.

mod bad;
mod callback;
mod jobs;
mod kept_updated;
mod observed;
mod running;
mod segment_export;
mod segments;
mod sources;
mod storages;
