//! The webhooks of the demo: bodies as Braze sends them, and what must become of each, written by hand in
//! `data/webhooks.json`. Every case is posted [`ROUNDS`] times with its own number in place of `{n}`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use proto::profile::v1::{ProfileEvent, value::Kind};
use serde::Deserialize;

/// How often each case is posted.
pub(crate) const ROUNDS: usize = 48;

/// One kind of webhook body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The body, for those that are JSON of the usual form.
    body: Option<serde_json::Value>,
    /// The body byte for byte, for those that are not.
    raw: Option<String>,
    /// The HTTP status to expect.
    #[serde(default = "ok")]
    status: u16,
    /// The profile fields to expect, all of them.
    event: Option<BTreeMap<String, String>>,
    /// Whether the body must be on the rejected topic instead.
    #[serde(default)]
    rejected: bool,
}

fn ok() -> u16 {
    200
}

/// One webhook to post.
pub(crate) struct Webhook {
    pub(crate) case: String,
    pub(crate) body: String,
    pub(crate) status: u16,
    pub(crate) outcome: Outcome,
}

/// Where the body must end.
pub(crate) enum Outcome {
    /// As a profile event with exactly these fields.
    Event(BTreeMap<String, String>),
    /// On the rejected topic, as posted.
    Rejected,
}

/// All webhooks of the demo, in the order they are posted.
pub(crate) fn all() -> anyhow::Result<Vec<Webhook>> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../data/webhooks.json")).context("data/webhooks.json")?;
    let mut webhooks = Vec::with_capacity(cases.len() * ROUNDS);
    for round in 0..ROUNDS {
        let number = format!("{round:04}");
        for case in &cases {
            let body = match (&case.body, &case.raw) {
                (Some(body), None) => body.to_string(),
                (None, Some(raw)) => raw.clone(),
                _ => anyhow::bail!("data/webhooks.json: case {:?} needs either body or raw", case.name),
            };
            let outcome = match (&case.event, case.rejected) {
                (Some(fields), false) => Outcome::Event(
                    fields
                        .iter()
                        .map(|(name, value)| (name.clone(), value.replace("{n}", &number)))
                        .collect(),
                ),
                (None, true) => Outcome::Rejected,
                _ => anyhow::bail!(
                    "data/webhooks.json: case {:?} needs either event or rejected",
                    case.name
                ),
            };
            let body = body.replace("{n}", &number);
            webhooks.push(Webhook {
                case: case.name.clone(),
                body,
                status: case.status,
                outcome,
            });
        }
    }
    Ok(webhooks)
}

/// A profile event's fields as text, in the form that `data/webhooks.json` uses.
pub(crate) fn fields_of(event: &ProfileEvent) -> BTreeMap<String, String> {
    let text = |kind: &Kind| match kind {
        Kind::StringValue(text) => text.clone(),
        Kind::BoolValue(value) => value.to_string(),
        Kind::IntValue(value) => value.to_string(),
        Kind::NumberValue(value) => value.to_string(),
        Kind::DateValue(time) => time.to_string(),
        Kind::StringList(list) => list.values.join(","),
    };
    let value =
        |field: &proto::profile::v1::Field| field.value.as_ref().and_then(|value| value.kind.as_ref()).map(text);
    event
        .fields
        .iter()
        .map(|field| (field.name.clone(), value(field).unwrap_or_default()))
        .collect()
}

/// Compares what was published with what was expected, both as multisets: how many differ, and the first few differences.
pub(crate) fn compare(webhooks: &[Webhook], events: &[ProfileEvent], rejected: &[Vec<u8>]) -> Vec<String> {
    let mut differences = Vec::new();
    let mut published: BTreeMap<BTreeMap<String, String>, i64> = BTreeMap::new();
    for event in events {
        *published.entry(fields_of(event)).or_default() += 1;
    }
    let mut kept: BTreeMap<&[u8], i64> = BTreeMap::new();
    for body in rejected {
        *kept.entry(body).or_default() += 1;
    }
    for webhook in webhooks {
        let left = match &webhook.outcome {
            Outcome::Event(fields) => published.get_mut(fields),
            Outcome::Rejected => kept.get_mut(webhook.body.as_bytes()),
        };
        match left {
            Some(count) if *count > 0 => *count -= 1,
            _ => differences.push(format!(
                "{}: not found where it must be: {}",
                webhook.case, webhook.body
            )),
        }
    }
    let surplus = published.iter().filter(|(_, count)| **count > 0);
    differences.extend(surplus.map(|(fields, count)| format!("{count} × an event that nobody expected: {fields:?}")));
    let surplus = kept.iter().filter(|(_, count)| **count > 0);
    differences.extend(surplus.map(|(body, count)| {
        format!(
            "{count} × a rejected body that nobody expected: {}",
            String::from_utf8_lossy(body)
        )
    }));
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_more_than_a_thousand_and_none_holds_a_placeholder() {
        let webhooks = all().expect("the data reads");
        assert!(webhooks.len() >= 1_000, "{}", webhooks.len());
        assert!(webhooks.iter().all(|webhook| !webhook.body.contains("{n}")));
    }

    #[test]
    fn a_missing_event_and_a_surplus_one_are_both_differences() {
        let webhooks = all().expect("the data reads");
        let surplus = ProfileEvent::default();
        let rejected: Vec<Vec<u8>> = webhooks
            .iter()
            .filter(|webhook| matches!(webhook.outcome, Outcome::Rejected))
            .map(|webhook| webhook.body.clone().into_bytes())
            .collect();
        let expected = webhooks.len() - rejected.len();
        assert_eq!(compare(&webhooks, &[surplus], &rejected).len(), expected + 1);
    }
}
