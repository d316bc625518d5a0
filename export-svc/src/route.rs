//! Which identifier a change is sent under.

use braze::Identifier;
use control::Identifiers;
use model::{Fields, Membership, text};

/// The first identifier of the job that the profile has a value for: external id, Braze id, alias, e-mail address, phone number.
/// Blank is no value, nor is a number that is no phone number. `None`: the change cannot be sent and is omitted.
pub fn identifier(identifiers: &Identifiers, fields: &Fields<'_>) -> Option<Identifier> {
    choose(identifiers, |name| fields.get(name))
}

/// Why a change has no identifier, in words.
pub(crate) fn none_has_a_value(identifiers: &Identifiers) -> String {
    let fields: Vec<_> = identifiers.fields().map(|(_, field)| field).collect();
    let form = match identifiers.phone_field {
        Some(_) => "; a phone number counts if it is in E.164 form, such as +15551234567",
        None => "",
    };
    format!("the change has no value in {}{form}", fields.join(", "))
}

fn choose<'a>(identifiers: &Identifiers, field: impl Fn(&str) -> Option<&'a str>) -> Option<Identifier> {
    let value = |name: &str| {
        let value = field(name).filter(|value| !text::is_blank(value));
        value.map(str::to_owned)
    };
    // Nearly every profile has one.
    match identifiers.external_id_field.as_deref().and_then(value) {
        Some(id) => Some(Identifier::ExternalId(id)),
        None => choose_another(identifiers, value),
    }
}

#[inline(never)]
fn choose_another(identifiers: &Identifiers, value: impl Fn(&str) -> Option<String>) -> Option<Identifier> {
    let braze_id = identifiers.braze_id_field.as_deref().and_then(&value);
    let alias = || {
        let alias = identifiers.alias.as_ref()?;
        Some(Identifier::Alias {
            label: alias.label.clone(),
            name: value(&alias.field)?,
        })
    };
    let email = || {
        let address = value(identifiers.email_field.as_deref()?)?;
        Some(Identifier::Email(address.trim().to_owned()))
    };
    let phone = || {
        let number = value(identifiers.phone_field.as_deref()?)?;
        e164(&number).map(Identifier::Phone)
    };
    braze_id
        .map(Identifier::BrazeId)
        .or_else(alias)
        .or_else(email)
        .or_else(phone)
}

/// A phone number in E.164 form, without the signs that people put between digits. Braze accepts any other, and does nothing.
fn e164(number: &str) -> Option<String> {
    // Who dials it from abroad leaves this zero out, mostly.
    if number.contains("(0)") {
        return None;
    }
    let number: String = number.chars().filter(|sign| !" -.()\u{a0}".contains(*sign)).collect();
    let digits = number.strip_prefix('+')?;
    let is_one = (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    is_one.then_some(number)
}

/// The identifiers that the profile may have been sent under before this change, and is not any more: at most two, for the
/// previous fields may be all fields of then, or only those that differ.
pub fn earlier(identifiers: &Identifiers, change: &Membership<'_>, present: Option<&Identifier>) -> Vec<Identifier> {
    let previous = &change.previous_fields;
    if previous.is_empty() {
        return Vec::new();
    }
    let those_that_differ = choose(identifiers, |name| {
        previous.get(name).or_else(|| change.fields.get(name))
    });
    let all = identifier(identifiers, previous);
    let mut earlier = Vec::new();
    for found in [those_that_differ, all].into_iter().flatten() {
        if Some(&found) != present && !earlier.contains(&found) {
            earlier.push(found);
        }
    }
    earlier
}

#[cfg(test)]
mod tests {
    use control::Alias;
    use model::{AccountNumber, Action};

    use super::*;

    fn fields<'a>(values: &[(&'a str, &'a str)]) -> Fields<'a> {
        values.iter().copied().collect()
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
            ..Identifiers::default()
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
    fn an_email_address_comes_after_an_alias_and_a_phone_number_last() {
        let identifiers = Identifiers {
            alias: Some(Alias {
                label: "lytics".into(),
                field: "uid".into(),
            }),
            email_field: Some("email".into()),
            phone_field: Some("phone".into()),
            ..Identifiers::default()
        };
        let chosen = |values: &[_]| identifier(&identifiers, &fields(values));
        let (uid, email, phone) = (
            ("uid", "9e"),
            ("email", " kim@example.org"),
            ("phone", "+1 (555) 123-4567"),
        );
        let address = || Some(Identifier::Email("kim@example.org".into()));
        let number = || Some(Identifier::Phone("+15551234567".into()));
        assert!(matches!(chosen(&[phone, email, uid]), Some(Identifier::Alias { .. })));
        assert_eq!(chosen(&[phone, email]), address());
        assert_eq!(chosen(&[("uid", " "), email]), address());
        assert_eq!(chosen(&[phone, ("email", "")]), number());
        for none in [
            "15551234567",
            "+05551234567",
            "+123456",
            "+1555123456789012",
            "+1555x234567",
            "+49 (0)170 1234567",
            "+",
        ] {
            assert_eq!(chosen(&[("phone", none)]), None, "{none}");
        }
        let said = none_has_a_value(&identifiers);
        assert!(said.contains("uid, email, phone") && said.contains("E.164"), "{said}");
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

    fn change<'a>(now: &[(&'a str, &'a str)], before: &[(&'a str, &'a str)]) -> Membership<'a> {
        Membership {
            account: AccountNumber::new(1).unwrap(),
            audience: "vip",
            profile_id: b"42",
            action: Action::Enter,
            fields: fields(now),
            previous_fields: fields(before),
        }
    }

    #[test]
    fn an_earlier_identifier_is_found_whether_all_previous_fields_are_given_or_those_that_differ() {
        let identifiers = Identifiers {
            external_id_field: Some("user_id".into()),
            braze_id_field: Some("b".into()),
            ..Identifiers::default()
        };
        let earlier = |now: &[_], before: &[_]| {
            let change = change(now, before);
            let present = identifier(&identifiers, &change.fields);
            earlier(&identifiers, &change, present.as_ref())
        };
        let external = |id: &str| Identifier::ExternalId(id.into());
        let braze = |id: &str| Identifier::BrazeId(id.into());
        let (one, two, b) = (("user_id", "cust-1"), ("user_id", "cust-2"), ("b", "64b1"));
        assert_eq!(earlier(&[two], &[]), []);
        assert_eq!(earlier(&[two], &[one]), [external("cust-1")]);
        assert_eq!(earlier(&[two, b], &[one, b]), [external("cust-1")]);
        assert_eq!(earlier(&[two, b], &[("user_id", "")]), [braze("64b1")], "it has come");
        assert_eq!(earlier(&[two, b], &[b]), [braze("64b1")], "the same, all given");
        assert_eq!(earlier(&[b], &[one]), [external("cust-1")], "it has gone");
        assert_eq!(earlier(&[two], &[two, b]), [], "the same, however given");
        assert_eq!(earlier(&[one, ("b", "b2")], &[("b", "b1")]), [braze("b1")]);
        assert_eq!(earlier(&[], &[one]), [external("cust-1")]);
        assert_eq!(
            earlier(&[two], &[("email", "x@example.org")]),
            [],
            "no identifier of the job"
        );
    }
}
