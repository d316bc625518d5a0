//! A request to create an export job, checked as a whole.

use std::time::Duration;

use control::{AudienceEvents, Coalesce, Guard, NewExportJob, Options};
use jiff::Timestamp;
use model::{AccountNumber, name, text};
use proto::export::v1::ExportJob;
use runtime::grpc::status::Violations;
use tonic::Status;

use super::{identifiers, options, writes};
use crate::api::check;

/// A change waits at most this long for its batch to fill; also the default.
const FLUSH_AFTER_MAX: Duration = Duration::from_secs(300);
/// Audiences of one job.
const AUDIENCES_MAX: usize = 1_000;

/// The job that a request asks to create, or everything that is wrong with it. What the server alone writes is ignored, as is
/// the start: it is not the request's to say.
pub(super) fn parse(account: AccountNumber, job: ExportJob, now: Timestamp) -> Result<NewExportJob, Status> {
    let mut violations = Violations::new();
    let writes = writes::parse(&mut violations, &job);
    check(&mut violations, "export_job.label", text::label(&job.label));
    check(
        &mut violations,
        "export_job.description",
        text::description(&job.description),
    );
    audiences(&mut violations, &job.audiences);
    check(
        &mut violations,
        "export_job.authorization",
        authorization(account, &job.authorization),
    );
    let identifiers = identifiers::parse(&mut violations, &job);
    let options = Options {
        writes,
        ..options::parse(&mut violations, &job, now)
    };
    let flush_after = flush_after(&job);
    check(
        &mut violations,
        "export_job.flush_after",
        flush_after.as_ref().map(|_| ()),
    );
    let batch_updates_max = batch_updates_max(job.batch_updates_max);
    check(
        &mut violations,
        "export_job.batch_updates_max",
        batch_updates_max.as_ref().map(|_| ()),
    );
    let coalesce = Coalesce::from_wire(job.coalesce);
    check(
        &mut violations,
        "export_job.coalesce",
        coalesce
            .map(|_| ())
            .ok_or("must be LATEST or EVERY_EDGE; unset is LATEST"),
    );
    let events = AudienceEvents::from_wire(job.audience_events);
    check(
        &mut violations,
        "export_job.audience_events",
        events.map(|_| ()).ok_or("must be BOTH, ENTERS or EXITS; unset is BOTH"),
    );
    let guard_percent = job.guard_percent.unwrap_or(Guard::PERCENT);
    check(&mut violations, "export_job.guard_percent", guard(guard_percent));
    violations.into_result()?;
    let events = writes::events(&options.writes, &job, events.unwrap_or_default());
    Ok(NewExportJob {
        label: job.label,
        description: job.description,
        audiences: job.audiences,
        authorization: job.authorization,
        identifiers,
        existing_users: job.existing_users,
        flush_after: flush_after.unwrap_or(FLUSH_AFTER_MAX),
        batch_updates_max: batch_updates_max.unwrap_or_default(),
        coalesce: writes::coalesce(&options.writes, coalesce.unwrap_or_default()),
        events,
        guard_percent,
        options,
        start: Vec::new(),
    })
}

/// Notes what is wrong with the slugs of a job's audiences.
pub(super) fn audiences(violations: &mut Violations, audiences: &[String]) {
    if audiences.is_empty() || audiences.len() > AUDIENCES_MAX {
        violations.add(
            "export_job.audiences",
            format!("must name 1 to {AUDIENCES_MAX} audiences by their slugs"),
        );
    }
    for (index, slug) in audiences.iter().enumerate() {
        let field = format!("export_job.audiences[{index}]");
        check(violations, &field, text::slug(slug));
        if audiences[..index].contains(slug) {
            violations.add(field, format!("{slug} is listed twice"));
        }
    }
}

fn authorization(account: AccountNumber, given: &str) -> Result<(), String> {
    let (owner, _) = name::child(given, name::AUTHORIZATIONS).map_err(|error| error.to_string())?;
    if owner != account {
        return Err(format!("must be an authorization of accounts/{account}"));
    }
    Ok(())
}

fn flush_after(job: &ExportJob) -> Result<Duration, &'static str> {
    let Some(wanted) = job.flush_after else {
        return Ok(FLUSH_AFTER_MAX);
    };
    let wanted = Duration::try_from(wanted)
        .ok()
        .filter(|wanted| !wanted.is_zero() && *wanted <= FLUSH_AFTER_MAX);
    wanted.ok_or("must be longer than 0s and at most 300s; unset is 300s")
}

/// A share of an audience, as a guard has it.
pub(super) fn guard(percent: u32) -> Result<(), &'static str> {
    if percent > 100 {
        return Err("must be from 0, which is no guard, to 100; unset is 20");
    }
    Ok(())
}

/// 0 is the default.
fn batch_updates_max(given: u32) -> Result<u32, String> {
    let max = u32::try_from(braze::OBJECTS_MAX).unwrap_or(u32::MAX);
    match given {
        0 => Ok(max),
        _ if given <= max => Ok(given),
        _ => Err(format!("must be from 1 to {max}, Braze's limit; unset is {max}")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn good() -> ExportJob {
        ExportJob {
            r#type: "export_audiences".to_owned(),
            label: "VIP to Braze".to_owned(),
            audiences: vec!["vip".to_owned()],
            authorization: "accounts/7/authorizations/a".to_owned(),
            external_id_field: "customer_no".to_owned(),
            ..ExportJob::default()
        }
    }

    pub(in super::super) fn parsed(job: ExportJob) -> Result<NewExportJob, Status> {
        parse(AccountNumber::new(7).unwrap(), job, Timestamp::now())
    }

    pub(in super::super) fn refused(job: ExportJob) -> String {
        parsed(job).unwrap_err().message().to_owned()
    }

    #[test]
    fn what_is_not_said_has_the_baselines_defaults() {
        let new = parsed(good()).unwrap();
        assert_eq!((new.batch_updates_max, new.flush_after), (75, Duration::from_secs(300)));
        assert_eq!(new.guard_percent, 20);
        assert!(!new.existing_users && new.coalesce == Coalesce::Latest);
        assert_eq!(new.options, control::Options::default());
        assert_eq!(new.identifiers.external_id_field.as_deref(), Some("customer_no"));
    }

    #[test]
    fn batching_can_be_set_downwards_only() {
        let with = |seconds, nanos, batch_updates_max| ExportJob {
            flush_after: Some(prost_types::Duration { seconds, nanos }),
            batch_updates_max,
            ..good()
        };
        assert_eq!(parsed(with(2, 0, 1)).unwrap().flush_after, Duration::from_secs(2));
        assert!(parsed(with(300, 0, 75)).is_ok());
        for (seconds, nanos) in [(300, 1), (0, 0), (-1, 0)] {
            assert!(
                refused(with(seconds, nanos, 1)).contains("flush_after"),
                "{seconds} s {nanos} ns"
            );
        }
        assert!(refused(with(2, 0, 76)).contains("batch_updates_max"));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let bad = ExportJob {
            r#type: "export_everything".to_owned(),
            label: String::new(),
            description: "x".repeat(2_001),
            audiences: vec!["a/b".to_owned(), "c".to_owned(), "c".to_owned()],
            authorization: "accounts/8/authorizations/a".to_owned(),
            external_id_field: " ".to_owned(),
            batch_updates_max: 100,
            coalesce: 99,
            audience_events: 99,
            guard_percent: Some(101),
            attribute: "email".to_owned(),
            flush_after: Some(prost_types::Duration { seconds: 301, nanos: 0 }),
            ..ExportJob::default()
        };
        let message = refused(bad);
        for field in [
            "type",
            "label",
            "description",
            "audiences[0]",
            "audiences[2]",
            "authorization",
            "external_id_field",
            "batch_updates_max",
            "coalesce",
            "audience_events",
            "guard_percent",
            "attribute",
            "flush_after",
        ] {
            assert!(
                message.contains(&format!("export_job.{field}:")),
                "{field} is missing: {message}"
            );
        }
        assert!(
            refused(ExportJob {
                audiences: Vec::new(),
                ..good()
            })
            .contains("export_job.audiences:")
        );
    }
}
