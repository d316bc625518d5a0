//! How the engine keeps to Braze's rate limit: learnt from the headers, and after a 429 in both of its forms.

use std::time::Duration;

use braze_sim::{Burst, RateHeaders, RateLimits};
use control::NewExportJob;
use export_svc::engine::EngineConfig;

use super::rig::{Rig, config, job};

/// A rig whose Braze takes `requests` in three seconds, and a job whose requests hold one update each.
async fn limited(requests: u64, rate_headers: RateHeaders) -> (Rig, NewExportJob) {
    let rig = Rig::new().await;
    rig.sim.change_settings(|settings| {
        settings.rate_headers = rate_headers;
        settings.track_limits = RateLimits {
            per_hour: None,
            burst: Some(Burst::new(requests, Duration::from_secs(3))),
        };
    });
    let job = NewExportJob {
        batch_updates_max: 1,
        ..job("vip")
    };
    (rig, job)
}

async fn enter_all(rig: &Rig, users: u64) {
    for number in 0..users {
        rig.enter("vip", &number.to_string(), &[("user_id", &format!("cust-{number}"))])
            .await;
    }
}

fn refused(rig: &Rig) -> usize {
    rig.sim
        .journal()
        .iter()
        .filter(|entry| entry.status == Some(429))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_sent_without_a_429_because_the_limit_is_learnt() {
    for rate_headers in [RateHeaders::Classic, RateHeaders::Mau] {
        let (rig, new) = limited(60, rate_headers).await;
        let engine = rig.start();
        let vip = rig.create(new).await;
        enter_all(&rig, 65).await;
        engine.settled(&vip, (65, 0, 0, 0)).await;
        assert_eq!(refused(&rig), 0, "{rate_headers:?}");
        engine.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_429_of_either_form_nothing_is_sent_until_braze_says() {
    for rate_headers in [RateHeaders::Classic, RateHeaders::Mau] {
        let (rig, new) = limited(5, rate_headers).await;
        // As if somebody else used the same limit: far more is asked for than there is.
        let engine = rig.start_with(EngineConfig {
            requests_per_second: Some(1_000.0),
            in_flight_max: 2,
            ..config()
        });
        let vip = rig.create(new).await;
        enter_all(&rig, 12).await;
        engine.settled(&vip, (12, 0, 0, 0)).await;
        let refused = refused(&rig);
        assert!(
            (1..=6).contains(&refused),
            "{rate_headers:?}: {refused} calls were refused"
        );
        engine.drain().await;
    }
}
