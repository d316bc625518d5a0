//! Errors of the API: one constructor per code we answer with, each with the standard details for it.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Collects what is wrong with a request, so that the caller reads everything at once.
#[derive(Debug, Default)]
pub struct Violations(Vec<(String, String)>);

impl Violations {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `field` (its path in the request) is wrong for the reason `description`.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push((field.into(), description.into()));
    }

    /// Ok when there is none.
    ///
    /// # Errors
    /// INVALID_ARGUMENT that names every violation.
    pub fn into_result(self) -> Result<(), Status> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(invalid_arguments(self.0))
        }
    }
}

/// INVALID_ARGUMENT for one field, with `google.rpc.BadRequest`.
pub fn invalid_argument(field: impl Into<String>, description: impl Into<String>) -> Status {
    invalid_arguments([(field.into(), description.into())])
}

/// INVALID_ARGUMENT for several fields, with `google.rpc.BadRequest`.
pub fn invalid_arguments(violations: impl IntoIterator<Item = (String, String)>) -> Status {
    let mut details = ErrorDetails::new();
    let mut lines = Vec::new();
    for (field, description) in violations {
        lines.push(format!("{field}: {description}"));
        details.add_bad_request_violation(field, description);
    }
    Status::with_error_details(Code::InvalidArgument, lines.join("; "), details)
}

/// NOT_FOUND for a resource name.
pub fn not_found(name: &str) -> Status {
    Status::not_found(format!("{name} does not exist"))
}

/// ALREADY_EXISTS; `message` says what is taken and by whom.
pub fn already_exists(message: impl Into<String>) -> Status {
    Status::already_exists(message)
}

/// FAILED_PRECONDITION; `message` says what must be done first.
pub fn failed_precondition(message: impl Into<String>) -> Status {
    Status::failed_precondition(message)
}

/// UNAUTHENTICATED; `message` says how to send a token.
pub fn unauthenticated(message: impl Into<String>) -> Status {
    Status::unauthenticated(message)
}

/// PERMISSION_DENIED; `message` names the role or account that is missing.
pub fn permission_denied(message: impl Into<String>) -> Status {
    Status::permission_denied(message)
}

/// UNAVAILABLE, with `google.rpc.RetryInfo`.
pub fn unavailable(message: impl Into<String>, retry_after: Duration) -> Status {
    Status::with_error_details(
        Code::Unavailable,
        message,
        ErrorDetails::with_retry_info(Some(retry_after)),
    )
}

/// RESOURCE_EXHAUSTED, with `google.rpc.RetryInfo`.
pub fn resource_exhausted(message: impl Into<String>, retry_after: Duration) -> Status {
    Status::with_error_details(
        Code::ResourceExhausted,
        message,
        ErrorDetails::with_retry_info(Some(retry_after)),
    )
}

/// What a person at a terminal reads: the code as in the gRPC documentation, the message, and when to try again.
pub fn explain(status: &Status) -> String {
    let code = code_name(status.code());
    let again = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let again = again
        .map(|delay| format!(" (try again in {delay:?})"))
        .unwrap_or_default();
    format!("{code}: {}{again}", status.message())
}

/// `InvalidArgument` as `INVALID_ARGUMENT`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() && code != Code::Ok {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_told_all_at_once_in_the_message_and_in_the_details() {
        assert!(Violations::new().into_result().is_ok());
        let mut violations = Violations::new();
        violations.add("export_job.label", "must not be blank");
        violations.add("export_job.user_alias.field", "is needed with user_alias.label");
        let status = violations.into_result().unwrap_err();
        assert_eq!(
            explain(&status),
            "INVALID_ARGUMENT: export_job.label: must not be blank; \
             export_job.user_alias.field: is needed with user_alias.label"
        );
        let fields: Vec<_> = status
            .get_details_bad_request()
            .unwrap()
            .field_violations
            .into_iter()
            .map(|v| v.field)
            .collect();
        assert_eq!(fields, ["export_job.label", "export_job.user_alias.field"]);
    }

    #[test]
    fn unavailable_says_when_to_try_again() {
        let status = unavailable("Kafka does not answer", Duration::from_secs(5));
        assert_eq!(explain(&status), "UNAVAILABLE: Kafka does not answer (try again in 5s)");
    }
}
