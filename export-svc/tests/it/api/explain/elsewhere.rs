//! Every replica answers, also for what another one serves; and not for more than a few at a time.

use std::net::TcpListener;

use kafka::{Reader, ReaderOptions};
use model::AccountNumber;
use proto::export::v1::WorkspaceProgress;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_does_not_serve_the_workspace_tells_what_progress_tells() {
    // On the in-process broker whoever comes owns every slot.
    let name = "api::explain::elsewhere::a_replica_that_does_not_serve_the_workspace_tells_what_progress_tells";
    if kafka::testing::real_only(name).is_none() {
        return;
    }
    let world = World::new().await;
    let job = world
        .job(|job| {
            job.flush_after = Some(prost_types::Duration { seconds: 300, nanos: 0 });
        })
        .await;
    world.enter().await;
    world.until(&job, ChangeStage::Window).await;
    let other = Service::start(quick(&world.brokers, &world.sim)).await;
    // Which of them serves it may change when the second one comes, and for a moment neither does.
    let read = runtime::testing::wait_for("one serves it and the other reads of it", async || {
        let told = [
            world.explain(&job, "vip", "42").await,
            explain(&other, &job, "vip", "42").await,
        ];
        let [one, two] = told.map(|told| told.standing.unwrap());
        let (serves, reads) = match (one.from_progress, two.from_progress) {
            (false, true) => (one, two),
            (true, false) => (two, one),
            _ => return None,
        };
        let agree = match serves.stage() {
            ChangeStage::Window => reads.stage() == ChangeStage::Open,
            ChangeStage::Settled => matches!(reads.stage(), ChangeStage::Open | ChangeStage::Settled),
            _ => false,
        };
        agree.then_some(reads)
    })
    .await;
    assert_eq!(read.state(), ExportJobState::Runnable);
    other.stop().await;
    world.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_cannot_be_served_says_why() {
    let world = World::new().await;
    let job = world.job(|_| {}).await;
    world.enter().await;
    world.until(&job, ChangeStage::Settled).await;
    let World {
        brokers,
        sim,
        service,
        publisher,
        ..
    } = world;
    let (account, id) = (AccountNumber::new(1234).unwrap(), job.rsplit('/').next().unwrap());
    let workspace = service.directory.export_jobs().get(account, id).unwrap().workspace;
    let progress = Topics::new(&brokers.config()).export_progress();
    service.stop().await;
    let exit = change(MembershipAction::Exit, "vip", "42", &[("user_id", "cust-1")]);
    write(&brokers, &publisher, "vip/42", Some(exit)).await;
    // As if its positions were those of another topic; wherever it looks for them.
    let elsewhere = WorkspaceProgress {
        topic: "another".to_owned(),
        ..WorkspaceProgress::default()
    };
    for partition in 0..partitions(&brokers, &progress).await {
        let record = RecordOut::new(&progress).partition(partition).key(workspace.clone());
        let record = record.payload(elsewhere.encode_to_vec());
        publisher.publish(record).await.unwrap();
    }
    let service = Service::start(quick(&brokers, &sim)).await;
    let told = runtime::testing::wait_for("it is in fault", async || {
        let told = explain(&service, &job, "vip", "42").await;
        let standing = told.standing.clone().unwrap_or_default();
        (standing.state() == ExportJobState::Fault).then_some(told)
    })
    .await;
    says(
        &told,
        &[
            "waits, for the job is in fault",
            "positions are those of topic another",
            "resync needed",
        ],
    );
    service.stop().await;
}

async fn partitions(brokers: &Brokers, topic: &str) -> i32 {
    let (kafka, topic) = (brokers.config(), topic.to_owned());
    let ask = move || {
        let reader = Reader::open(&kafka, ReaderOptions::default()).unwrap();
        i32::try_from(reader.partitions(&topic).unwrap().len()).unwrap()
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_braze_is_waited_for_in_vain_and_only_so_many_ask_at_a_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let silent = |config: &mut export_svc::config::Config| {
        config.braze.endpoint = Some(format!("http://{address}"));
        config.engine.request_timeout = Duration::from_secs(3);
    };
    let world = World::with(silent).await;
    let job = world.job(|_| {}).await;
    // Nothing is to be in flight to such a Braze in the end.
    world.pause(&job).await;
    world.enter().await;
    let request = ExplainMemberRequest {
        name: job,
        profile_id: "42".to_owned(),
        audiences: Vec::new(),
    };
    let channel = world.service.admin().await;
    let calls = (0..16).map(|_| {
        let mut client = ExplainServiceClient::new(channel.clone());
        let request = request.clone();
        async move { client.explain_member(request).await }
    });
    let (answered, refused): (Vec<_>, Vec<_>) = futures::future::join_all(calls)
        .await
        .into_iter()
        .partition(Result::is_ok);
    assert!(!answered.is_empty() && !refused.is_empty());
    for refused in refused {
        assert_eq!(code(refused), Code::ResourceExhausted);
    }
    for answered in answered {
        let told = answered.unwrap().into_inner().explanations.remove(0);
        assert!(told.braze_user.unwrap().problem.contains("Braze cannot be reached"));
    }
    world.service.stop().await;
}
