//! AudienceMembershipService.

use std::collections::HashMap;
use std::time::Duration;

use kafka::testing::{Brokers, InProcessBroker};
use kafka::{Polled, Position, Reader, ReaderOptions, Topics};
use model::Role;
use prost::Message;
use proto::membership::v1::audience_membership_service_client::AudienceMembershipServiceClient;
use proto::membership::v1::publish_membership_changes_response::Outcome;
use proto::membership::v1::{MembershipAction, MembershipChange, PublishMembershipChangesRequest, TriggerMessage};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::service::{Service, config};

fn change(profile: &str) -> MembershipChange {
    MembershipChange {
        account: 1234,
        audience_slug: "vip".to_owned(),
        profile_id: profile.to_owned(),
        action: MembershipAction::Enter.into(),
        fields: HashMap::from([("user_id".to_owned(), format!("cust-{profile}"))]),
        ..MembershipChange::default()
    }
}

fn requests(
    changes: Vec<MembershipChange>,
) -> impl tonic::IntoStreamingRequest<Message = PublishMembershipChangesRequest> {
    futures::stream::iter(changes.into_iter().map(|change| PublishMembershipChangesRequest {
        change: Some(change),
        ..Default::default()
    }))
}

/// The records of partition `partition` of the account's topic: key, decoded value, traceparent.
fn records(kafka: &kafka::Config, partition: i32) -> Vec<(String, MembershipChange, Option<String>)> {
    let mut reader = Reader::open(kafka, ReaderOptions::default()).unwrap();
    reader
        .assign(
            &Topics::new(kafka).audience_membership(1234),
            &[(partition, Position::Beginning)],
        )
        .unwrap();
    let mut found = Vec::new();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while std::time::Instant::now() < deadline {
        match reader.poll(Duration::from_millis(100)) {
            Some(Ok(Polled::Record(record))) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                assert_eq!(
                    record.header("message-type"),
                    Some(b"lytics.membership.v1.MembershipChange".as_slice())
                );
                found.push((
                    text(record.key().unwrap()),
                    MembershipChange::decode(record.payload().unwrap()).unwrap(),
                    record.header("traceparent").map(text),
                ));
            }
            Some(Ok(Polled::Eof { .. })) => return found,
            Some(Err(_)) | None => {}
        }
    }
    panic!("the end of partition {partition} was not reached");
}

fn partitions(kafka: &kafka::Config) -> i32 {
    let reader = Reader::open(kafka, ReaderOptions::default()).unwrap();
    i32::try_from(
        reader
            .partitions(&Topics::new(kafka).audience_membership(1234))
            .unwrap()
            .len(),
    )
    .unwrap()
}

/// The hash of Java's default partitioner, from its description.
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c_u32 ^ u32::try_from(key.len()).unwrap();
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().unwrap()).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[test]
fn the_tests_own_murmur2_is_javas() {
    // From the tests of Kafka's own client.
    assert_eq!(murmur2(b"21") as i32, -973_932_308);
    assert_eq!(murmur2(b"foobar") as i32, -790_332_482);
    assert_eq!(murmur2(b"a-little-bit-long-string") as i32, -985_981_536);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_carries_the_trace_of_the_call_that_published_it() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let mut client = AudienceMembershipServiceClient::new(service.admin().await);
    let mut request = tonic::IntoStreamingRequest::into_streaming_request(requests(vec![change("42")]));
    let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.metadata_mut().insert("traceparent", sent.parse().unwrap());
    let mut answers = client.publish_membership_changes(request).await.unwrap().into_inner();
    let Some(Outcome::Published(at)) = answers.message().await.unwrap().unwrap().outcome else {
        panic!("rejected")
    };
    let kafka = brokers.config();
    let found = tokio::task::spawn_blocking(move || records(&kafka, at.partition))
        .await
        .unwrap();
    let traceparent = found[0].2.as_deref().expect("a traceparent");
    assert!(
        traceparent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"),
        "{traceparent}"
    );
    assert_ne!(traceparent, sent, "the span of the call, not its caller's");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_order_and_a_bad_change_does_not_stop_the_stream() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let channel = service.connect(Some(&service.token(Role::DataWrite).await)).await;
    let mut client = AudienceMembershipServiceClient::new(channel);
    let mut changes: Vec<MembershipChange> = (0..500).map(|n| change(&n.to_string())).collect();
    changes[3].action = 0;
    changes[4].audience_slug = "a/b".to_owned();
    changes[5].account = 99;
    let mut answers = client
        .publish_membership_changes(requests(changes))
        .await
        .unwrap()
        .into_inner();
    let mut rejected = Vec::new();
    for index in 0..500 {
        let answer = answers.message().await.unwrap().expect("one answer per change");
        assert_eq!(answer.index, index);
        match answer.outcome.unwrap() {
            Outcome::Published(at) => assert!(at.offset >= 0),
            Outcome::RejectedReason(reason) => rejected.push((index, reason)),
            Outcome::PublishedTrigger(_) => panic!("a change is no trigger message"),
        }
    }
    assert_eq!(answers.message().await.unwrap(), None);
    let [(3, action), (4, slug), (5, account)] = &rejected[..] else {
        panic!("{rejected:?}")
    };
    assert!(
        action.contains("action") && slug.contains("audience_slug") && account.contains("another account"),
        "{rejected:?}"
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_message_is_published_whole_or_refused_whole() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let trigger = |account, events: &str| PublishMembershipChangesRequest {
        trigger_message: Some(TriggerMessage {
            account,
            profile_id_field: "uid".to_owned(),
            json: format!(r#"{{"data": {{"uid": "42", "user_id": "cust-42", "segment_events": [{events}]}}}}"#).into(),
        }),
        ..Default::default()
    };
    let (vip, lapsed) = (
        r#"{"slug": "vip", "event": "enter"}"#,
        r#"{"slug": "lapsed", "event": "exit"}"#,
    );
    let (scored, bad) = (
        r#"{"slug": "scores", "event": "change"}"#,
        r#"{"slug": "a/b", "event": "enter"}"#,
    );
    let both = PublishMembershipChangesRequest {
        change: Some(change("42")),
        ..trigger(1234, vip)
    };
    let sent = vec![
        trigger(1234, &format!("{vip}, {bad}")),
        trigger(1234, &format!("{vip}, {scored}, {lapsed}")),
        trigger(99, vip),
        both,
        trigger(1234, scored),
    ];
    let channel = service.connect(Some(&service.token(Role::DataWrite).await)).await;
    let mut client = AudienceMembershipServiceClient::new(channel);
    let answers = client.publish_membership_changes(futures::stream::iter(sent)).await;
    let mut answers = answers.unwrap().into_inner();
    let mut outcomes = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        assert_eq!(answer.index, u64::try_from(outcomes.len()).unwrap());
        outcomes.push(answer.outcome.unwrap());
    }
    let [
        Outcome::RejectedReason(slug),
        Outcome::PublishedTrigger(published),
        Outcome::RejectedReason(account),
        Outcome::RejectedReason(both),
        Outcome::PublishedTrigger(nothing),
    ] = &outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    assert!(slug.contains("audience_slug"), "{slug}");
    assert!(account.contains("another account"), "{account}");
    assert!(both.contains("not both"), "{both}");
    assert_eq!((published.published.len(), published.ignored), (2, 1));
    assert_eq!((nothing.published.len(), nothing.ignored), (0, 1));
    let kafka = brokers.config();
    let all = move || {
        let each = (0..partitions(&kafka)).flat_map(|partition| records(&kafka, partition));
        let mut shown: Vec<_> = each
            .map(|(key, change, _)| (key, change.action(), change.fields))
            .collect();
        shown.sort_by(|one, other| one.0.cmp(&other.0));
        shown
    };
    let fields =
        HashMap::from([("uid", "42"), ("user_id", "cust-42")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(
        tokio::task::spawn_blocking(all).await.unwrap(),
        [
            ("lapsed/42".to_owned(), MembershipAction::Exit, fields.clone()),
            ("vip/42".to_owned(), MembershipAction::Enter, fields),
        ]
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_on_the_topic_under_its_key_where_java_would_put_it() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let mut client = AudienceMembershipServiceClient::new(service.admin().await);
    let mut exit = change("42");
    exit.set_action(MembershipAction::Exit);
    let mut answers = client
        .publish_membership_changes(requests(vec![change("42"), exit]))
        .await
        .unwrap()
        .into_inner();
    let Some(Outcome::Published(enter)) = answers.message().await.unwrap().unwrap().outcome else {
        panic!("rejected")
    };
    let Some(Outcome::Published(exit)) = answers.message().await.unwrap().unwrap().outcome else {
        panic!("rejected")
    };
    assert_eq!(enter.partition, exit.partition, "one key, one partition");
    let kafka = brokers.config();
    let partitions = tokio::task::spawn_blocking(move || partitions(&kafka)).await.unwrap();
    assert_eq!(
        enter.partition,
        i32::try_from(murmur2(b"vip/42") & 0x7fff_ffff).unwrap() % partitions
    );
    assert!(enter.offset < exit.offset, "in the order they were sent");
    let kafka = brokers.config();
    let found = tokio::task::spawn_blocking(move || records(&kafka, enter.partition))
        .await
        .unwrap();
    let shown: Vec<_> = found
        .iter()
        .map(|(key, change, _)| (key.as_str(), change.action()))
        .collect();
    assert_eq!(
        shown,
        [("vip/42", MembershipAction::Enter), ("vip/42", MembershipAction::Exit)]
    );
    assert_eq!(
        found[0].1.audience_id, "vip",
        "the slug where the publisher knows no id"
    );
    assert_eq!(found[0].1.fields["user_id"], "cust-42");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_no_change_is_answered_as_published() {
    let broker = InProcessBroker::start(4, &[1234]).unwrap();
    let brokers = Brokers::InProcess(broker);
    let mut config = config(&brokers);
    config.publish.ack_timeout = Duration::from_secs(1);
    let service = Service::start(config).await;
    let mut client = AudienceMembershipServiceClient::new(service.admin().await);
    let Brokers::InProcess(broker) = &brokers else {
        unreachable!()
    };
    broker.down().unwrap();
    let mut answers = client
        .publish_membership_changes(requests(vec![change("42")]))
        .await
        .unwrap()
        .into_inner();
    let status = answers.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{}", status.message());
    broker.up().unwrap();
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_has_failed_for_good_ends_the_service() {
    let broker = InProcessBroker::start(4, &[1234]).unwrap();
    let brokers = Brokers::InProcess(broker);
    let service = Service::start(config(&brokers)).await;
    let Brokers::InProcess(broker) = &brokers else {
        unreachable!()
    };
    let mut client = AudienceMembershipServiceClient::new(service.admin().await);
    for expected in [true, false] {
        let answers = client.publish_membership_changes(requests(vec![change("42")])).await;
        let answer = answers.unwrap().into_inner().message().await;
        let published = answer.is_ok_and(|answer| matches!(answer.unwrap().outcome, Some(Outcome::Published(_))));
        assert_eq!(published, expected);
        broker.fail_next_producer().unwrap();
    }
    let ended = service.ended().await.unwrap_err();
    assert!(ended.contains("publisher"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_an_open_stream_after_what_was_sent_is_answered() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let mut client = AudienceMembershipServiceClient::new(service.admin().await);
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let sent = PublishMembershipChangesRequest {
        change: Some(change("42")),
        ..Default::default()
    };
    sender.send(sent).await.unwrap();
    let mut answers = client
        .publish_membership_changes(ReceiverStream::new(receiver))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    assert!(matches!(answer.outcome, Some(Outcome::Published(_))), "{answer:?}");
    service.stop().await;
    assert_eq!(
        answers.message().await.unwrap_err().code(),
        Code::Unavailable,
        "the sender knows that it is not done"
    );
    drop(sender);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_token_is_revoked() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let token = service.token(Role::DataWrite).await;
    let mut client = AudienceMembershipServiceClient::new(service.connect(Some(&token)).await);
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let sent = PublishMembershipChangesRequest {
        change: Some(change("42")),
        ..Default::default()
    };
    sender.send(sent.clone()).await.unwrap();
    let mut answers = client
        .publish_membership_changes(ReceiverStream::new(receiver))
        .await
        .unwrap()
        .into_inner();
    answers.message().await.unwrap().unwrap();
    let id = token.split('_').nth(2).unwrap();
    let account = model::AccountNumber::new(1234).unwrap();
    service.directory.api_tokens().delete(account, id, None).await.unwrap();
    let refused = async {
        loop {
            // The stream is gone once it has ended, which its answers tell.
            let _ended = sender.send(sent.clone()).await.is_err();
            if let Err(status) = answers.message().await {
                return status;
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(30), refused)
        .await
        .expect("the stream goes on without a token");
    assert_eq!(status.code(), Code::Unauthenticated);
    service.stop().await;
}
