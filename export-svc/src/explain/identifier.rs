//! Which identifier a job takes from a record, and why none of the others.

use braze::Identifier;
use control::Identifiers;
use model::{Fields, text};
use proto::export::v1::IdentifierChoice;

use crate::route;

/// What the job may use, in its order, with what the record's fields say; and what is used.
pub(super) fn choices(identifiers: &Identifiers, fields: &Fields<'_>) -> (Vec<IdentifierChoice>, Option<Identifier>) {
    let chosen = route::identifier(identifiers, fields);
    let alias = identifiers.alias.as_ref();
    let candidates = [
        ("external_id", identifiers.external_id_field.as_ref(), ""),
        ("braze_id", identifiers.braze_id_field.as_ref(), ""),
        (
            "user_alias",
            alias.map(|alias| &alias.field),
            alias.map_or("", |alias| &alias.label),
        ),
        ("email", identifiers.email_field.as_ref(), ""),
        ("phone", identifiers.phone_field.as_ref(), ""),
    ];
    let kind_chosen = chosen.as_ref().map(kind);
    let choice = |(kind, field, label): (&str, Option<&String>, &str)| {
        let value = fields.get(field?);
        let is_chosen = kind_chosen == Some(kind);
        let why_not = match value {
            _ if is_chosen => String::new(),
            None => "the record has no such field".to_owned(),
            Some(value) if text::is_blank(value) => "the field is blank".to_owned(),
            Some(_) => match kind_chosen {
                Some(chosen) => format!("{chosen} goes first"),
                // Of all kinds a phone number alone can be no value without being blank.
                None => "it is no phone number in E.164 form, such as +15551234567".to_owned(),
            },
        };
        Some(IdentifierChoice {
            kind: kind.to_owned(),
            field: field?.clone(),
            value: value.unwrap_or_default().to_owned(),
            label: label.to_owned(),
            chosen: is_chosen,
            why_not,
        })
    };
    (candidates.into_iter().filter_map(choice).collect(), chosen)
}

fn kind(identifier: &Identifier) -> &'static str {
    match identifier {
        Identifier::ExternalId(_) => "external_id",
        Identifier::BrazeId(_) => "braze_id",
        Identifier::Alias { .. } => "user_alias",
        Identifier::Email(_) => "email",
        Identifier::Phone(_) => "phone",
    }
}

#[cfg(test)]
mod tests {
    use control::Alias;

    use super::*;

    #[test]
    fn the_chosen_one_is_the_one_that_is_sent_and_each_other_says_why_not() {
        let identifiers = Identifiers {
            external_id_field: Some("user_id".into()),
            braze_id_field: Some("b".into()),
            alias: Some(Alias {
                label: "crm".into(),
                field: "uid".into(),
            }),
            phone_field: Some("phone".into()),
            ..Identifiers::default()
        };
        let told = |fields: &[(&str, &str)]| {
            let (choices, chosen) = choices(&identifiers, &fields.iter().copied().collect());
            let marked: Vec<_> = choices.iter().filter(|choice| choice.chosen).collect();
            assert_eq!(chosen.is_some(), marked.len() == 1);
            let told = choices.into_iter();
            told.map(|choice| format!("{} {}: {}", choice.kind, choice.value, choice.why_not))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            told(&[("user_id", " "), ("b", "64b1"), ("uid", "9e")]),
            [
                "external_id  : the field is blank",
                "braze_id 64b1: ",
                "user_alias 9e: braze_id goes first",
                "phone : the record has no such field"
            ]
        );
        assert_eq!(
            told(&[("uid", "9e")]),
            [
                "external_id : the record has no such field",
                "braze_id : the record has no such field",
                "user_alias 9e: ",
                "phone : the record has no such field"
            ]
        );
        let no_number = told(&[("phone", "123")]);
        assert!(
            no_number[3].starts_with("phone 123: it is no phone number in E.164 form"),
            "{no_number:?}"
        );
        let one = Identifiers {
            braze_id_field: Some("b".into()),
            ..Identifiers::default()
        };
        let (one, chosen) = choices(&one, &[("user_id", "7")].into_iter().collect());
        assert_eq!((one.len(), chosen), (1, None), "only what the job names");
    }
}
