//! A job with a backlog beside a job that is up to date, on the two readers of their workspace.

use std::time::Duration;

use control::NewExportJob;
use export_svc::engine::EngineConfig;

use super::rig::{Rig, config, job};

const HOUR: Duration = Duration::from_secs(3_600);

async fn enter_news(rig: &Rig, users: std::ops::Range<usize>) {
    for number in users {
        let id = format!("cust-{number}");
        rig.enter("news", &number.to_string(), &[("user_id", &id)]).await;
    }
}

fn existing_users(audience: &str) -> NewExportJob {
    NewExportJob {
        existing_users: true,
        ..job(audience)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_get_on_with_its_backlog_does_not_stop_the_changes_of_another() {
    let rig = Rig::new().await;
    enter_news(&rig, 0..300).await;
    // What is new to `news` waits for an hour, and there is no room for a full request: its backlog stands still.
    let engine = rig.start_with(EngineConfig {
        pending_max: 64,
        ..config()
    });
    let vip = rig.create(job("vip")).await;
    rig.enter("vip", "1", &[("user_id", "vip-1")]).await;
    engine.settled(&vip, (1, 0, 0, 0)).await;
    let slow = NewExportJob {
        flush_after: HOUR,
        ..existing_users("news")
    };
    let news = rig.create(slow).await;
    engine.until(&news, |status| status.pending >= 32).await;
    assert_eq!(
        rig.sim.users("default").len(),
        1,
        "nothing of the backlog can be sent yet"
    );
    for number in 2..10 {
        let id = format!("vip-{number}");
        rig.enter("vip", &number.to_string(), &[("user_id", &id)]).await;
        rig.until_slugs(&id, &["vip"]).await;
    }
    engine.drain().await;
    // With room for all of it the backlog is read to its end, and live is joined.
    let engine = rig.start();
    engine
        .until(&news, |status| status.counters.added + status.pending == 300)
        .await;
    engine.drain().await;
    let engine = rig.start();
    engine.settled(&news, (300, 0, 0, 0)).await;
    engine.settled(&vip, (9, 0, 0, 0)).await;
    engine.drain().await;
    assert_eq!(rig.objects().iter().sum::<usize>(), 309, "nothing is sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_has_caught_up_goes_on_with_the_others_and_nothing_is_sent_twice() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let vip = rig.create(job("vip")).await;
    engine.until(&vip, |_| true).await;
    let mut jobs = Vec::new();
    for round in 0..5 {
        enter_news(&rig, round * 40..(round + 1) * 40).await;
        let audience = format!("audience-{round}");
        rig.enter(&audience, "1", &[("user_id", &audience)]).await;
        // Each begins at the beginning, while the topic grows and the ones before it go on.
        jobs.push(rig.create(existing_users(&audience)).await);
        rig.enter("vip", &round.to_string(), &[("user_id", &format!("vip-{round}"))])
            .await;
    }
    let news = rig.create(existing_users("news")).await;
    enter_news(&rig, 200..220).await;
    engine.settled(&news, (220, 0, 0, 0)).await;
    engine.settled(&vip, (5, 0, 0, 0)).await;
    for job in &jobs {
        engine.settled(job, (1, 0, 0, 0)).await;
        let audience = &job.audiences[0];
        rig.exit(audience, "1", &[("user_id", audience)]).await;
    }
    for job in &jobs {
        engine.settled(job, (1, 1, 0, 0)).await;
    }
    engine.drain().await;
    assert_eq!(rig.objects().iter().sum::<usize>(), 220 + 5 + 2 * jobs.len());
}
