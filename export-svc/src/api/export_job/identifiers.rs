//! How a job names users at Braze, checked.

use control::{Alias, Identifiers};
use model::text;
use proto::export::v1::ExportJob;
use runtime::grpc::status::Violations;

use crate::api::check;

/// At least one way to name a user at Braze; half an alias names nobody.
pub(super) fn parse(violations: &mut Violations, job: &ExportJob) -> Identifiers {
    let mut field = |field: &str, value: &str| {
        if value.is_empty() {
            return None;
        }
        check(violations, &format!("export_job.{field}"), text::label(value));
        Some(value.to_owned())
    };
    let mut identifiers = Identifiers {
        external_id_field: field("external_id_field", &job.external_id_field),
        braze_id_field: field("braze_id_field", &job.braze_id_field),
        alias: None,
        email_field: field("email_field", &job.email_field),
        phone_field: field("phone_field", &job.phone_field),
    };
    let alias_label = field("user_alias_label", &job.user_alias_label);
    let alias_field = field("user_alias_field", &job.user_alias_field);
    match (&alias_label, &alias_field) {
        (Some(_), None) => violations.add(
            "export_job.user_alias_field",
            "must be set together with user_alias_label",
        ),
        (None, Some(_)) => violations.add(
            "export_job.user_alias_label",
            "must be set together with user_alias_field",
        ),
        (None, None) if identifiers == Identifiers::default() => violations.add(
            "export_job.external_id_field",
            "at least one of external_id_field, braze_id_field, user_alias_label with user_alias_field, email_field, or \
             phone_field must be set",
        ),
        _ => {}
    }
    identifiers.alias = alias_label
        .zip(alias_field)
        .map(|(label, field)| Alias { label, field });
    identifiers
}

#[cfg(test)]
mod tests {
    use proto::export::v1::ExportJob;

    use crate::api::export_job::parse::tests::{good, parsed, refused};

    #[test]
    fn no_identifier_at_all_names_all_ways() {
        let message = refused(ExportJob {
            external_id_field: String::new(),
            ..good()
        });
        for way in [
            "external_id_field",
            "braze_id_field",
            "user_alias_label",
            "user_alias_field",
            "email_field",
            "phone_field",
        ] {
            assert!(message.contains(way), "{way} is missing: {message}");
        }
    }

    #[test]
    fn any_one_of_the_ways_is_enough() {
        let none = ExportJob {
            external_id_field: String::new(),
            ..good()
        };
        assert!(
            parsed(ExportJob {
                braze_id_field: "br".to_owned(),
                ..none.clone()
            })
            .is_ok()
        );
        for (email_field, phone_field) in [("email", ""), ("", "phone")] {
            let job = ExportJob {
                email_field: email_field.to_owned(),
                phone_field: phone_field.to_owned(),
                ..none.clone()
            };
            let fields = parsed(job).unwrap().identifiers;
            let named = |field: &Option<String>| field.clone().unwrap_or_default();
            assert_eq!(
                (named(&fields.email_field), named(&fields.phone_field)),
                (email_field.into(), phone_field.into())
            );
        }
        let alias = ExportJob {
            user_alias_label: "crm".to_owned(),
            user_alias_field: "crm_id".to_owned(),
            ..none
        };
        let alias = parsed(alias).unwrap().identifiers.alias.unwrap();
        assert_eq!((alias.label.as_str(), alias.field.as_str()), ("crm", "crm_id"));
    }

    #[test]
    fn half_an_alias_is_refused_even_beside_another_identifier() {
        let label_only = refused(ExportJob {
            user_alias_label: "crm".to_owned(),
            ..good()
        });
        assert!(label_only.contains("user_alias_field: must be set"), "{label_only}");
        let field_only = refused(ExportJob {
            user_alias_field: "crm_id".to_owned(),
            ..good()
        });
        assert!(field_only.contains("user_alias_label: must be set"), "{field_only}");
        let blank_half = ExportJob {
            user_alias_label: "crm".to_owned(),
            user_alias_field: " ".to_owned(),
            ..good()
        };
        assert!(refused(blank_half).contains("user_alias_field: must not be blank"));
    }
}
