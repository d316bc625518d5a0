//! What is measured: export-svc as a process on a core of its own, over a real Kafka, with topics of its own.

use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::authorization::v1::{Authorization, CreateAuthorizationRequest};
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::{CreateExportJobRequest, DeleteExportJobRequest, ExportJob, GetExportJobRequest};
use runtime::grpc::Channel;
use secrecy::SecretString;
use shared_e2e::Replica;
use shared_e2e::bench::{CORE, Floor, Setup};

/// The account that everything belongs to.
pub(crate) const ACCOUNT: u64 = 1234;
/// Opens the simulator.
pub(crate) const BRAZE_KEY: &str = "sim-key";
const ADMIN_TOKEN: &str = "admin-token-of-the-bench";
/// Seals keys of a Braze that is gone with the process.
const SEALING_KEY: &str = "bench:dGhlIGJlbmNoIG9ubHksIG5vdCBhIHNlY3JldCEhISE=";

/// export-svc and its topics.
pub(crate) struct World {
    pub(crate) kafka: kafka::Config,
    replica: Replica,
    channel: Channel,
}

impl World {
    /// Starts it. `settings` are environment variables without their prefix.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) async fn start(
        setup: &Setup,
        name: &str,
        braze: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let run = format!("bench-{name}-{:08x}", rand::random::<u32>());
        let kafka = kafka::Config {
            brokers: setup.brokers.clone(),
            topic_prefix: format!("{run}."),
            partitions_max: Some(8),
            ..kafka::Config::default()
        };
        let own = [
            ("KAFKA__BROKERS", kafka.brokers.as_str()),
            ("KAFKA__TOPIC_PREFIX", &kafka.topic_prefix),
            ("KAFKA__PARTITIONS_MAX", "8"),
            ("AUTH__ADMIN_TOKEN", ADMIN_TOKEN),
            ("SECRETS__KEYS", SEALING_KEY),
            ("BOOTSTRAP__ACCOUNTS", "1234=Bench"),
            ("BRAZE__ENDPOINT", braze),
            ("GRPC__LISTEN", "127.0.0.1:0"),
            ("ADMIN__LISTEN", "127.0.0.1:0"),
        ];
        let environment = own.iter().chain(settings);
        let environment = environment.map(|(key, value)| (format!("EXPORT_SVC__{key}"), (*value).to_owned()));
        let log = setup.logs.join(format!("{run}.log"));
        let mut replica = Replica::new("export-svc", environment.collect(), log)?.on_core(CORE);
        replica.start().await?;
        let channel = connect(&replica).await?;
        Ok(Self {
            kafka,
            replica,
            channel,
        })
    }

    /// The process.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.replica.id().context("export-svc has ended")
    }

    /// The membership topic.
    pub(crate) fn topic(&self) -> String {
        kafka::Topics::new(&self.kafka).audience_membership(ACCOUNT)
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it has ended before.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.replica.signal(Signal::SIGKILL)?;
        self.replica.wait().await?;
        Ok(())
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// When it does not end well.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        self.replica.signal(Signal::SIGTERM)?;
        let status = self.replica.wait().await?;
        anyhow::ensure!(status.success(), "export-svc drained badly: {status}");
        Ok(())
    }

    /// Starts it again where it was.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) async fn start_again(&mut self) -> anyhow::Result<()> {
        self.replica.start().await?;
        self.channel = connect(&self.replica).await?;
        Ok(())
    }

    /// Stores the simulator's key; gives the authorization's name.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn authorize(&self) -> anyhow::Result<String> {
        self.authorize_with(BRAZE_KEY).await
    }

    /// Stores another key of the same Braze workspace.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn authorize_with(&self, key: &str) -> anyhow::Result<String> {
        let request = CreateAuthorizationRequest {
            parent: format!("accounts/{ACCOUNT}"),
            authorization: Some(Authorization {
                provider: "braze".to_owned(),
                method: "braze".to_owned(),
                label: format!("Bench {:08x}", rand::random::<u32>()),
                instance: "US-01".to_owned(),
                workspace: "bench".to_owned(),
                ..Authorization::default()
            }),
            rest_api_key: key.to_owned(),
        };
        let mut client = AuthorizationServiceClient::new(self.channel.clone());
        let answer = client.create_authorization(request).await?.into_inner();
        Ok(answer.authorization.context("an authorization in the answer")?.name)
    }

    /// Creates a job that exports this audience from the beginning; gives its name.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn create_job(
        &self,
        authorization: &str,
        audience: &str,
        flush_after: Duration,
    ) -> anyhow::Result<String> {
        let request = CreateExportJobRequest {
            parent: format!("accounts/{ACCOUNT}"),
            export_job: Some(ExportJob {
                r#type: "export_audiences".to_owned(),
                label: format!("{audience} {:08x}", rand::random::<u32>()),
                audiences: vec![audience.to_owned()],
                authorization: authorization.to_owned(),
                external_id_field: "user_id".to_owned(),
                existing_users: true,
                guard_percent: Some(0),
                flush_after: Some(flush_after.try_into()?),
                ..ExportJob::default()
            }),
        };
        let mut client = ExportJobServiceClient::new(self.channel.clone());
        let answer = client.create_export_job(request).await?.into_inner();
        Ok(answer.export_job.context("a job in the answer")?.name)
    }

    /// Deletes a job.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn delete_job(&self, name: &str) -> anyhow::Result<()> {
        let request = DeleteExportJobRequest {
            name: name.to_owned(),
            revision: 0,
        };
        ExportJobServiceClient::new(self.channel.clone())
            .delete_export_job(request)
            .await?;
        Ok(())
    }

    /// How many changes of these jobs are settled.
    ///
    /// # Errors
    /// When it cannot be asked, or a job is missing.
    pub(crate) async fn settled(&self, jobs: &[String]) -> anyhow::Result<Vec<u64>> {
        let mut client = ExportJobServiceClient::new(self.channel.clone());
        let mut settled = Vec::new();
        for name in jobs {
            let request = GetExportJobRequest { name: name.clone() };
            let job = client.get_export_job(request).await?.into_inner().export_job;
            let counters = job.and_then(|job| job.counters).unwrap_or_default();
            settled.push(counters.added + counters.removed + counters.omitted + counters.rejected);
        }
        Ok(settled)
    }
}

async fn connect(replica: &Replica) -> anyhow::Result<Channel> {
    let address = replica.address("gRPC").context("export-svc has ended")?;
    let token = SecretString::from(ADMIN_TOKEN);
    Ok(runtime::grpc::connect(&format!("http://{address}"), Some(&token)).await?)
}

/// The floor: reads the topic from its beginning on, and posts to Braze if it is told where that is.
///
/// # Errors
/// When the program is missing.
pub(crate) fn floor(setup: &Setup, topic: &str, braze: Option<&str>) -> anyhow::Result<Floor> {
    floor_with(setup, topic, braze, &[])
}

/// The same, with more arguments.
///
/// # Errors
/// As [`floor`].
pub(crate) fn floor_with(setup: &Setup, topic: &str, braze: Option<&str>, arguments: &[&str]) -> anyhow::Result<Floor> {
    let mut all = vec!["--brokers", &setup.brokers, "--topic", topic];
    all.extend(braze.iter().flat_map(|braze| ["--endpoint", braze]));
    all.extend(arguments);
    Floor::start("floor", &all)
}
