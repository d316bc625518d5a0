//! A request to create an import job, checked as a whole.

use control::{FileFormat, ImportSchedule, NewImportJob};
use model::{AccountNumber, text};
use proto::imports::v1::{ImportJob, ImportSchedule as WireSchedule};
use runtime::grpc::status::Violations;
use tonic::Status;

use super::source;
use crate::api::resource::check;

/// The job that a request asks to create, or everything that is wrong with it. What the server alone writes is ignored.
pub(super) fn parse(account: AccountNumber, job: ImportJob) -> Result<NewImportJob, Status> {
    let mut violations = Violations::new();
    check(&mut violations, "import_job.label", text::label(&job.label));
    check(
        &mut violations,
        "import_job.description",
        text::description(&job.description),
    );
    check(&mut violations, "import_job.stream", stream(&job.stream));
    let source = source::parse(&mut violations, account, job.source);
    let format = match FileFormat::from_wire(&job.format.unwrap_or_default()) {
        Ok(format) => Some(format),
        Err(errors) => {
            for error in errors {
                violations.add(format!("import_job.format.{}", error.field), error.problem);
            }
            None
        }
    };
    let schedule = schedule(&mut violations, job.schedule.as_ref());
    violations.into_result()?;
    let (Some(source), Some(format)) = (source, format) else {
        return Err(Status::internal("a job without source or format had no violation"));
    };
    Ok(NewImportJob {
        label: job.label,
        description: job.description,
        stream: job.stream,
        source,
        format,
        schedule,
        drop_errors: job.drop_errors,
        skip_bad_files: job.skip_bad_files,
        diff: job.diff,
    })
}

/// A stream is what a mapping says FROM, and a part of the path that webhooks are posted to.
fn stream(stream: &str) -> Result<(), String> {
    text::label(stream).map_err(|error| error.to_string())?;
    if stream.contains('/') {
        return Err("must not hold a /".to_owned());
    }
    Ok(())
}

/// The schedule, if there is one and it is good; notes what is wrong with it.
pub(super) fn schedule(violations: &mut Violations, schedule: Option<&WireSchedule>) -> Option<ImportSchedule> {
    match ImportSchedule::from_wire(schedule?) {
        Ok(schedule) => Some(schedule),
        Err(errors) => {
            for error in errors {
                let field = format!("import_job.schedule.{}", error.field);
                violations.add(field.trim_end_matches('.'), error.problem);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use control::{ImportSource, StorageFiles};
    use prost_types::Duration;
    use proto::imports::v1::import_schedule::Schedule;
    use proto::imports::v1::import_source::Source;
    use proto::imports::v1::{DailyTime, FileFormat as WireFormat, StorageSource};
    use tonic_types::StatusExt;

    use super::*;

    const STORAGE: &str = "accounts/7/storageAuthorizations/s";

    fn good() -> ImportJob {
        let source = Source::Storage(StorageSource {
            authorization: STORAGE.to_owned(),
            prefix: "daily/".to_owned(),
            pattern: r"\d+\.csv".to_owned(),
        });
        ImportJob {
            label: "Daily".to_owned(),
            stream: "users".to_owned(),
            source: Some(proto::imports::v1::ImportSource { source: Some(source) }),
            ..ImportJob::default()
        }
    }

    fn parsed(job: ImportJob) -> Result<NewImportJob, Status> {
        parse(AccountNumber::new(7).unwrap(), job)
    }

    fn fields(job: ImportJob) -> Vec<String> {
        let refused = parsed(job).unwrap_err();
        let details = refused.get_details_bad_request().unwrap();
        details.field_violations.into_iter().map(|found| found.field).collect()
    }

    #[test]
    fn what_is_not_said_is_open() {
        let new = parsed(good()).unwrap();
        let source = ImportSource::Storage(StorageFiles {
            authorization: STORAGE.to_owned(),
            prefix: "daily/".to_owned(),
            pattern: r"\d+\.csv".to_owned(),
        });
        assert_eq!(
            (new.source, new.format, new.schedule),
            (source, FileFormat::default(), None)
        );
        assert!(!new.drop_errors && !new.skip_bad_files && !new.diff);
    }

    #[test]
    fn everything_wrong_is_told_at_once_with_its_field() {
        let daily = DailyTime {
            time: "25:00".to_owned(),
            time_zone: "Mars".to_owned(),
        };
        let bad = ImportJob {
            label: " x".to_owned(),
            description: "x".repeat(2_001),
            stream: "a/b".to_owned(),
            source: None,
            format: Some(WireFormat {
                format: "xml".to_owned(),
                delimiter: ",,".to_owned(),
                ..WireFormat::default()
            }),
            schedule: Some(WireSchedule {
                schedule: Some(Schedule::Daily(daily)),
            }),
            ..ImportJob::default()
        };
        let told = [
            "label",
            "description",
            "stream",
            "source",
            "format.format",
            "format.delimiter",
            "schedule.daily.time",
            "schedule.daily.time_zone",
        ];
        assert_eq!(fields(bad), told.map(|field| format!("import_job.{field}")));
    }

    #[test]
    fn a_schedule_is_from_a_minute_to_31_days() {
        let with = |seconds| ImportJob {
            schedule: Some(WireSchedule {
                schedule: Some(Schedule::Every(Duration { seconds, nanos: 0 })),
            }),
            ..good()
        };
        assert!(parsed(with(60)).unwrap().schedule.is_some());
        assert_eq!(fields(with(59)), ["import_job.schedule.every"]);
        let empty = ImportJob {
            schedule: Some(WireSchedule::default()),
            ..good()
        };
        assert_eq!(fields(empty), ["import_job.schedule"]);
    }
}
