//! The gRPC API over a broker.

mod access;
mod accounts;
mod audiences;
mod authorizations;
mod explain;
mod guard;
mod job_log;
mod jobs;
mod memberships;
mod omitted;
mod pages;
mod plan;
mod progress;
mod revisions;

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The code of a refusal, for a readable assertion.
fn code<T: std::fmt::Debug>(answer: Result<T, Status>) -> Code {
    answer.expect_err("refused").code()
}

/// The fields that a refusal blames in its `google.rpc.BadRequest`.
fn blamed(status: &Status) -> Vec<String> {
    let violations = status
        .get_details_bad_request()
        .expect("the refusal has a BadRequest")
        .field_violations;
    violations.into_iter().map(|violation| violation.field).collect()
}
