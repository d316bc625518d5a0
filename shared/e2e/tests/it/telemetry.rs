//! Proves that a trace goes all the way: from Braze's webhook into the profile event, and from a membership change to the call of
//! Braze. How: both services send their spans to a collector in the test; the spans are compared with the trace context that the
//! test sent, and with the one that is on the records. And that a log collector can read what both services write: every line is
//! an object, and what a line is about stands in fields.

use kafka::{Publisher, PublisherOptions, RecordOut, Topics};
use prost::Message;
use proto::membership::v1::{MembershipAction, MembershipChange};

use crate::harness::broker::{ACCOUNT, Broker};
use crate::harness::collector::{Collector, hex};
use crate::harness::sim::Sim;
use crate::harness::system::{ADMIN_TOKEN, Export, Ingest};
use crate::harness::{http, topic, until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const KEY: &str = "sim-key";

/// The most spans of changes that the span of a call links to.
const LINKS_MAX: usize = 16;

#[tokio::test]
async fn a_webhooks_trace_is_the_ancestor_of_the_publish_span_that_its_record_names() {
    let (broker, collector, sim) = (Broker::any(4), Collector::start().await, Sim::start(KEY).await);
    let otlp = collector.url();
    // It creates the account.
    let _export = Export::start(&broker, &sim, &[]).await;
    let mut ingest = Ingest::start(&broker, &[("TELEMETRY__OTLP_ENDPOINT", &otlp)]).await;
    let path = format!("/c/1234/braze_users?key={ADMIN_TOKEN}");
    let header = format!("traceparent: 00-{TRACE}-{CALLER}-01");
    let answer = http::send(ingest.http, "POST", &path, &[&header], br#"{"braze_id":"b-1"}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    ingest.process.terminate().await;

    let events = topic::events(&broker.kafka).await;
    let [(record, _)] = events.as_slice() else {
        panic!("{events:?}")
    };
    let (trace, publish) = record.trace();
    assert_eq!(trace, TRACE);
    let publish = collector.span(&publish);
    assert_eq!(
        (publish.name.as_str(), hex(&publish.trace_id)),
        ("publish", TRACE.to_owned())
    );
    let mut ancestor = publish.parent_span_id;
    while hex(&ancestor) != CALLER {
        ancestor = collector.span(&hex(&ancestor)).parent_span_id;
    }
}

#[tokio::test]
async fn with_the_json_format_every_line_is_an_object_and_a_refusal_names_account_stream_and_reason_in_fields() {
    let (broker, sim) = (Broker::any(4), Sim::start(KEY).await);
    let json = [("TELEMETRY__LOG_FORMAT", "json")];
    let mut export = Export::start(&broker, &sim, &json).await;
    let mut ingest = Ingest::start(&broker, &json).await;
    let answer = ingest.post(ADMIN_TOKEN, "not json").await;
    assert_eq!(answer.status, 400, "{answer:?}");
    ingest.process.terminate().await;
    export.process.terminate().await;

    let mut refusals = Vec::new();
    for log in [ingest.process.log(), export.process.log()] {
        for line in log.lines() {
            let object: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let text = |field: &str| object[field].as_str().is_some_and(|text| !text.is_empty());
            assert!(text("level") && text("message"), "{line}");
            if object["message"] == "a webhook was refused for good" {
                refusals.push(object);
            }
        }
    }
    let [refusal] = refusals.as_slice() else {
        panic!("{refusals:?}")
    };
    for (field, value) in [
        ("level", "INFO"),
        ("account", "1234"),
        ("stream", "braze_users"),
        ("reason", "broken_body"),
    ] {
        assert_eq!(refusal[field], value, "{refusal}");
    }
}

/// A change with a trace context of its own, as upstream publishes it: straight to Kafka.
fn change(kafka: &kafka::Config, number: usize) -> (RecordOut, String) {
    let user = format!("cust-{number}");
    let change = MembershipChange {
        account: ACCOUNT,
        audience_id: "vip".to_owned(),
        audience_slug: "vip".to_owned(),
        profile_id: user.clone(),
        action: MembershipAction::Enter.into(),
        fields: [("user_id".to_owned(), user.clone())].into(),
        ..MembershipChange::default()
    };
    let (trace, span) = (
        format!("{:032x}", 0xabc_0000 + number),
        format!("{:016x}", 0xdef_0000 + number),
    );
    let record = RecordOut::new(Topics::new(kafka).audience_membership(ACCOUNT))
        .key(format!("vip/{user}"))
        .payload(change.encode_to_vec())
        .header("content-type", "application/protobuf")
        .header("message-type", "lytics.membership.v1.MembershipChange")
        .header("traceparent", format!("00-{trace}-{span}-01"));
    (record, trace + "-" + &span)
}

#[tokio::test]
async fn the_span_of_a_call_to_braze_links_to_a_bounded_sample_of_its_changes() {
    let (broker, collector, sim) = (Broker::any(1), Collector::start().await, Sim::start(KEY).await);
    let otlp = collector.url();
    let mut export = Export::start(&broker, &sim, &[("TELEMETRY__OTLP_ENDPOINT", &otlp)]).await;
    let changes = LINKS_MAX + 4;
    export.job(KEY, &["--batch-max", &changes.to_string()]).await;
    let (records, contexts): (Vec<_>, Vec<_>) = (0..changes).map(|number| change(&broker.kafka, number)).unzip();
    let publisher = Publisher::new(&broker.kafka, PublisherOptions::default()).unwrap();
    assert!(publisher.publish_all(records).await.iter().all(Result::is_ok));
    until("one call with all of them", async || sim.sent().await.len() == changes).await;
    export.process.terminate().await;

    let calls = collector.spans().into_iter().filter(|span| span.name == "deliver");
    let calls: Vec<_> = calls.collect();
    let [call] = calls.as_slice() else { panic!("{calls:#?}") };
    let links: Vec<_> = call
        .links
        .iter()
        .map(|link| hex(&link.trace_id) + "-" + &hex(&link.span_id))
        .collect();
    assert_eq!(links.len(), LINKS_MAX);
    assert!(links.iter().all(|link| contexts.contains(link)), "{links:?}");
}

#[tokio::test]
async fn a_change_published_over_grpc_is_linked_by_the_call_to_braze() {
    let (broker, collector, sim) = (Broker::any(4), Collector::start().await, Sim::start(KEY).await);
    let otlp = collector.url();
    let mut export = Export::start(&broker, &sim, &[("TELEMETRY__OTLP_ENDPOINT", &otlp)]).await;
    export.job(KEY, &["--batch-max", "1"]).await;
    publish_with_trace(&export).await;
    until("the user at Braze", async || sim.segments("cust-0").await.is_some()).await;
    export.process.terminate().await;

    let records = topic::records(&broker.kafka, Topics::new(&broker.kafka).audience_membership(ACCOUNT)).await;
    let (trace, span) = records[0].trace();
    assert_eq!(trace, TRACE);
    let call = collector.spans().into_iter().find(|span| span.name == "deliver");
    let links = call.expect("a span of the call").links;
    let links: Vec<_> = links
        .iter()
        .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
        .collect();
    assert_eq!(links, [(trace, span)]);
}

async fn publish_with_trace(export: &Export) {
    use proto::membership::v1::PublishMembershipChangesRequest;
    use proto::membership::v1::audience_membership_service_client::AudienceMembershipServiceClient;

    let change = MembershipChange {
        account: ACCOUNT,
        audience_id: "vip".to_owned(),
        audience_slug: "vip".to_owned(),
        profile_id: "42".to_owned(),
        action: MembershipAction::Enter.into(),
        fields: [("user_id".to_owned(), "cust-0".to_owned())].into(),
        ..MembershipChange::default()
    };
    let changes = tokio_stream::iter([PublishMembershipChangesRequest {
        change: Some(change),
        ..Default::default()
    }]);
    let mut request = tonic::Request::new(changes);
    let metadata = request.metadata_mut();
    metadata.insert("authorization", format!("Bearer {ADMIN_TOKEN}").parse().unwrap());
    metadata.insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse().unwrap());
    let client = AudienceMembershipServiceClient::connect(format!("http://{}", export.grpc)).await;
    let answers = client.unwrap().publish_membership_changes(request).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().expect("one answer");
    let outcome = format!("{:?}", answer.outcome);
    assert!(outcome.contains("Published"), "{outcome}");
}
