//! What is on its way, and what it waits for.

use braze_sim::Fault;

use super::*;

fn minutes(minutes: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration {
        seconds: 60 * minutes,
        nanos: 0,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_waits_for_its_batch_to_fill_and_until_when_is_told() {
    let world = World::new().await;
    let job = world.job(|job| job.flush_after = minutes(5)).await;
    world.enter().await;
    let told = world.until(&job, ChangeStage::Window).await;
    let standing = told.standing.clone().unwrap();
    assert_eq!(
        (standing.updates, standing.updates_max, standing.state()),
        (1, 75, ExportJobState::Runnable)
    );
    let (until, written) = (standing.until.unwrap(), told.last_record.clone().unwrap().time.unwrap());
    assert_eq!(until.seconds, written.seconds + 300, "five minutes after the record");
    assert!(!told.braze_user.clone().unwrap().exists);
    says(
        &told,
        &[
            "Braze has no user with external id cust-1",
            "waits for its batch to fill, which has 1 of 75 updates",
        ],
    );
    // What the job has still to read while it is paused is counted, and nothing is sent.
    world.pause(&job).await;
    world.exit().await;
    world.exit().await;
    let paused = |told: MemberExplanation| {
        let standing = told.standing.unwrap();
        standing.state() == ExportJobState::Paused && standing.stage() == ChangeStage::Unread
    };
    let told = world.until_so(&job, paused).await;
    assert_eq!(
        told.standing.clone().unwrap().records_before,
        2,
        "the enter, and the exit before this one"
    );
    says(&told, &["the job is paused", "jobs resume"]);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_a_request_is_told_and_that_another_change_of_the_user_waits_for_it() {
    let world = World::new().await;
    let job = world
        .job(|job| job.audiences = vec!["vip".to_owned(), "news".to_owned()])
        .await;
    world.braze().inject(Fault::hold());
    world.enter().await;
    world.braze().until_held(1).await;
    says(
        &world.until(&job, ChangeStage::InFlight).await,
        &["is in a request to Braze now"],
    );
    world
        .publish(MembershipAction::Enter, "news", "42", &[("user_id", "cust-1")])
        .await;
    let told = runtime::testing::wait_for("the change is read", async || {
        let told = world.explain(&job, "news", "42").await;
        let stage = told.standing.as_ref().map(|standing| standing.stage());
        (stage == Some(ChangeStage::PersonInFlight)).then_some(told)
    })
    .await;
    says(&told, &["waits for the end of a request that is about the same user"]);
    world.braze().clear_faults();
    world.until(&job, ChangeStage::Settled).await;
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_opposite_waits_for_the_settle_gap() {
    let world = World::with(|config| config.engine.settle_gap = Duration::from_secs(55)).await;
    let job = world.job(|_| {}).await;
    world.enter().await;
    world.until(&job, ChangeStage::Settled).await;
    world.exit().await;
    let told = world.until(&job, ChangeStage::SettleGap).await;
    assert!(told.standing.clone().unwrap().until.is_some());
    says(
        &told,
        &[
            "User with external id cust-1 has vip: the exit",
            "when Braze has surely applied the opposite",
        ],
    );
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_opposite_of_what_ended_unknown_waits_for_the_doubt() {
    let world = World::with(|config| config.engine.doubt = Duration::from_secs(600)).await;
    let job = world.job(|_| {}).await;
    world.braze().inject(Fault::drop_after().next(1));
    world.enter().await;
    world.until(&job, ChangeStage::Settled).await;
    world.exit().await;
    let told = world.until(&job, ChangeStage::Doubt).await;
    assert!(told.standing.clone().unwrap().until.is_some());
    says(&told, &["a call with the opposite had no usable answer"]);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_braze_does_not_take_is_tried_again_and_what_exceeds_the_budget_waits() {
    let slow = |config: &mut export_svc::config::Config| {
        config.engine.requests_per_second = Some(0.01);
        config.engine.backoff_min = Duration::from_secs(600);
        config.engine.backoff_max = Duration::from_secs(600);
    };
    let world = World::with(slow).await;
    let job = world.job(|_| {}).await;
    world
        .braze()
        .refuse_object("cust-1", format!("nobody has heard of {KEY}"));
    world.enter().await;
    let told = world.until(&job, ChangeStage::Retry).await;
    let standing = told.standing.clone().unwrap();
    assert_eq!(
        (standing.attempts, standing.last_status, standing.last_message.as_str()),
        (1, 400, "nobody has heard of [redacted]")
    );
    says(
        &told,
        &[
            "was in 1 requests that Braze did not take, and is tried again at",
            "with status 400: nobody has heard of [redacted])",
        ],
    );
    assert!(!told.sentence.contains("jobs get"), "{}", told.sentence);
    world
        .publish(MembershipAction::Enter, "vip", "43", &[("user_id", "cust-2")])
        .await;
    let told = runtime::testing::wait_for("it is to be sent", async || {
        let told = world.explain(&job, "vip", "43").await;
        let stage = told.standing.as_ref().map(|standing| standing.stage());
        (stage == Some(ChangeStage::Budget)).then_some(told)
    })
    .await;
    assert!(told.standing.clone().unwrap().until.is_some());
    says(&told, &["there are no more requests to Braze before"]);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_after_an_attempt_that_failed_says_how_that_ended() {
    let world = World::with(|config| config.engine.requests_per_second = Some(0.01)).await;
    let job = world.job(|_| {}).await;
    world.braze().inject(Fault::status(503).next(1));
    world.enter().await;
    let tried = |told: MemberExplanation| {
        let standing = told.standing.unwrap();
        standing.stage() == ChangeStage::Budget && standing.attempts == 1
    };
    let told = world.until_so(&job, tried).await;
    let standing = told.standing.clone().unwrap();
    assert_eq!((standing.last_status, standing.last_message.is_empty()), (503, false));
    assert!(standing.last_attempt_time.unwrap().seconds >= told.last_record.clone().unwrap().time.unwrap().seconds);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_sleeps_says_why() {
    let world = World::new().await;
    let job = world.job(|_| {}).await;
    world.braze().reject_key(KEY);
    world.enter().await;
    let asleep = |told: MemberExplanation| {
        let standing = told.standing.unwrap();
        standing.state() == ExportJobState::Sleeping && standing.stage() == ChangeStage::Unread
    };
    let told = world.until_so(&job, asleep).await;
    says(
        &told,
        &["the job is asleep (Braze refuses the authorization", "jobs bounce"],
    );
    assert!(!told.sentence.contains(KEY), "{}", told.sentence);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_a_user_cap_holds_says_until_when_and_nobody_is_told_to_bounce() {
    let world = World::new().await;
    let job = world
        .job(|job| {
            job.user_cap = Some(proto::export::v1::UserCap {
                adds_max: 1,
                period: minutes(60),
            });
        })
        .await;
    world.enter().await;
    world.until(&job, ChangeStage::Settled).await;
    world
        .publish(MembershipAction::Enter, "vip", "43", &[("user_id", "cust-2")])
        .await;
    let told = runtime::testing::wait_for("the cap holds it", async || {
        let told = world.explain(&job, "vip", "43").await;
        let standing = told.standing.as_ref()?;
        standing.resume_time.is_some().then_some(told)
    })
    .await;
    says(&told, &["the job sleeps: its user cap holds its changes until"]);
    assert!(!told.sentence.contains("bounce"), "{}", told.sentence);
    world.service.stop().await;
}
