//! What is over: taken, omitted, refused, or never wanted; and what Braze holds.

use proto::export::v1::AudienceEvents;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_braze_has_taken_is_told_with_the_record_the_identifier_and_what_braze_holds() {
    let world = World::new().await;
    let job = world.job(|job| job.braze_id_field = "b".to_owned()).await;
    let nobody = world.explain(&job, "vip", "42").await;
    assert_eq!((&nobody.last_record, &nobody.standing), (&None, &None));
    says(
        &nobody,
        &[
            "No user at Braze is known for profile 42",
            "no record of profile 42 in audience vip",
        ],
    );
    world.enter().await;
    // A later record of the same partition, perhaps, of somebody else.
    world
        .publish(MembershipAction::Enter, "vip", "43", &[("user_id", "cust-2")])
        .await;
    world
        .braze()
        .until(|sim| {
            sim.user("default", &braze_sim::UserRef::external_id("cust-1"))
                .is_some()
        })
        .await;
    let told = world.until(&job, ChangeStage::Settled).await;
    let record = told.last_record.clone().unwrap();
    assert_eq!(record.change.unwrap().fields["user_id"], "cust-1");
    assert!(record.time.is_some() && record.unusable.is_empty());
    let choices: Vec<_> = told
        .identifiers
        .iter()
        .map(|choice| (choice.field.as_str(), choice.chosen))
        .collect();
    assert_eq!(choices, [("user_id", true), ("b", false)]);
    assert_eq!(told.identifiers[1].why_not, "the record has no such field");
    let user = told.braze_user.clone().unwrap();
    assert_eq!(
        (user.exists, user.has_slug, &user.values[..], user.external_id.as_str()),
        (true, true, &["vip".to_owned()][..], "cust-1")
    );
    says(
        &told,
        &[
            "User with external id cust-1 has vip: Braze has taken the enter",
            "nothing is to be done",
        ],
    );
    let standing = told.standing.unwrap();
    assert!(
        standing.taken_time.is_some() && standing.taken_changes > 0,
        "{standing:?}"
    );
    world.exit().await;
    let gone = |told: MemberExplanation| told.sentence.contains("taken the exit") && !told.braze_user.unwrap().has_slug;
    let told = world.until_so(&job, gone).await;
    says(
        &told,
        &[
            "User with external id cust-1 does not have vip",
            "alone in its request",
            "nothing is to be done",
        ],
    );
    // As long as Braze does not tell, the rest is told.
    world.braze().put_key(Key::new(KEY).with_permissions(["users.track"]));
    let told = world.explain(&job, "vip", "42").await;
    assert_eq!(told.standing.unwrap().stage(), ChangeStage::Settled);
    let problem = told.braze_user.clone().unwrap().problem;
    assert!(
        problem.contains("users.export.ids") && problem.contains("403"),
        "{problem}"
    );
    world.braze().reject_key(KEY);
    let problem = world.explain(&job, "vip", "42").await.braze_user.unwrap().problem;
    assert!(
        problem.contains("Invalid API key") && !problem.contains(KEY),
        "{problem}"
    );
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_omitted_or_refused_says_why_in_brazes_words() {
    let world = World::new().await;
    let job = world.job(|_| {}).await;
    world
        .publish(MembershipAction::Enter, "vip", "42", &[("email", "kim@example.org")])
        .await;
    let told = world.until_so(&job, |told| told.rejected.is_some()).await;
    let rejected = told.rejected.clone().unwrap();
    assert_eq!(
        (rejected.reason.as_str(), told.braze_user.clone()),
        ("no_identifier", None)
    );
    assert!(told.keep_time.is_some());
    says(
        &told,
        &[
            "was omitted, for the change has no value in user_id",
            "give the profile such a value",
        ],
    );
    world
        .braze()
        .refuse_object("cust-1", "provided external_id is blacklisted and disallowed");
    world.enter().await;
    let refused = |told: MemberExplanation| told.rejected.is_some_and(|rejected| rejected.reason == "blocked");
    let told = world.until_so(&job, refused).await;
    assert!(!told.braze_user.clone().unwrap().exists);
    says(
        &told,
        &[
            "Braze has no user with external id cust-1",
            "Braze refused the enter",
            "is blacklisted",
        ],
    );
    world.write("vip", "42", Some(b"\xff\xff".to_vec())).await;
    let unusable = |told: MemberExplanation| told.rejected.is_some_and(|rejected| rejected.reason == "undecodable");
    let told = world.until_so(&job, unusable).await;
    assert!(!told.last_record.clone().unwrap().unusable.is_empty());
    says(&told, &["breaks the contract", "publish it again"]);
    world.write("vip", "42", None).await;
    let told = world.explain(&job, "vip", "42").await;
    assert_eq!(told.last_record.clone().unwrap().change, None);
    says(&told, &["a tombstone"]);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_over_once_a_redrive_or_a_reset_has_sent_it_again() {
    let world = World::new().await;
    let job = world.job(|_| {}).await;
    let refusal = "provided external_id is blacklisted and disallowed";
    world.braze().refuse_object("cust-1", refusal);
    world.enter().await;
    let told = world.until_so(&job, |told| told.rejected.is_some()).await;
    assert_eq!(told.sent_again_time, None);
    says(&told, &["Braze refused the enter", "for good"]);
    world.braze().clear_faults();
    let redrive = proto::export::v1::RedriveOmittedChangesRequest {
        name: job.clone(),
        ..Default::default()
    };
    let mut omitted =
        proto::export::v1::omitted_change_service_client::OmittedChangeServiceClient::new(world.service.admin().await);
    omitted.redrive_omitted_changes(redrive).await.unwrap();
    let over = |told: MemberExplanation| told.sentence.contains("was sent again since");
    let told = world.until_so(&job, over).await;
    assert!(told.rejected.is_some() && told.braze_user.clone().unwrap().has_slug);
    says(
        &told,
        &[
            "User with external id cust-1 has vip: the enter",
            "was refused at",
            refusal,
            "and Braze has it now; nothing is to be done",
        ],
    );
    // The same of an exit, by a reset; Braze refuses it first.
    world.braze().refuse_object("cust-1", refusal);
    world.exit().await;
    let refused = |told: MemberExplanation| told.sentence.contains("Braze refused the exit");
    let told = world.until_so(&job, refused).await;
    assert_eq!(told.sent_again_time, None, "the redrive was before it");
    assert!(told.braze_user.clone().unwrap().has_slug);
    world.braze().clear_faults();
    let reset = proto::export::v1::ResetExportJobRequest {
        name: job.clone(),
        to: Some(proto::export::v1::reset_export_job_request::To::Beginning(())),
        ..Default::default()
    };
    world.jobs().await.reset_export_job(reset).await.unwrap();
    let told = world.until_so(&job, over).await;
    says(&told, &["does not have vip: the exit", "nothing is to be done"]);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_refused_is_over_when_a_redrive_has_run_not_when_it_is_asked_for() {
    let world = World::new().await;
    let job = world.job(|job| job.r#type = "export_events".to_owned()).await;
    world
        .braze()
        .refuse_object("cust-1", "provided external_id is blacklisted and disallowed");
    world.enter().await;
    let refused = |told: &MemberExplanation| told.sentence.contains("Braze refused the enter");
    world.until_so(&job, |told| refused(&told)).await;
    world.braze().clear_faults();
    world.pause(&job).await;
    let redrive = proto::export::v1::RedriveOmittedChangesRequest {
        name: job.clone(),
        ..Default::default()
    };
    let mut omitted =
        proto::export::v1::omitted_change_service_client::OmittedChangeServiceClient::new(world.service.admin().await);
    omitted.redrive_omitted_changes(redrive).await.unwrap();
    let told = world.explain(&job, "vip", "42").await;
    assert!(refused(&told) && told.sent_again_time.is_none(), "{}", told.sentence);
    let resume = proto::export::v1::ResumeExportJobRequest {
        name: job.clone(),
        ..Default::default()
    };
    world.jobs().await.resume_export_job(resume).await.unwrap();
    let over = |told: MemberExplanation| told.sentence.contains("was not refused again");
    let told = world.until_so(&job, over).await;
    assert!(told.sent_again_time.is_some() && told.braze_user.is_none());
    let user = world
        .braze()
        .user("default", &braze_sim::UserRef::external_id("cust-1"));
    assert_eq!(user.unwrap().custom_events.len(), 1);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_job_does_not_want_or_was_there_before_it_says_so() {
    let world = World::new().await;
    world.enter().await;
    let job = world
        .job(|job| {
            job.set_audience_events(AudienceEvents::Enters);
            job.audiences = vec!["vip".to_owned(), "news".to_owned()];
        })
        .await;
    let told = world.until(&job, ChangeStage::BeforeStart).await;
    says(&told, &["was there before the job", "jobs reset --to-beginning"]);
    let reset = proto::export::v1::ResetExportJobRequest {
        name: job.clone(),
        to: Some(proto::export::v1::reset_export_job_request::To::Beginning(())),
        ..Default::default()
    };
    world.jobs().await.reset_export_job(reset).await.unwrap();
    says(
        &world.until(&job, ChangeStage::Settled).await,
        &["Braze has taken the enter"],
    );
    world.exit().await;
    let told = world.explain(&job, "vip", "42").await;
    assert_eq!(told.standing.clone().unwrap().stage(), ChangeStage::NotWanted);
    says(&told, &["the job does not send changes of this kind"]);
    let kill = proto::export::v1::KillExportJobRequest {
        name: job.clone(),
        ..proto::export::v1::KillExportJobRequest::default()
    };
    world.jobs().await.kill_export_job(kill).await.unwrap();
    let told = world.explain(&job, "vip", "42").await;
    assert_eq!(told.standing.clone().unwrap().state(), ExportJobState::Killed);
    says(&told, &["the job is killed"]);
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enter_of_a_user_whom_braze_does_not_know_and_the_job_may_not_create_says_so() {
    let world = World::new().await;
    let job = world.job(|job| job.update_existing_only = true).await;
    world.enter().await;
    let told = world.until(&job, ChangeStage::Settled).await;
    assert!(told.update_existing_only);
    says(
        &told,
        &[
            "Braze has no user with external id cust-1",
            "Braze does not know the user and the job creates none",
        ],
    );
    world.service.stop().await;
}
