//! The segments of a Braze workspace over gRPC, as the simulator lists them.

use braze_sim::{Key, Options, Segment, Sim};
use model::Role;
use proto::imports::v1::{ListSegmentsRequest, ListSegmentsResponse};
use tonic::{Code, Status};

use super::jobs::Client;
use super::storages::Allowed;
use crate::harness::imports::authorize;

/// Braze lists so many at a time.
const PAGE: usize = 100;

/// A service, and the name of an authorization for this key.
async fn authorized(sim: &Sim, key: &str) -> (Allowed, String) {
    let base = sim.base_url();
    let allowed = Allowed::start(|config| config.braze.endpoint = Some(base)).await;
    let name = authorize(&allowed.service, allowed.account, key).await;
    (allowed, name)
}

async fn list(client: &mut Client, authorization: &str, page_token: &str) -> Result<ListSegmentsResponse, Status> {
    let request = ListSegmentsRequest {
        authorization: authorization.to_owned(),
        page_token: page_token.to_owned(),
    };
    Ok(client.list_segments(request).await?.into_inner())
}

#[tokio::test]
async fn segments_are_listed_in_pages_that_only_their_own_list_takes_on() {
    let sim = Sim::start(Options::default()).await.unwrap();
    let all = Segment::all_users("default");
    for number in 0..PAGE {
        sim.handle().put_segment(Segment {
            id: format!("segment-{number}"),
            name: format!("Segment {number}"),
            ..all.clone()
        });
    }
    let (allowed, name) = authorized(&sim, "sim-key").await;
    let mut client = Client::new(allowed.channel(Role::DataManager).await);
    let first = list(&mut client, &name, "").await.unwrap();
    let last = list(&mut client, &name, &first.next_page_token).await.unwrap();
    let listed: Vec<_> = first.segments.iter().chain(&last.segments).collect();
    assert_eq!((first.segments.len(), listed.len()), (PAGE, PAGE + 1));
    for segment in sim.handle().segments("default") {
        let found = listed.iter().filter(|listed| listed.id == segment.id);
        assert_eq!(found.map(|listed| &listed.name).collect::<Vec<_>>(), [&segment.name]);
    }
    assert_eq!(last.next_page_token, "");
    let other = format!("{}/authorizations/other", allowed.parent());
    let refused = list(&mut client, &other, &first.next_page_token).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let missing = list(&mut client, &other, "").await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound, "{missing}");
    allowed.service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_key_that_may_not_list_them_is_told_with_the_permission_and_not_shown() {
    let sim = Sim::start(Options {
        keys: vec![Key::new("job-key").with_permissions(["users.track"])],
        ..Options::default()
    })
    .await
    .unwrap();
    let (allowed, name) = authorized(&sim, "job-key").await;
    let mut client = Client::new(allowed.channel(Role::DataManager).await);
    let refused = list(&mut client, &name, "").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("segments.list"), "{refused}");
    assert!(!refused.message().contains("job-key"), "{refused}");
    allowed.service.lifecycle.drain("the test is over");
}
