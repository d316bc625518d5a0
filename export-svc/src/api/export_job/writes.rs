//! What a job writes to Braze, checked.

use control::{AudienceEvents, Coalesce, Writes};
use proto::export::v1 as wire;
use proto::export::v1::ExportJob;
use runtime::grpc::status::Violations;

use super::purchases;
use crate::api::check;

/// What a job of its type writes. What only jobs of another type have is a mistake.
pub(super) fn parse(violations: &mut Violations, job: &ExportJob) -> Writes {
    let Some(writes) = Writes::read(job) else {
        violations.add(
            "export_job.type",
            "must be export_audiences, export_events or export_purchases",
        );
        return Writes::default();
    };
    if !matches!(writes, Writes::Purchases(_)) {
        purchases::none(violations, job);
    }
    match &writes {
        Writes::Attribute => no_events(violations, job),
        Writes::Purchases(purchases) => {
            purchases::check(violations, purchases);
            no_events(violations, job);
            no_attribute(violations, job);
        }
        Writes::Events(events) => {
            check(
                violations,
                "export_job.event_name",
                braze::check_event_name(&events.name),
            );
            time_field(violations, "event_time_field", events.time_field.as_deref());
            no_attribute(violations, job);
        }
    }
    writes
}

/// The name of a field that holds a time.
pub(super) fn time_field(violations: &mut Violations, of: &str, name: Option<&str>) {
    if name.is_some_and(|name| name.trim() != name) {
        let problem =
            "must be the name of a membership field, without blanks around it; unset is the time of the change";
        violations.add(format!("export_job.{of}"), problem);
    }
}

/// What a job cannot have that sends no events.
fn no_events(violations: &mut Violations, job: &ExportJob) {
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

/// Which changes are sent: somebody who leaves an audience has bought nothing, unless the job says otherwise.
pub(super) fn events(writes: &Writes, job: &ExportJob, wanted: AudienceEvents) -> AudienceEvents {
    let unsaid = job.audience_events == i32::from(wire::AudienceEvents::Unspecified);
    match writes {
        Writes::Purchases(_) if unsaid => AudienceEvents::Enters,
        _ => wanted,
    }
}

#[cfg(test)]
mod tests {
    use control::{CustomEvents, Purchases, Source};
    use proto::export::v1::purchase_value;

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

    fn purchases() -> ExportJob {
        let value = |source| Some(wire::PurchaseValue { source: Some(source) });
        ExportJob {
            r#type: "export_purchases".to_owned(),
            purchase_product_id: value(purchase_value::Source::Constant("upgrade".to_owned())),
            purchase_price: value(purchase_value::Source::Field("price".to_owned())),
            purchase_currency: value(purchase_value::Source::Constant("EUR".to_owned())),
            ..good()
        }
    }

    #[test]
    fn a_job_that_sends_purchases_says_where_each_value_comes_from_and_sends_enters() {
        let new = parsed(purchases()).unwrap();
        let expected = Purchases {
            product_id: Source::Constant("upgrade".to_owned()),
            price: Source::Field("price".to_owned()),
            currency: Source::Constant("EUR".to_owned()),
            quantity: Source::Constant("1".to_owned()),
            time_field: None,
        };
        assert_eq!(new.options.writes, Writes::Purchases(Box::new(expected)));
        assert_eq!(
            (new.coalesce, new.events),
            (Coalesce::EveryEdge, AudienceEvents::Enters)
        );
        let both = ExportJob {
            audience_events: wire::AudienceEvents::Both.into(),
            ..purchases()
        };
        assert_eq!(parsed(both).unwrap().events, AudienceEvents::Both);
        let constant = |text: &str| {
            Some(wire::PurchaseValue {
                source: Some(purchase_value::Source::Constant(text.to_owned())),
            })
        };
        let bad = ExportJob {
            purchase_product_id: None,
            purchase_price: constant("much"),
            purchase_currency: constant("EURO"),
            purchase_quantity: constant("101"),
            purchase_time_field: " since".to_owned(),
            event_name: "x".to_owned(),
            attribute: "a".to_owned(),
            ..purchases()
        };
        let message = refused(bad);
        for said in [
            "export_job.purchase_product_id: must have a constant, or the name of a membership field",
            "export_job.purchase_price: a price is a number",
            "export_job.purchase_currency: a currency is a code of three letters",
            "export_job.purchase_quantity: a quantity is a whole number from 1 to 100",
            "export_job.purchase_time_field: must be the name of a membership field",
            "export_job.event_name: must be unset",
            "export_job.attribute: must be unset",
        ] {
            assert!(message.contains(said), "{said} is missing: {message}");
        }
        let elsewhere = ExportJob {
            purchase_price: constant("1"),
            ..events()
        };
        assert!(refused(elsewhere).contains("export_job.purchase_price: must be unset"));
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
        assert!(
            refused(other).contains("export_job.type: must be export_audiences, export_events or export_purchases")
        );
    }
}
