//! A request to change an export job, checked as a whole.

use control::{ExportJobEdit, Guard, OptionsEdit};
use jiff::Timestamp;
use model::text;
use prost_types::FieldMask;
use proto::export::v1::ExportJob;
use runtime::grpc::status::Violations;
use tonic::Status;

use super::options;
use super::parse::{audiences, guard};
use crate::api::check;

/// What can be changed.
const FIELDS: [&str; 7] = [
    "label",
    "description",
    "audiences",
    "guard_percent",
    "quiet_window",
    "expire_time",
    "user_cap",
];

/// The edit that a request asks for, or everything that is wrong with it. Where audiences that are added begin is not the
/// request's to say.
pub(super) fn parse(job: ExportJob, mask: &FieldMask, now: Timestamp) -> Result<ExportJobEdit, Status> {
    let mut violations = Violations::new();
    let named = |field: &str, is_set: bool| match mask.paths.as_slice() {
        [] => is_set,
        paths => paths.iter().any(|path| path == field),
    };
    let [label, description, listed, percent, quiet_window, expire_time, user_cap] = FIELDS;
    let options = OptionsEdit {
        quiet_window: named(quiet_window, job.quiet_window.is_some())
            .then(|| options::quiet_window(&mut violations, job.quiet_window.as_ref())),
        expire_time: named(expire_time, job.expire_time.is_some())
            .then(|| options::expire_time(&mut violations, job.expire_time.as_ref(), now)),
        user_cap: named(user_cap, job.user_cap.is_some())
            .then(|| options::user_cap(&mut violations, job.user_cap.as_ref())),
    };
    let edit = ExportJobEdit {
        label: named(label, !job.label.is_empty()).then_some(job.label),
        description: named(description, !job.description.is_empty()).then_some(job.description),
        audiences: named(listed, !job.audiences.is_empty()).then_some(job.audiences),
        guard_percent: named(percent, job.guard_percent.is_some())
            .then_some(job.guard_percent.unwrap_or(Guard::PERCENT)),
        options,
        remove_slugs: false,
        start: Vec::new(),
    };
    // Nor is `*` known: it would take back the options that a client of an earlier version cannot have meant.
    let known = |path: &&String| FIELDS.contains(&path.as_str());
    if let Some(path) = mask.paths.iter().find(|path| !known(path)) {
        let all = FIELDS.join(", ");
        violations.add("update_mask", format!("{path:?} cannot be changed; what can: {all}"));
    } else if edit == ExportJobEdit::default() {
        violations.add("update_mask", "names nothing, and nothing is set in export_job");
    }
    if let Some(label) = &edit.label {
        check(&mut violations, "export_job.label", text::label(label));
    }
    if let Some(description) = &edit.description {
        check(
            &mut violations,
            "export_job.description",
            text::description(description),
        );
    }
    if let Some(listed) = &edit.audiences {
        audiences(&mut violations, listed);
    }
    if let Some(percent) = edit.guard_percent {
        check(&mut violations, "export_job.guard_percent", guard(percent));
    }
    violations.into_result()?;
    Ok(edit)
}

#[cfg(test)]
mod tests {
    use proto::export::v1::UserCap;

    use super::*;

    fn parsed(job: ExportJob, paths: &[&str]) -> Result<ExportJobEdit, Status> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        parse(job, &FieldMask { paths }, Timestamp::now())
    }

    fn job() -> ExportJob {
        ExportJob {
            label: "VIP".to_owned(),
            audiences: vec!["vip".to_owned()],
            ..ExportJob::default()
        }
    }

    #[test]
    fn what_the_mask_names_is_changed_and_without_one_what_is_set() {
        let label = || Some("VIP".to_owned());
        let edit = parsed(job(), &[]).unwrap();
        assert_eq!(
            (edit.label, edit.description, edit.audiences.map(|all| all.len())),
            (label(), None, Some(1))
        );
        let edit = parsed(job(), &["label", "description"]).unwrap();
        assert_eq!(
            (edit.label, edit.description, edit.audiences),
            (label(), Some(String::new()), None)
        );
    }

    #[test]
    fn everything_at_once_is_refused_with_the_paths_that_there_are() {
        let refused = parsed(job(), &["*"]).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        for word in FIELDS.iter().chain(&["update_mask", "\"*\""]) {
            assert!(refused.message().contains(word), "{word}: {}", refused.message());
        }
    }

    #[test]
    fn an_option_that_is_named_and_not_set_is_none_any_more() {
        let edit = parsed(job(), &["expire_time", "label"]).unwrap();
        let expected = OptionsEdit {
            expire_time: Some(None),
            ..OptionsEdit::default()
        };
        assert_eq!(edit.options, expected);
        assert_eq!(parsed(job(), &[]).unwrap().options, OptionsEdit::default());
        let cap = UserCap {
            adds_max: 5,
            period: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        };
        let capped = ExportJob {
            user_cap: Some(cap),
            ..ExportJob::default()
        };
        let edit = parsed(capped, &[]).unwrap().options;
        assert_eq!(edit.user_cap.flatten().map(control::UserCap::to_wire), Some(cap));
        assert_eq!((edit.quiet_window, edit.expire_time), (None, None));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let bad = ExportJob {
            label: " x".to_owned(),
            description: "x".repeat(2_001),
            audiences: vec!["vip".to_owned(), "vip".to_owned()],
            guard_percent: Some(101),
            user_cap: Some(UserCap::default()),
            ..ExportJob::default()
        };
        let named = [
            "label",
            "description",
            "audiences",
            "guard_percent",
            "user_cap",
            "coalesce",
        ];
        let message = parsed(bad, &named).unwrap_err().message().to_owned();
        for named in [
            "label",
            "description",
            "audiences[1]",
            "guard_percent",
            "update_mask",
            "coalesce",
            "user_cap",
        ] {
            assert!(message.contains(named), "{named}: {message}");
        }
        for fixed in ["type", "event_name", "event_time_field"] {
            let message = parsed(job(), &[fixed]).unwrap_err().message().to_owned();
            assert!(message.contains(&format!("{fixed:?} cannot be changed")), "{message}");
        }
        for nothing in [
            parsed(ExportJob::default(), &[]),
            parsed(ExportJob::default(), &["audiences"]),
        ] {
            assert_eq!(nothing.unwrap_err().code(), tonic::Code::InvalidArgument);
        }
    }
}
