use model::AccountNumber;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::mappings::Chosen;
use crate::source::Source;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn mapping(columns: &str) -> Arc<Mapping> {
    let lql = format!("SELECT {columns} FROM web INTO user BY id ALIAS web");
    Arc::new(Mapping::parse(&lql).unwrap())
}

fn shadow(queue: &Queue) -> Arc<Shadow> {
    let (candidate, live) = (mapping("id, city AS town"), mapping("id, city"));
    Arc::new(Shadow::new(candidate, 1, Ok(live), queue.clone(), NOW))
}

fn origin() -> Origin {
    Origin {
        account: AccountNumber::new(7).unwrap(),
        stream: "web".to_owned(),
        chosen: Chosen::built_in("web"),
        source: Source::Webhook,
        content_type: None,
        timestamp_field: None,
        file: None,
    }
}

fn records(count: usize, bytes: usize) -> Vec<Raw> {
    let json = format!(r#"{{"id":"1","city":"{}"}}"#, "x".repeat(bytes));
    vec![Bytes::from(json).into(); count]
}

/// Same, different, passed over.
fn counts(shadow: &Shadow) -> (u64, u64, u64) {
    let report = shadow.report();
    (report.same, report.different, report.passed_over)
}

#[tokio::test(start_paused = true)]
async fn what_is_offered_is_compared_and_what_is_no_record_is_not() {
    let (queue, worker) = queue();
    let shadow = shadow(&queue);
    let mut offered = records(3, 10);
    offered.push(Bytes::from(r#"{"id":"1"}"#).into());
    offered.push(Raw {
        json: Bytes::new(),
        unusable: Some("no record".to_owned()),
    });
    shadow.offer(&origin(), &offered, NOW);
    let drain = CancellationToken::new();
    let work = worker.run(drain.clone());
    let compared = async {
        while counts(&shadow) != (1, 3, 0) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        drain.cancel();
    };
    let both = async { tokio::join!(work, compared) };
    let (ended, ()) = tokio::time::timeout(std::time::Duration::from_secs(3_600), both)
        .await
        .unwrap();
    ended.unwrap();
    assert_eq!(shadow.report().fields.len(), 2);
    assert_eq!(
        queue.room.available_permits(),
        QUEUE_BYTES_MAX,
        "the room is given back"
    );
}

#[test]
fn while_the_worker_takes_nothing_the_queue_is_bounded_in_offers_and_the_rest_is_passed_over() {
    let (queue, _worker) = queue();
    let shadow = shadow(&queue);
    for _ in 0..OFFERS_MAX + 3 {
        shadow.offer(&origin(), &records(2, 10), NOW);
    }
    assert_eq!(counts(&shadow), (0, 0, 6));
}

#[test]
fn the_queue_is_bounded_in_bytes_and_so_is_what_one_request_offers() {
    let (queue, _worker) = queue();
    let shadow = shadow(&queue);
    let held = || QUEUE_BYTES_MAX - queue.room.available_permits();
    shadow.offer(&origin(), &records(1_000, 1_000), NOW);
    let (_, _, passed_over) = counts(&shadow);
    assert!((700..800).contains(&passed_over), "{passed_over}");
    assert!(held() <= OFFER_BYTES_MAX, "{}", held());
    for _ in 0..QUEUE_BYTES_MAX / OFFER_BYTES_MAX {
        shadow.offer(&origin(), &records(1_000, 1_000), NOW);
    }
    assert!(queue.room.available_permits() < OFFER_BYTES_MAX);
    let (_, _, before) = counts(&shadow);
    shadow.offer(&origin(), &records(1_000, 1_000), NOW);
    assert_eq!(counts(&shadow).2, before + 1_000);
}

#[test]
fn a_record_that_is_too_large_for_any_offer_is_passed_over() {
    let (queue, _worker) = queue();
    let shadow = shadow(&queue);
    shadow.offer(&origin(), &records(1, OFFER_BYTES_MAX), NOW);
    assert_eq!(counts(&shadow), (0, 0, 1));
    assert_eq!(queue.room.available_permits(), QUEUE_BYTES_MAX);
}
