//! Several replicas share the Braze workspaces, hand them over in good order, and answer for all of them.

use std::collections::BTreeSet;
use std::time::Duration;

use control::{ExportJob, NewAuthorization, NewExportJob};
use export_svc::engine::EngineConfig;

use super::rig::{KEY, Rig, Running, config, job, until};

/// As many workspaces as there are slots, each with a job for an audience of its name.
const WORKSPACES: [&str; 4] = ["main", "w1", "w2", "w3"];

/// Nobody sends without having read `released`: waiting for the lease would take longer than any test.
fn only_released() -> EngineConfig {
    EngineConfig {
        lease: Duration::from_secs(3_600),
        ..config()
    }
}

async fn real_rig(test: &str) -> Option<Rig> {
    let kafka = kafka::testing::real_only(test)?;
    kafka::topics::ensure(&kafka, &[1234]).await.unwrap();
    Some(Rig::over(kafka, None).await)
}

async fn create_all(rig: &Rig) -> Vec<ExportJob> {
    let mut jobs = Vec::new();
    for workspace in WORKSPACES {
        let authorization = match workspace {
            "main" => rig.authorization.clone(),
            workspace => rig.authorize(workspace).await,
        };
        let job = NewExportJob {
            authorization,
            ..job(workspace)
        };
        jobs.push(rig.create_with(job).await);
    }
    jobs
}

impl Rig {
    async fn enter_all(&self, user: &str) {
        for workspace in WORKSPACES {
            self.enter(workspace, user, &[("user_id", user)]).await;
        }
    }

    async fn until_all(&self, user: &str) {
        let holds = || {
            let slugs = self.slugs(user).unwrap_or_default();
            slugs.iter().map(String::as_str).collect::<BTreeSet<_>>() == WORKSPACES.into()
        };
        until(holds, || format!("{user} has {:?}", self.slugs(user))).await;
    }
}

async fn until_shared(replicas: &[&Running], most: usize) {
    let shares = || {
        replicas
            .iter()
            .map(|replica| replica.handle.served())
            .collect::<Vec<_>>()
    };
    let fair = || {
        let shares = shares();
        let all: BTreeSet<_> = shares.iter().flatten().collect();
        all.len() == WORKSPACES.len()
            && shares.iter().map(BTreeSet::len).sum::<usize>() == all.len()
            && shares.iter().all(|share| (1..=most).contains(&share.len()))
    };
    until(fair, || format!("the shares are {:?}", shares())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_the_workspaces_and_a_released_one_goes_on_elsewhere_at_once() {
    let name = "replicas_share_the_workspaces_and_a_released_one_goes_on_elsewhere_at_once";
    let Some(rig) = real_rig(name).await else { return };
    let first = rig.start_with(only_released());
    create_all(&rig).await;
    until_shared(&[&first], 4).await;
    rig.enter_all("cust-1").await;
    rig.until_all("cust-1").await;

    let second = rig.start_with(only_released());
    until_shared(&[&first, &second], 2).await;
    let kept = first.handle.served();
    rig.enter_all("cust-2").await;
    rig.until_all("cust-2").await;

    // The third takes one, and leaves the others their own.
    let third = rig.start_with(only_released());
    until_shared(&[&first, &second, &third], 2).await;
    assert!(
        first.handle.served().is_subset(&kept),
        "{:?} of {kept:?}",
        first.handle.served()
    );
    rig.enter_all("cust-3").await;
    rig.until_all("cust-3").await;

    first.drain().await;
    third.drain().await;
    until_shared(&[&second], 4).await;
    rig.enter_all("cust-4").await;
    rig.until_all("cust-4").await;
    let calls = rig.sim.journal();
    let sent: usize = calls.iter().map(|call| call.accepted).sum();
    assert_eq!(sent, 4 * WORKSPACES.len(), "nothing was sent twice");
    second.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_answers_for_every_job() {
    let Some(rig) = real_rig("every_replica_answers_for_every_job").await else {
        return;
    };
    let first = rig.start();
    let jobs = create_all(&rig).await;
    let second = rig.start();
    until_shared(&[&first, &second], 2).await;
    rig.enter_all("cust-1").await;
    for replica in [&first, &second] {
        for job in &jobs {
            replica.settled(job, (1, 0, 0, 0)).await;
        }
    }
    rig.sim.reject_key(KEY);
    rig.enter_all("cust-2").await;
    for replica in [&first, &second] {
        for job in &jobs {
            let status = replica.until(job, |status| !status.reason.is_empty()).await;
            assert!(status.reason.contains("401"), "{status:?}");
        }
    }
    first.crash().await;
    second.crash().await;
}

impl Rig {
    async fn authorize(&self, workspace: &str) -> String {
        let new = NewAuthorization {
            label: workspace.to_owned(),
            description: String::new(),
            instance: "US-01".to_owned(),
            workspace: Some(workspace.to_owned()),
            budget: control::Budget::default(),
            rest_api_key: KEY.into(),
        };
        self.authorize_with(new).await
    }
}
