//! Proves that of two edits of one revision exactly one wins, whichever replica takes them: two replicas on a real Kafka that
//! compacts the control topic meanwhile, and a restart half-way, of what compaction has left. A race takes about a third of a second
//! on two idle cores, whose most part are the two writers' new connections; `LYTICS_RACES=1000` runs so many.

use kafka::Topics;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::{ExportJob, GetExportJobRequest, ListExportJobsRequest, UpdateExportJobRequest};
use runtime::grpc::Channel;
use secrecy::SecretString;
use tonic::{Code, Status};

use crate::harness::broker::Broker;
use crate::harness::sim::Sim;
use crate::harness::system::{ADMIN_TOKEN, Export};
use crate::harness::{topic, until};

const KEY: &str = "sim-key";
/// Races, unless `LYTICS_RACES` says how many.
const RACES: usize = 150;

struct Replica {
    export: Export,
    client: ExportJobServiceClient<Channel>,
}

impl Replica {
    async fn start(broker: &Broker, sim: &Sim) -> Self {
        let export = Export::start(broker, sim, &[]).await;
        let token = SecretString::from(ADMIN_TOKEN);
        let channel = runtime::grpc::connect(&format!("http://{}", export.grpc), Some(&token)).await;
        let client = ExportJobServiceClient::new(channel.unwrap());
        Self { export, client }
    }

    /// The only job.
    async fn job(&self) -> ExportJob {
        let parent = "accounts/1234".to_owned();
        let request = ListExportJobsRequest {
            parent,
            ..ListExportJobsRequest::default()
        };
        let listed = self.client.clone().list_export_jobs(request).await.unwrap();
        listed.into_inner().export_jobs.remove(0)
    }

    /// The job as this replica knows it, once it knows of the revision.
    async fn at(&self, job: &ExportJob) -> ExportJob {
        let mut found = None;
        until("the replica to hear of the edit", async || {
            let request = GetExportJobRequest { name: job.name.clone() };
            found = match self.client.clone().get_export_job(request).await {
                Ok(answer) => answer.into_inner().export_job,
                // It has not heard of the job itself either.
                Err(status) if status.code() == Code::NotFound => None,
                Err(status) => panic!("{status}"),
            };
            found.as_ref().is_some_and(|found| found.revision >= job.revision)
        })
        .await;
        found.unwrap()
    }

    async fn describe(&self, base: &ExportJob, description: String) -> Result<ExportJob, Status> {
        let export_job = Some(ExportJob {
            name: base.name.clone(),
            revision: base.revision,
            description,
            ..ExportJob::default()
        });
        let request = UpdateExportJobRequest {
            export_job,
            ..UpdateExportJobRequest::default()
        };
        let answer = self.client.clone().update_export_job(request).await?;
        Ok(answer.into_inner().export_job.unwrap())
    }
}

/// Two edits of `base` at once: the one that won.
async fn race(number: usize, replicas: &[Replica; 2], base: &ExportJob) -> ExportJob {
    let [first, second] = replicas;
    let edits = tokio::join!(
        first.describe(base, format!("{number} by the first")),
        second.describe(base, format!("{number} by the second")),
    );
    let (winner, loser) = match edits {
        (Ok(winner), Err(loser)) | (Err(loser), Ok(winner)) => (winner, loser),
        (Ok(one), Ok(other)) => panic!("two winners of one revision: {one:?} and {other:?}"),
        (Err(one), Err(other)) => panic!("no winner: {one:?} and {other:?}"),
    };
    assert_eq!(loser.code(), Code::Aborted, "{loser:?}");
    winner
}

#[tokio::test]
async fn of_two_edits_of_one_revision_at_two_replicas_one_wins_through_compaction_and_restart() {
    let name = "races::of_two_edits_of_one_revision_at_two_replicas_one_wins_through_compaction_and_restart";
    let Some(broker) = Broker::real_with(name, 1) else {
        return;
    };
    let sim = Sim::start(KEY).await;
    let mut replicas = [Replica::start(&broker, &sim).await, Replica::start(&broker, &sim).await];
    replicas[0].export.job(KEY, &[]).await;
    let control = Topics::new(&broker.kafka).control();
    kafka::testing::compact_soon(&broker.kafka, &control).await.unwrap();

    let races = std::env::var("LYTICS_RACES").map_or(RACES, |races| races.parse().unwrap());
    let mut job = replicas[0].job().await;
    for number in 0..races {
        if number == races / 2 {
            until("the first edits to be compacted away", async || {
                topic::records(&broker.kafka, control.clone()).await.len() < number
            })
            .await;
            replicas[0].export.process.terminate().await;
            replicas[0] = Replica::start(&broker, &sim).await;
        }
        for replica in &replicas {
            assert_eq!(replica.at(&job).await.description, job.description, "race {number}");
        }
        job = race(number, &replicas, &job).await;
    }

    // An edit a look, so that what was written before can be compacted.
    until("the edits to be compacted away", async || {
        job = replicas[1]
            .describe(&job, format!("after {}", job.revision))
            .await
            .unwrap();
        topic::records(&broker.kafka, control.clone()).await.len() < races
    })
    .await;
    for replica in &mut replicas {
        replica.export.process.terminate().await;
        *replica = Replica::start(&broker, &sim).await;
        let found = replica.at(&job).await;
        assert_eq!(
            (found.revision, found.description),
            (job.revision, job.description.clone())
        );
    }
}
