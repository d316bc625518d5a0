//! Which identifier a change is sent under.

use std::collections::HashMap;

use braze::Identifier;
use control::Identifiers;

/// The first identifier of the job that the profile has a value for: external id, Braze id, alias. Blank is no value. `None`:
/// the change cannot be sent and is omitted.
pub fn identifier(identifiers: &Identifiers, fields: &HashMap<String, String>) -> Option<Identifier> {
    let value = |field: &str| fields.get(field).filter(|value| !value.trim().is_empty()).cloned();
    let external_id = identifiers
        .external_id_field
        .as_deref()
        .and_then(value)
        .map(Identifier::ExternalId);
    let braze_id = || {
        identifiers
            .braze_id_field
            .as_deref()
            .and_then(value)
            .map(Identifier::BrazeId)
    };
    let alias = || {
        let alias = identifiers.alias.as_ref()?;
        Some(Identifier::Alias {
            label: alias.label.clone(),
            name: value(&alias.field)?,
        })
    };
    external_id.or_else(braze_id).or_else(alias)
}

#[cfg(test)]
mod tests {
    use control::Alias;

    use super::*;

    fn fields(values: &[(&str, &str)]) -> HashMap<String, String> {
        values
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn the_first_that_is_not_blank_is_used_in_the_order_external_id_braze_id_alias() {
        let identifiers = Identifiers {
            external_id_field: Some("customer_no".into()),
            braze_id_field: Some("b".into()),
            alias: Some(Alias {
                label: "lytics".into(),
                field: "uid".into(),
            }),
        };
        let all = fields(&[("customer_no", "7"), ("b", "64b1"), ("uid", "9e")]);
        assert_eq!(identifier(&identifiers, &all), Some(Identifier::ExternalId("7".into())));
        let blank = fields(&[("customer_no", " "), ("b", "64b1"), ("uid", "9e")]);
        assert_eq!(
            identifier(&identifiers, &blank),
            Some(Identifier::BrazeId("64b1".into()))
        );
        let alias = Identifier::Alias {
            label: "lytics".into(),
            name: "9e".into(),
        };
        assert_eq!(
            identifier(&identifiers, &fields(&[("b", ""), ("uid", "9e")])),
            Some(alias)
        );
        assert_eq!(identifier(&identifiers, &fields(&[("email", "x@example.org")])), None);
    }

    #[test]
    fn a_field_that_the_job_does_not_name_is_never_used() {
        let identifiers = Identifiers {
            braze_id_field: Some("b".into()),
            ..Identifiers::default()
        };
        assert_eq!(
            identifier(&identifiers, &fields(&[("external_id", "7"), ("user_id", "8")])),
            None
        );
    }
}
