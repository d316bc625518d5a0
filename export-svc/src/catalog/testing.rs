//! A membership topic for tests.

use std::collections::HashMap;

use kafka::testing::Brokers;
use kafka::{Publisher, PublisherOptions, RecordOut, Topics};
use model::{AccountNumber, membership_key};
use prost::Message;
use proto::membership::v1::{MembershipAction, MembershipChange};

use super::Catalog;

/// The topic of an account, with (audience, profile, enters) in partition 0. Users are called as their profiles.
pub(super) async fn topic(changes: &[(&str, &str, bool)]) -> (Brokers, Catalog, AccountNumber) {
    let account = AccountNumber::new(7).unwrap();
    let brokers = kafka::testing::brokers();
    brokers.ensure_topics(&[account.get()]).await.unwrap();
    let kafka = brokers.config();
    let publisher = Publisher::new(&kafka, PublisherOptions::default()).unwrap();
    for (audience, profile, enters) in changes {
        let action = if *enters {
            MembershipAction::Enter
        } else {
            MembershipAction::Exit
        };
        let change = MembershipChange {
            account: account.get(),
            audience_slug: (*audience).to_owned(),
            profile_id: (*profile).to_owned(),
            action: action.into(),
            fields: HashMap::from([("user_id".to_owned(), (*profile).to_owned())]),
            ..MembershipChange::default()
        };
        let record = RecordOut::new(Topics::new(&kafka).audience_membership(account.get())).partition(0);
        let record = record
            .key(membership_key(audience, profile))
            .payload(change.encode_to_vec());
        publisher.publish(record).await.unwrap();
    }
    (brokers, Catalog::new(kafka), account)
}
