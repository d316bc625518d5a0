//! `events tail`: profile events as people read them, one JSON object per line.

mod activity;

use clap::Subcommand;
use model::{AccountNumber, name};
use proto::ingest::v1::ingest_service_client::IngestServiceClient;
use proto::ingest::v1::{TailEventsRequest, TailEventsResponse};
use proto::profile::v1::Identity;
use runtime::exit::Failure;
use runtime::stdout;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Connection, refused};
use crate::readable::{readable, time};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the newest profile events of an account, then those that follow
    ///
    /// One JSON object per line, for a person or for a pipe.
    #[command(after_long_help = examples!(
        "events tail --account 1234",
        "events tail --account 1234 --newest 100 --no-follow",
    ))]
    Tail {
        /// Number of the account
        #[arg(long, value_name = "NUMBER")]
        account: AccountNumber,
        /// How many of the newest to begin with, at most 1000
        #[arg(long, value_name = "N", default_value_t = 10)]
        newest: u32,
        /// End after the newest
        #[arg(long)]
        no_follow: bool,
    },
}

pub(super) async fn run(connection: &Connection, command: Command) -> Result<(), Failure> {
    let Command::Tail {
        account,
        newest,
        no_follow,
    } = command;
    let mut client = IngestServiceClient::new(connection.open().await?);
    let request = TailEventsRequest {
        account: name::format_account(account),
        newest,
        follow: !no_follow,
    };
    let mut events = client.tail_events(request).await.map_err(refused)?.into_inner();
    while let Some(event) = events.message().await.map_err(refused)? {
        if !stdout::offer(line(&event)) {
            return Ok(());
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
    event_id: &'a str,
    account: u64,
    stream: &'a str,
    mapping: &'a str,
    mapping_version: u64,
    receive_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time: Option<String>,
    identities: Map<String, Value>,
    fields: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activity: Option<activity::Readable<'a>>,
    partition: i32,
    offset: i64,
}

/// An event on one line.
fn line(response: &TailEventsResponse) -> String {
    let event = response.event.clone().unwrap_or_default();
    let fields = event.fields.iter().map(|field| {
        let kind = field.value.as_ref().and_then(|value| value.kind.as_ref());
        (field.name.clone(), kind.map_or(Value::Null, readable))
    });
    let line = Line {
        event_id: &event.event_id,
        account: event.account,
        stream: &event.stream,
        mapping: &event.mapping,
        mapping_version: event.mapping_version,
        receive_time: event.receive_time.as_ref().and_then(time),
        event_time: event.event_time.as_ref().and_then(time),
        identities: identities(&event.identities),
        fields: fields.collect(),
        activity: event.activity.as_deref().map(activity::Readable::from),
        partition: response.partition,
        offset: response.offset,
    };
    serde_json::to_string(&line).unwrap_or_default()
}

/// The value of each field, or its values if there are several.
fn identities(identities: &[Identity]) -> Map<String, Value> {
    let mut by_field = Map::<String, Value>::new();
    for Identity { field, value } in identities {
        match by_field.get_mut(field) {
            None => {
                by_field.insert(field.clone(), json!(value));
            }
            Some(Value::Array(values)) => values.push(json!(value)),
            Some(first) => *first = json!([first, value]),
        }
    }
    by_field
}

#[cfg(test)]
mod tests {
    use proto::profile::v1::value::Kind;
    use proto::profile::v1::{
        Action, Activity, Campaign, Channel, Field, ProfileEvent, StringList, Value as WireValue,
    };

    use super::*;

    #[test]
    fn an_activity_says_what_it_knows_in_words() {
        let activity = Activity {
            event_type: "users.messages.email.Open".to_owned(),
            channel: Channel::Email.into(),
            action: Action::Open.into(),
            campaign: Some(Campaign {
                id: "c1".to_owned(),
                name: String::new(),
            }),
            machine_open: Some(true),
            rest: "{\"properties\":\n{\"esp\":\"SparkPost\"}}".to_owned(),
            ..Default::default()
        };
        let event = ProfileEvent {
            activity: Some(activity.into()),
            ..Default::default()
        };
        let response = TailEventsResponse {
            event: Some(event),
            ..Default::default()
        };
        let said = r#""activity":{"type":"users.messages.email.Open","channel":"email","action":"open","campaign":{"id":"c1"},"machine_open":true,"rest":{"properties":{"esp":"SparkPost"}}}"#;
        let line = line(&response);
        assert!(line.contains(said), "{line}");
    }

    #[test]
    fn an_event_is_one_readable_line() {
        let field = |name: &str, kind| Field {
            name: name.to_owned(),
            value: Some(WireValue { kind: Some(kind) }),
            merge_operator: 0,
        };
        let event = ProfileEvent {
            event_id: "e1".to_owned(),
            account: 7,
            stream: "braze_users".to_owned(),
            mapping: "m".to_owned(),
            mapping_version: 3,
            receive_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
            identities: [("email", "a@example.com"), ("id", "1"), ("id", "2"), ("id", "3")]
                .map(|(field, value)| Identity {
                    field: field.to_owned(),
                    value: value.to_owned(),
                })
                .to_vec(),
            fields: vec![
                field("city", Kind::StringValue("São Paulo\n".to_owned())),
                field(
                    "birth_date",
                    Kind::DateValue(prost_types::Timestamp {
                        seconds: 378_691_200,
                        nanos: 0,
                    }),
                ),
                field(
                    "tags",
                    Kind::StringList(StringList {
                        values: vec!["a".to_owned()],
                    }),
                ),
            ],
            ..Default::default()
        };
        let response = TailEventsResponse {
            event: Some(event),
            partition: 2,
            offset: 5,
        };
        assert_eq!(
            line(&response),
            r#"{"event_id":"e1","account":7,"stream":"braze_users","mapping":"m","mapping_version":3,"receive_time":"1970-01-01T00:00:01Z","identities":{"email":"a@example.com","id":["1","2","3"]},"fields":{"birth_date":"1982-01-01T00:00:00Z","city":"São Paulo\n","tags":["a"]},"partition":2,"offset":5}"#
        );
    }
}
