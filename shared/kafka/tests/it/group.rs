use std::collections::BTreeSet;
use std::time::Duration;

use kafka::testing::{self, InProcessBroker};
use kafka::{Config, Held, Member, Topics};
use tokio::sync::watch;

use crate::PATIENCE;

const SLOTS: i32 = 4;

async fn config(test: &str) -> Option<Config> {
    let config = testing::real_only(test)?;
    kafka::topics::ensure(&config, &[]).await.unwrap();
    Some(config)
}

fn join(config: &Config) -> (Member, watch::Receiver<Held>) {
    let member = Member::join(config, "placement", &Topics::new(config).export_placement(), SLOTS).unwrap();
    let held = member.held();
    (member, held)
}

/// Waits until what a member holds is as wanted.
async fn until(held: &mut watch::Receiver<Held>, what: &str, wanted: impl Fn(&Held) -> bool) -> Held {
    let waited = tokio::time::timeout(PATIENCE, held.wait_for(|held| wanted(held))).await;
    let found = waited.map(|held| held.unwrap().clone());
    found.unwrap_or_else(|_| panic!("{what}: it holds {:?}", held.borrow()))
}

fn all() -> BTreeSet<i32> {
    (0..SLOTS).collect()
}

#[tokio::test]
async fn a_slot_moves_only_after_its_owner_has_given_it_back_and_the_others_stay() {
    let name = "group::a_slot_moves_only_after_its_owner_has_given_it_back_and_the_others_stay";
    let Some(config) = config(name).await else { return };
    let (first, mut of_first) = join(&config);
    until(&mut of_first, "the only member gets all", |held| held.owned == all()).await;
    let (_second, mut of_second) = join(&config);
    let divided = until(&mut of_first, "some are to leave", |held| !held.leaving.is_empty()).await;
    assert_eq!((divided.owned.len(), divided.leaving.len()), (2, 2));
    for slot in divided.leaving.iter().take(1) {
        first.release(*slot);
    }
    // Several heartbeats long: one of two is not enough.
    let early = tokio::time::timeout(
        Duration::from_secs(3),
        of_second.wait_for(|held| !held.owned.is_empty()),
    )
    .await;
    assert!(early.map(drop).is_err(), "it got what was not given back");
    assert_eq!(*of_first.borrow(), divided);
    for slot in &divided.leaving {
        first.release(*slot);
    }
    let got = until(&mut of_second, "it gets the rest", |held| !held.owned.is_empty()).await;
    assert_eq!(got.owned, divided.leaving);
    assert_eq!(
        (&of_first.borrow().owned, of_first.borrow().leaving.len()),
        (&divided.owned, 0)
    );
}

#[tokio::test]
async fn who_leaves_gives_back_everything_at_once_even_what_it_was_asked_for() {
    let name = "group::who_leaves_gives_back_everything_at_once_even_what_it_was_asked_for";
    let Some(config) = config(name).await else { return };
    let (first, mut of_first) = join(&config);
    until(&mut of_first, "the only member gets all", |held| held.owned == all()).await;
    let (_second, mut of_second) = join(&config);
    until(&mut of_first, "some are to leave", |held| !held.leaving.is_empty()).await;
    let left = tokio::time::timeout(PATIENCE, first.leave()).await;
    assert!(left.is_ok(), "leaving hangs");
    assert_eq!(*of_first.borrow(), Held::default());
    until(&mut of_second, "the other gets all", |held| held.owned == all()).await;
}

#[tokio::test]
async fn the_in_process_broker_has_one_member_with_every_slot() {
    let broker = InProcessBroker::start(SLOTS, &[]).unwrap();
    let config = broker.config();
    let topic = Topics::new(&config).export_placement();
    assert_eq!(kafka::topics::partitions(&config, &topic).await.unwrap(), SLOTS);
    let (member, held) = join(&config);
    assert_eq!(held.borrow().owned, all());
    member.leave().await;
}
