//! §13: the journal of what was seen.

use braze_sim::Fault;

use crate::support::{Rig, request, within};

const BODY: &str = r#"{"attributes":[{"external_id":"u","n":1},{"external_id":"v","n":1},{"external_id":"u","m":1}]}"#;

#[tokio::test]
async fn s13_every_request_is_recorded_with_what_became_of_it() {
    let rig = Rig::start().await;
    rig.applied(BODY).await;
    rig.post("/nowhere", "{}").await.unwrap();
    rig.track("broken").await;
    let journal = rig.handle.journal();
    let seen: Vec<_> = journal
        .iter()
        .map(|entry| (entry.arrival, entry.path.as_str(), entry.status))
        .collect();
    assert_eq!(
        seen,
        [
            (1, "/users/track", Some(201)),
            (2, "/nowhere", Some(404)),
            (3, "/users/track", Some(400))
        ]
    );
    let first = &journal[0];
    assert_eq!(
        (first.body.as_str(), first.body_bytes, first.accepted, first.refused),
        (BODY, BODY.len(), 3, 0)
    );
    assert_eq!(first.users, ["external_id:u", "external_id:v"]);
    assert_eq!(
        (first.workspace.as_deref(), first.applied_order),
        (Some("default"), Some(1))
    );
    assert!(first.arrived_at <= first.ended_at.unwrap() && first.applied_at.is_some());
    assert_eq!(rig.handle.arrivals(), 3);
}

#[tokio::test]
async fn s13_the_user_agent_is_recorded_and_flagged() {
    let rig = Rig::start().await;
    for agent in [
        "user-agent: partner-Lytics-AudienceExport/1.4.0\r\n",
        "user-agent: reqwest/0.13\r\n",
        "",
    ] {
        rig.raw(&request(
            "/users/track",
            &format!("authorization: Bearer sim-key\r\n{agent}"),
            BODY,
        ))
        .await
        .unwrap();
    }
    let journal = rig.handle.journal();
    let seen: Vec<_> = journal
        .iter()
        .map(|entry| (entry.user_agent.as_deref(), entry.user_agent_ok))
        .collect();
    assert_eq!(
        seen,
        [
            (Some("partner-Lytics-AudienceExport/1.4.0"), true),
            (Some("reqwest/0.13"), false),
            (None, false)
        ]
    );
}

#[tokio::test]
async fn s13_a_key_is_never_in_the_journal_and_keys_can_be_told_apart() {
    let rig = Rig::start().await;
    for key in ["sim-key", "secret-one-1234", "secret-two-1234"] {
        let headers = format!("authorization: Bearer {key}\r\ncontent-type: application/json\r\n");
        rig.raw(&request("/users/track", &headers, BODY)).await.unwrap();
    }
    let journal = rig.handle.journal();
    let text = serde_json::to_string(&journal).unwrap();
    assert!(!text.contains("sim-key") && !text.contains("secret"), "{text}");
    assert!(journal[1].key.as_deref().unwrap().ends_with("…1234"));
    assert_ne!(journal[1].key, journal[2].key);
}

#[tokio::test]
async fn s13_a_long_body_is_cut_and_old_calls_are_forgotten() {
    let rig = Rig::with(|settings| {
        settings.journal_body_bytes_max = 10;
        settings.journal_bytes_max = 2_000;
    })
    .await;
    for _ in 0..20 {
        rig.applied(BODY).await;
    }
    let journal = rig.handle.journal();
    assert!(
        journal.len() < 10 && journal.last().unwrap().arrival == 20,
        "{}",
        journal.len()
    );
    assert_eq!(
        (journal[0].body.as_str(), journal[0].body_bytes),
        (&BODY[..10], BODY.len())
    );
}

#[tokio::test]
async fn s3_8_two_calls_in_flight_for_one_user_are_recorded() {
    let rig = Rig::start().await;
    let delay = Fault::delay(std::time::Duration::from_secs(600)).next(1);
    rig.handle.inject(delay);
    let user = |id: &str| format!(r#"{{"attributes":[{{"external_id":"{id}","n":1}}]}}"#);
    let first = user("u");
    tokio::select! {
        _ = rig.post("/users/track", &first) => panic!("the first call is answered in ten minutes"),
        () = async {
            // The first is in flight from its application on: it is judged, and not yet answered.
            within(rig.handle.until(|sim| sim.journal().iter().any(|entry| entry.applied_at.is_some()))).await;
            assert_eq!(rig.track(&user("other")).await.status, 201);
            assert_eq!(rig.track(&user("u")).await.status, 201);
        } => {}
    }
    let overlaps: Vec<_> = rig
        .handle
        .journal()
        .iter()
        .map(|entry| entry.overlaps.clone())
        .collect();
    assert_eq!(overlaps, [vec![], vec![], vec![1]]);
    assert_eq!(rig.handle.order().overlapping, 1);
}

#[tokio::test]
async fn s13_calls_one_after_the_other_do_not_overlap() {
    let rig = Rig::start().await;
    for _ in 0..3 {
        assert_eq!(rig.track(BODY).await.status, 201);
    }
    assert_eq!(rig.handle.order().overlapping, 0);
}
