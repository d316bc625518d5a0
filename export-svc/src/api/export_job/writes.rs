//! What a job writes to Braze, checked.

use control::{Coalesce, Writes};
use proto::export::v1 as wire;
use proto::export::v1::ExportJob;
use runtime::grpc::status::Violations;

use crate::api::check;

/// What a job of its type writes. What only jobs of another type have is a mistake.
pub(super) fn parse(violations: &mut Violations, job: &ExportJob) -> Writes {
    let Some(writes) = Writes::read(job) else {
        violations.add("export_job.type", format!("must be {}", Writes::TYPES.join(" or ")));
        return Writes::default();
    };
    match &writes {
        Writes::Attribute => {
            for (field, given) in [
                ("event_name", &job.event_name),
                ("event_time_field", &job.event_time_field),
            ] {
                if !given.is_empty() {
                    let problem = "must be unset: only jobs of type export_events send events";
                    violations.add(format!("export_job.{field}"), problem);
                }
            }
        }
        Writes::Events(events) => {
            check(
                violations,
                "export_job.event_name",
                braze::check_event_name(&events.name),
            );
            let field = events.time_field.as_deref();
            if field.is_some_and(|field| field.trim() != field) {
                let problem =
                    "must be the name of a membership field, without blanks around it; unset is the time of the change";
                violations.add("export_job.event_time_field", problem);
            }
            no_attribute(violations, job);
        }
    }
    writes
}

/// What a job cannot have that writes no attribute.
fn no_attribute(violations: &mut Violations, job: &ExportJob) {
    if !job.attribute.is_empty() {
        violations.add(
            "export_job.attribute",
            format!("must be unset: a job of type {} writes no attribute", job.r#type),
        );
    }
    if job.coalesce == i32::from(wire::Coalesce::Latest) {
        let problem = "must be EVERY_EDGE or unset: every change is sent, for none undoes another";
        violations.add("export_job.coalesce", problem);
    }
    if job.guard_percent.unwrap_or_default() > 0 {
        let problem = "must be 0 or unset: the job removes nothing at Braze, so it has no guard";
        violations.add("export_job.guard_percent", problem);
    }
}

/// What becomes of a change that waits when a later one comes: only what an attribute held before need not be sent.
pub(super) fn coalesce(writes: &Writes, wanted: Coalesce) -> Coalesce {
    if writes.is_attribute() {
        wanted
    } else {
        Coalesce::EveryEdge
    }
}

#[cfg(test)]
mod tests {
    use control::CustomEvents;

    use super::*;
    use crate::api::export_job::parse::tests::{good, parsed, refused};

    fn events() -> ExportJob {
        ExportJob {
            r#type: "export_events".to_owned(),
            ..good()
        }
    }

    #[test]
    fn a_job_that_sends_events_sends_each_and_has_defaults_of_its_own() {
        let new = parsed(events()).unwrap();
        assert_eq!(new.options.writes, Writes::Events(CustomEvents::default()));
        assert_eq!(new.coalesce, Coalesce::EveryEdge);
        let named = ExportJob {
            event_name: "entered an audience".to_owned(),
            event_time_field: "since".to_owned(),
            coalesce: wire::Coalesce::EveryEdge.into(),
            guard_percent: Some(0),
            ..events()
        };
        let expected = CustomEvents {
            name: "entered an audience".to_owned(),
            time_field: Some("since".to_owned()),
        };
        assert_eq!(parsed(named).unwrap().options.writes, Writes::Events(expected));
    }

    #[test]
    fn what_is_of_another_type_is_refused_with_the_fix() {
        let bad = ExportJob {
            event_name: "$x".to_owned(),
            event_time_field: " since".to_owned(),
            attribute: "lytics_segments".to_owned(),
            coalesce: wire::Coalesce::Latest.into(),
            guard_percent: Some(20),
            ..events()
        };
        let message = refused(bad);
        for said in [
            "export_job.event_name: an event name must not begin with $",
            "export_job.event_time_field: must be the name of a membership field",
            "export_job.attribute: must be unset",
            "export_job.coalesce: must be EVERY_EDGE or unset",
            "export_job.guard_percent: must be 0 or unset",
        ] {
            assert!(message.contains(said), "{said} is missing: {message}");
        }
        let audiences = ExportJob {
            event_name: "x".to_owned(),
            ..good()
        };
        assert!(refused(audiences).contains("export_job.event_name: must be unset"));
        let other = ExportJob {
            r#type: "export_everything".to_owned(),
            ..good()
        };
        assert!(refused(other).contains("export_job.type: must be export_audiences or export_events"));
    }
}
