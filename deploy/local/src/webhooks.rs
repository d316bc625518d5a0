//! The webhooks of the demo: bodies as Braze sends them, and what must become of each, written by hand in
//! `data/webhooks.json`. Every case is posted [`ROUNDS`] times with its own number in place of `{n}`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use prost::Message as _;
use proto::profile::v1::{ProfileEvent, value::Kind};
use serde::Deserialize;

/// How often each case is posted.
pub(crate) const ROUNDS: usize = 48;

/// `data/webhooks.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    /// Account and stream that the webhooks are posted to, and that every event must name.
    account: u64,
    stream: String,
    webhooks: Vec<Case>,
}

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
    /// The identities to expect, all of them in order, as `<field>:<value>`. The first is the key of the record.
    #[serde(default)]
    identities: Vec<String>,
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
    /// As exactly this profile event.
    Event(Event),
    /// On the rejected topic, as posted.
    Rejected,
}

/// What is compared of a record on the topic of profile events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    key: String,
    account: u64,
    stream: String,
    identities: Vec<String>,
    fields: BTreeMap<String, String>,
}

/// All webhooks of the demo, in the order they are posted.
pub(crate) fn all() -> anyhow::Result<Vec<Webhook>> {
    let data: Data = serde_json::from_str(include_str!("../data/webhooks.json")).context("data/webhooks.json")?;
    let mut webhooks = Vec::with_capacity(data.webhooks.len() * ROUNDS);
    for round in 0..ROUNDS {
        let number = format!("{round:04}");
        for case in &data.webhooks {
            let webhook = case.webhook(&data, &number);
            webhooks.push(webhook.with_context(|| format!("data/webhooks.json: case {:?}", case.name))?);
        }
    }
    Ok(webhooks)
}

impl Case {
    fn webhook(&self, data: &Data, number: &str) -> anyhow::Result<Webhook> {
        let numbered = |text: &String| text.replace("{n}", number);
        let body = match (&self.body, &self.raw) {
            (Some(body), None) => numbered(&body.to_string()),
            (None, Some(raw)) => numbered(raw),
            _ => anyhow::bail!("needs either body or raw"),
        };
        let outcome = match (&self.event, self.identities.first(), self.rejected) {
            (Some(fields), Some(key), false) => Outcome::Event(Event {
                key: numbered(key),
                account: data.account,
                stream: data.stream.clone(),
                identities: self.identities.iter().map(numbered).collect(),
                fields: fields
                    .iter()
                    .map(|(name, value)| (name.clone(), numbered(value)))
                    .collect(),
            }),
            (None, None, true) => Outcome::Rejected,
            _ => anyhow::bail!("needs either event and identities, or rejected"),
        };
        Ok(Webhook {
            case: self.name.clone(),
            body,
            status: self.status,
            outcome,
        })
    }
}

impl Event {
    /// From a record of the topic.
    pub(crate) fn read(key: &[u8], value: &[u8]) -> anyhow::Result<Self> {
        let event = ProfileEvent::decode(value).context("a profile event")?;
        let identities = event.identities.into_iter();
        let fields = event.fields.into_iter().map(|field| {
            let kind = field.value.and_then(|value| value.kind);
            (field.name, kind.map(text).unwrap_or_default())
        });
        Ok(Self {
            key: String::from_utf8_lossy(key).into_owned(),
            account: event.account,
            stream: event.stream,
            identities: identities
                .map(|found| format!("{}:{}", found.field, found.value))
                .collect(),
            fields: fields.collect(),
        })
    }
}

/// A value in the form that `data/webhooks.json` uses: text as it is, everything else behind the name of its kind.
fn text(kind: Kind) -> String {
    match kind {
        Kind::StringValue(text) => text,
        Kind::BoolValue(value) => format!("bool {value}"),
        Kind::IntValue(value) => format!("int {value}"),
        Kind::NumberValue(value) => format!("number {value}"),
        Kind::DateValue(time) => format!("date {time}"),
        Kind::StringList(list) => format!("list {:?}", list.values),
        other => format!("{other:?}"),
    }
}

/// Compares what was published with what was expected, both as multisets: how many differ, and the first few differences.
pub(crate) fn compare(webhooks: &[Webhook], events: &[Event], rejected: &[Vec<u8>]) -> Vec<String> {
    let mut differences = Vec::new();
    let mut published: BTreeMap<&Event, i64> = BTreeMap::new();
    for event in events {
        *published.entry(event).or_default() += 1;
    }
    let mut kept: BTreeMap<&[u8], i64> = BTreeMap::new();
    for body in rejected {
        *kept.entry(body).or_default() += 1;
    }
    for webhook in webhooks {
        let left = match &webhook.outcome {
            Outcome::Event(event) => published.get_mut(event),
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
    differences.extend(surplus.map(|(event, count)| format!("{count} × an event that nobody expected: {event:?}")));
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

    /// What the topics hold after a run without a fault.
    fn faultless(webhooks: &[Webhook]) -> (Vec<Event>, Vec<Vec<u8>>) {
        let (mut events, mut rejected) = (Vec::new(), Vec::new());
        for webhook in webhooks {
            match &webhook.outcome {
                Outcome::Event(event) => events.push(event.clone()),
                Outcome::Rejected => rejected.push(webhook.body.clone().into_bytes()),
            }
        }
        (events, rejected)
    }

    #[test]
    fn what_is_lost_and_what_nobody_expected_are_both_differences() {
        let webhooks = all().expect("the data reads");
        let (mut events, mut rejected) = faultless(&webhooks);
        assert_eq!(compare(&webhooks, &events, &rejected), [""; 0]);
        let twice = events[1].clone();
        events[0] = twice;
        rejected.push(b"surplus".to_vec());
        assert_eq!(compare(&webhooks, &events, &rejected).len(), 3);
    }

    #[test]
    fn key_account_stream_identities_and_fields_are_all_compared() {
        let webhooks = all().expect("the data reads");
        let wrong: [fn(&mut Event); 5] = [
            |event| event.key = event.identities[1].clone(),
            |event| event.account += 1,
            |event| event.stream.push('s'),
            |event| event.identities.swap(0, 1),
            |event| drop(event.fields.remove("city")),
        ];
        for wrong in wrong {
            let (mut events, rejected) = faultless(&webhooks);
            wrong(&mut events[0]);
            let differences = compare(&webhooks, &events, &rejected);
            assert_eq!(differences.len(), 2, "{differences:?}");
        }
    }

    #[test]
    fn a_value_of_another_kind_is_another_value() {
        let number = Kind::IntValue(351_210_000_000);
        assert_ne!(text(number), text(Kind::StringValue("351210000000".to_owned())));
    }
}
