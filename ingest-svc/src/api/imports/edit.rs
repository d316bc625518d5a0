//! A request to change an import job, checked as a whole.

use control::ImportJobEdit;
use model::text;
use prost_types::FieldMask;
use proto::imports::v1::ImportJob;
use runtime::grpc::status::Violations;
use tonic::Status;

use super::parse::schedule;
use crate::api::resource::{check, check_mask};

/// What can be changed.
const FIELDS: [&str; 5] = ["label", "description", "schedule", "drop_errors", "skip_bad_files"];

/// The edit that a request asks for, or everything that is wrong with it.
pub(super) fn parse(job: ImportJob, mask: &FieldMask) -> Result<ImportJobEdit, Status> {
    let mut violations = Violations::new();
    let named = |field: &str, is_set: bool| match mask.paths.as_slice() {
        [] => is_set,
        paths => paths.iter().any(|path| path == field),
    };
    let [label, description, when, drop_errors, skip_bad_files] = FIELDS;
    let edit = ImportJobEdit {
        label: named(label, !job.label.is_empty()).then_some(job.label),
        description: named(description, !job.description.is_empty()).then_some(job.description),
        schedule: named(when, job.schedule.is_some()).then(|| schedule(&mut violations, job.schedule.as_ref())),
        drop_errors: named(drop_errors, job.drop_errors).then_some(job.drop_errors),
        skip_bad_files: named(skip_bad_files, job.skip_bad_files).then_some(job.skip_bad_files),
    };
    let is_empty = edit == ImportJobEdit::default();
    check_mask(&mut violations, &mask.paths, &FIELDS, "import_job", is_empty);
    if let Some(label) = &edit.label {
        check(&mut violations, "import_job.label", text::label(label));
    }
    if let Some(description) = &edit.description {
        check(
            &mut violations,
            "import_job.description",
            text::description(description),
        );
    }
    violations.into_result()?;
    Ok(edit)
}

#[cfg(test)]
mod tests {
    use proto::imports::v1::ImportSchedule;

    use super::*;

    fn parsed(job: ImportJob, paths: &[&str]) -> Result<ImportJobEdit, Status> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        parse(job, &FieldMask { paths })
    }

    fn job() -> ImportJob {
        ImportJob {
            label: "Daily".to_owned(),
            drop_errors: true,
            ..ImportJob::default()
        }
    }

    #[test]
    fn what_the_mask_names_is_changed_and_without_one_what_is_set() {
        let expected = ImportJobEdit {
            label: Some("Daily".to_owned()),
            drop_errors: Some(true),
            ..ImportJobEdit::default()
        };
        assert_eq!(parsed(job(), &[]).unwrap(), expected);
        let expected = ImportJobEdit {
            description: Some(String::new()),
            schedule: Some(None),
            skip_bad_files: Some(false),
            ..ImportJobEdit::default()
        };
        let named = ["description", "schedule", "skip_bad_files"];
        assert_eq!(parsed(job(), &named).unwrap(), expected);
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let bad = ImportJob {
            label: " x".to_owned(),
            description: "x".repeat(2_001),
            schedule: Some(ImportSchedule::default()),
            ..ImportJob::default()
        };
        let message = parsed(bad, &["label", "description", "schedule", "stream"]);
        let message = message.unwrap_err().message().to_owned();
        for told in [
            "import_job.label",
            "import_job.description",
            "import_job.schedule",
            "\"stream\" cannot",
        ] {
            assert!(message.contains(told), "{told}: {message}");
        }
    }

    #[test]
    fn everything_at_once_and_nothing_are_refused_with_the_paths_that_there_are() {
        let message = parsed(job(), &["*"]).unwrap_err().message().to_owned();
        for word in FIELDS.iter().chain(&["update_mask", "\"*\""]) {
            assert!(message.contains(word), "{word}: {message}");
        }
        let nothing = parsed(ImportJob::default(), &[]).unwrap_err();
        assert!(nothing.message().contains("names nothing"), "{nothing}");
    }
}
