//! What a job does otherwise than others, checked.

use std::time::Duration;

use control::{ATTRIBUTE, Options, QuietWindow, UserCap, Writes};
use jiff::Timestamp;
use proto::export::v1 as wire;
use proto::export::v1::ExportJob;
use runtime::grpc::status::Violations;

use crate::api::check;

/// How long a period of a user cap may be.
const PERIOD_MIN: Duration = Duration::from_secs(60);
const PERIOD_MAX: Duration = Duration::from_secs(31 * 86_400);

pub(super) fn parse(violations: &mut Violations, job: &ExportJob, now: Timestamp) -> Options {
    let attribute = match job.attribute.as_str() {
        "" => ATTRIBUTE,
        named => named,
    };
    let is_one = braze::AttributeName::new(attribute);
    check(violations, "export_job.attribute", is_one.map(|_| ()));
    Options {
        writes: Writes::default(),
        attribute: attribute.to_owned(),
        update_existing_only: job.update_existing_only,
        quiet_window: quiet_window(violations, job.quiet_window.as_ref()),
        expire_time: expire_time(violations, job.expire_time.as_ref(), now),
        user_cap: user_cap(violations, job.user_cap.as_ref()),
    }
}

pub(super) fn quiet_window(violations: &mut Violations, window: Option<&wire::QuietWindow>) -> Option<QuietWindow> {
    match QuietWindow::from_wire(window?) {
        Ok(window) => Some(window),
        Err(error) => {
            violations.add(format!("export_job.quiet_window.{}", error.field), error.problem);
            None
        }
    }
}

pub(super) fn expire_time(
    violations: &mut Violations,
    time: Option<&prost_types::Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let time = model::time::from_wire(time?).filter(|time| *time > now);
    if time.is_none() {
        let problem = format!(
            "must be a time that is still to come; now it is {now}; pause or kill a job that is to end at once"
        );
        violations.add("export_job.expire_time", problem);
    }
    time
}

pub(super) fn user_cap(violations: &mut Violations, cap: Option<&wire::UserCap>) -> Option<UserCap> {
    let given = cap?;
    if given.adds_max == 0 {
        violations.add(
            "export_job.user_cap.adds_max",
            "must be at least 1; pause a job that is to send nothing",
        );
    }
    let period = given.period.and_then(|period| Duration::try_from(period).ok());
    if !period.is_some_and(|period| (PERIOD_MIN..=PERIOD_MAX).contains(&period)) {
        violations.add(
            "export_job.user_cap.period",
            "must be from 60s (1 minute) to 2678400s (31 days)",
        );
    }
    UserCap::from_wire(given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::export_job::parse::tests::{good, parsed, refused};

    #[test]
    fn options_are_taken_as_they_are_given() {
        let job = ExportJob {
            attribute: "other".to_owned(),
            update_existing_only: true,
            quiet_window: Some(wire::QuietWindow {
                start: "22:00".to_owned(),
                end: "06:00".to_owned(),
                time_zone: "Europe/Berlin".to_owned(),
            }),
            expire_time: Some(model::time::to_wire("9999-01-01T00:00:00Z".parse().unwrap())),
            user_cap: Some(wire::UserCap {
                adds_max: 10,
                period: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
            }),
            ..good()
        };
        let options = parsed(job.clone()).unwrap().options;
        assert_eq!(
            (options.attribute.as_str(), options.update_existing_only),
            ("other", true)
        );
        assert_eq!(options.quiet_window.map(|window| window.to_wire()), job.quiet_window);
        assert_eq!(options.expire_time.map(model::time::to_wire), job.expire_time);
        assert_eq!(options.user_cap.map(UserCap::to_wire), job.user_cap);
    }

    #[test]
    fn each_option_that_is_wrong_is_named_with_the_fix() {
        let bad = ExportJob {
            attribute: "email".to_owned(),
            quiet_window: Some(wire::QuietWindow {
                start: "22:00".to_owned(),
                end: "06:00".to_owned(),
                time_zone: "Berlin".to_owned(),
            }),
            expire_time: Some(model::time::to_wire("2020-01-01T00:00:00Z".parse().unwrap())),
            user_cap: Some(wire::UserCap {
                adds_max: 0,
                period: Some(prost_types::Duration { seconds: 59, nanos: 0 }),
            }),
            ..good()
        };
        let message = refused(bad);
        for said in [
            "export_job.attribute: ",
            "export_job.quiet_window.time_zone: must be the name of a time zone such as Europe/Berlin",
            "export_job.expire_time: must be a time that is still to come",
            "export_job.user_cap.adds_max: must be at least 1",
            "export_job.user_cap.period: must be from 60s",
        ] {
            assert!(message.contains(said), "{said} is missing: {message}");
        }
        let too_long = ExportJob {
            user_cap: Some(wire::UserCap {
                adds_max: 1,
                period: Some(prost_types::Duration {
                    seconds: 31 * 86_400 + 1,
                    nanos: 0,
                }),
            }),
            ..good()
        };
        assert!(refused(too_long).contains("user_cap.period"));
    }
}
