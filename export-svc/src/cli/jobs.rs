//! `jobs`.

mod bounce;
mod kill;
mod list;
mod log;
mod omitted;
mod options;
mod plan;
mod redrive;
mod reset;
mod resume;
mod show;
mod tail;
mod update;
mod watch;
mod writes;

use std::str::FromStr;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use proto::authorization::v1::Authorization;
use proto::export::v1 as wire;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use runtime::exit::Failure;
use runtime::grpc::Channel;
use serde_json::json;
use tonic::Status;

use self::bounce::Bounce;
use self::kill::Kill;
use self::list::List;
use self::log::Log;
use self::omitted::Omitted;
use self::options::Options;
use self::redrive::Redrive;
use self::reset::Reset;
use self::resume::Resume;
use self::update::Update;
use self::writes::Writes;
use super::resource::{Moved, One, Resource, resolve};
use super::{Account, Remote, refused};

#[derive(Debug, Subcommand)]
pub(super) enum Jobs {
    /// Start exporting audiences to Braze.
    ///
    /// See what is there with `audiences list` and `audiences fields`, and what the job would do with --dry-run.
    ///
    /// At least one of --external-id-field, --braze-id-field, --alias-label with --alias-field, --email-field, or
    /// --phone-field is needed. Of several, the first that has a value in a change is used, in this order; a change without
    /// any is omitted.
    #[command(after_long_help = examples!(
        "jobs create --account 1234 --auth Sim --label 'VIP to Braze' \\\n      --audience vip --external-id-field user_id --existing-users --dry-run",
        "jobs create --account 1234 --auth Sim --label 'VIP by e-mail' \\\n      --audience vip --email-field email --quiet '22:00-06:00 Europe/Berlin'",
    ))]
    Create(Box<Create>),
    /// Show a job: its settings, state and counters.
    ///
    /// If it does not run, stateReason says why, and what to do.
    #[command(after_long_help = examples!(
        "jobs get --account 1234 'VIP to Braze'",
        "jobs get --account 1234 'VIP to Braze' --output json",
    ))]
    Get(One),
    /// Show a job as it goes on.
    ///
    /// A progress bar on a terminal, else a line whenever it changes. Ends with the job, or when interrupted.
    #[command(after_long_help = examples!("jobs watch --account 1234 'VIP to Braze'"))]
    Watch(One),
    /// List the jobs of an account, or those in a state or of an authorization.
    ///
    /// With the state of each, its lag in records, and the age of its oldest unconfirmed change.
    #[command(after_long_help = examples!(
        "jobs list --account 1234",
        "jobs list --account 1234 --state failed --state sleeping --auth Sim",
    ))]
    List(List),
    /// Change a job's label, description, audiences, quiet window, expiry and user cap.
    ///
    /// An audience that is added begins as those of a new job do: with its existing members if the job sends existing users, else
    /// with what changes from now on. One that is removed is not exported any more; users at Braze keep its slug, unless you say
    /// --remove-slugs.
    #[command(after_long_help = examples!(
        "jobs update --account 1234 'VIP to Braze' --add-audience news \\\n      --guard 30",
        "jobs update --account 1234 'VIP to Braze' \\\n      --remove-audience vip --remove-slugs",
    ))]
    Update(Update),
    /// Let a job read and send nothing until it is resumed.
    ///
    /// While something is mended at Braze or in Lytics. It keeps its position, so no change is lost.
    #[command(after_long_help = examples!("jobs pause --account 1234 'VIP to Braze'"))]
    Pause(Moved),
    /// Let a paused job go on where it was.
    ///
    /// One that its guard has paused goes on only with --confirm: see in `jobs get` what it was about to remove.
    #[command(after_long_help = examples!(
        "jobs resume --account 1234 'VIP to Braze'",
        "jobs resume --account 1234 'VIP to Braze' --confirm",
    ))]
    Resume(Resume),
    /// Let a job that sleeps, is in fault, or has failed try again at once.
    ///
    /// When the reason is gone: a job that sleeps would try again by itself, one that has failed never does. With --state
    /// every such job of an account. What a quiet window or a user cap holds waits all the same.
    #[command(after_long_help = examples!(
        "jobs bounce --account 1234 'VIP to Braze'",
        "jobs bounce --account 1234 --state failed",
    ))]
    Bounce(Bounce),
    /// End a job for good and forget its position.
    ///
    /// It is still listed, and the slugs that it wrote stay in Braze, unless you say --remove-slugs; its audiences may be exported
    /// by another job. To stop it for a while, pause it.
    #[command(after_long_help = examples!(
        "jobs kill --account 1234 'VIP to Braze'",
        "jobs kill --account 1234 'VIP to Braze' --remove-slugs",
    ))]
    Kill(Kill),
    /// Let a job go on elsewhere in the membership topic: at offsets, at a time, or at the beginning.
    ///
    /// What lies behind that place is sent, also if it was sent before; what lies before it is not. Each user ends with the
    /// last word behind it. A job that is in fault because it could not go on where it was can go on then.
    #[command(after_long_help = examples!(
        "jobs reset --account 1234 'VIP to Braze' \\\n      --to-time 2026-11-23T18:00:00Z",
        "jobs reset --account 1234 'VIP to Braze' --audience vip \\\n      --to-beginning",
    ))]
    Reset(Reset),
    /// Show the changes of a job that were not sent, and why.
    ///
    /// Where to look for who is missing at Braze: the newest 1,000, or all, and those that come. What was mended is sent
    /// again by `jobs redrive`.
    #[command(after_long_help = examples!(
        "jobs omitted --account 1234 'VIP to Braze'",
        "jobs omitted --account 1234 'VIP to Braze' --reason no_identifier \\\n      --all --output json",
    ))]
    Omitted(Omitted),
    /// Send again what a job has omitted, or Braze has refused, as far as that is still the last word on its user.
    ///
    /// What has been overtaken by a later change is not sent, and what still names nobody neither: `jobs log` tells how
    /// many there were of each. The job's position stays where it is.
    #[command(after_long_help = examples!("jobs redrive --account 1234 'VIP to Braze' --reason blocked"))]
    Redrive(Redrive),
    /// Show what has happened to a job, and what comes.
    ///
    /// Who did what with it, when it started, caught up, slept or failed, and why.
    #[command(after_long_help = examples!(
        "jobs log --account 1234 'VIP to Braze'",
        "jobs log --account 1234 'VIP to Braze' --newest 20 --follow",
    ))]
    Log(Log),
    /// End a job and forget it.
    ///
    /// Its position and its counters are gone then. The slugs that it wrote stay in Braze, also those that it was still removing.
    /// `jobs kill` keeps it listed.
    #[command(after_long_help = examples!("jobs delete --account 1234 'VIP to Braze'"))]
    Delete(Moved),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    account: Account,
    /// The authorization to use: its label, or its name.
    #[arg(long)]
    auth: String,
    /// What people call the job; unique in the account.
    #[arg(long)]
    label: String,
    /// For people.
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// Slug of an audience to export; may be given several times.
    #[arg(long = "audience", value_name = "SLUG", required = true)]
    audiences: Vec<String>,
    /// Profile field that holds Braze's external id.
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    external_id_field: String,
    /// Profile field that holds Braze's own id.
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    braze_id_field: String,
    /// Label of a user alias.
    #[arg(long, value_name = "LABEL", default_value = "", hide_default_value = true)]
    alias_label: String,
    /// Profile field that holds the name of the user alias.
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    alias_field: String,
    /// Profile field that holds the e-mail address. Several users may share one: Braze takes the one updated last, those with an
    /// external id first.
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    email_field: String,
    /// Profile field that holds the phone number, with + and country code; signs between its digits do not matter.
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    phone_field: String,
    /// Send those who are members already, too.
    #[arg(long)]
    existing_users: bool,
    /// How long a change may wait for its batch to fill, such as 2s or 500ms; at most, and without it, 5m.
    #[arg(long, value_name = "DURATION")]
    flush_after: Option<FlushAfter>,
    /// Updates in one request; at most, and without it, 75. The smallest number among the jobs of a Braze workspace holds for
    /// all of them.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    batch_max: u32,
    /// What becomes of a change that waits when a later one of the same user and audience comes; without it, latest. A job that
    /// sends events sends each.
    #[arg(long, value_enum)]
    coalesce: Option<Coalesce>,
    /// Which changes are sent; without it, both, and of a job that sends purchases enters.
    #[arg(long, value_enum)]
    events: Option<Events>,
    /// The guard: before more than this many percent of an audience's members would be removed within an hour, the job pauses
    /// itself. Without it, 20; 0 is no guard. Audiences of less than 100 members have none, nor have jobs that send events.
    #[arg(long, value_name = "PERCENT")]
    guard: Option<u32>,
    /// Create nothing: read the membership topic, and tell what the job would do with the changes that are there.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    writes: Writes,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Coalesce {
    /// The later one takes its place: Braze is told how it ended.
    Latest,
    /// Each is sent, in order, one after the other: Braze sees every enter and every exit.
    EveryEdge,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Events {
    /// Enters and exits.
    Both,
    /// Enters alone: nobody loses the slug by leaving.
    Enters,
    /// Exits alone: nobody gets the slug by entering.
    Exits,
}

impl From<Events> for wire::AudienceEvents {
    fn from(events: Events) -> Self {
        match events {
            Events::Both => Self::Both,
            Events::Enters => Self::Enters,
            Events::Exits => Self::Exits,
        }
    }
}

impl From<Coalesce> for wire::Coalesce {
    fn from(coalesce: Coalesce) -> Self {
        match coalesce {
            Coalesce::Latest => Self::Latest,
            Coalesce::EveryEdge => Self::EveryEdge,
        }
    }
}

/// A duration as configuration files write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FlushAfter(Duration);

impl FromStr for FlushAfter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let deserializer = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
        humantime_serde::deserialize(deserializer)
            .map(Self)
            .map_err(|_| "write it as 2s, 500ms or 5m".to_owned())
    }
}

impl Resource for wire::ExportJob {
    const KIND: &'static str = "job";

    fn name(&self) -> &str {
        &self.name
    }

    fn label(&self) -> &str {
        &self.label
    }

    async fn page(channel: &Channel, parent: &str, page_token: String) -> Result<(Vec<Self>, String), Status> {
        let request = wire::ListExportJobsRequest {
            parent: parent.to_owned(),
            page_token,
            ..wire::ListExportJobsRequest::default()
        };
        let mut client = ExportJobServiceClient::new(channel.clone());
        let page = client.list_export_jobs(request).await?.into_inner();
        Ok((page.export_jobs, page.next_page_token))
    }
}

fn warn(warnings: &[String]) {
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
}

impl Jobs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run().await?,
            Self::Get(one) => {
                let (channel, name) = one.find::<wire::ExportJob>().await?;
                let mut client = ExportJobServiceClient::new(channel);
                let answer = client.get_export_job(wire::GetExportJobRequest { name }).await;
                one.show(answer.map_err(refused)?.into_inner().export_job);
            }
            Self::Watch(one) => watch::run(one).await?,
            Self::List(list) => list.run().await?,
            Self::Update(update) => update.run().await?,
            Self::Pause(Moved { one, revision }) => {
                let (channel, name) = one.find::<wire::ExportJob>().await?;
                let mut client = ExportJobServiceClient::new(channel);
                let request = wire::PauseExportJobRequest { name, revision };
                let answer = client.pause_export_job(request).await;
                one.show(answer.map_err(refused)?.into_inner().export_job);
            }
            Self::Resume(resume) => resume.run().await?,
            Self::Kill(kill) => kill.run().await?,
            Self::Bounce(bounce) => bounce.run().await?,
            Self::Reset(reset) => reset.run().await?,
            Self::Omitted(omitted) => omitted.run().await?,
            Self::Log(log) => log.run().await?,
            Self::Redrive(redrive) => redrive.run().await?,
            Self::Delete(Moved { one, revision }) => {
                let (channel, name) = one.find::<wire::ExportJob>().await?;
                let mut client = ExportJobServiceClient::new(channel);
                let request = wire::DeleteExportJobRequest {
                    name: name.clone(),
                    revision,
                };
                client.delete_export_job(request).await.map_err(refused)?;
                one.remote
                    .output
                    .done(&format!("deleted {name}"), vec![("deleted", json!(name))]);
            }
        }
        Ok(())
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let channel = self.remote.connect().await?;
        let authorization = resolve::<Authorization>(&channel, Some(self.account.account), &self.auth).await?;
        let flush_after = self
            .flush_after
            .map(|FlushAfter(wanted)| prost_types::Duration::try_from(wanted));
        let flush_after = flush_after
            .transpose()
            .map_err(|_| Failure::call(anyhow!("--flush-after is too long")))?;
        let mut export_job = wire::ExportJob {
            label: self.label,
            description: self.description,
            audiences: self.audiences,
            authorization,
            external_id_field: self.external_id_field,
            braze_id_field: self.braze_id_field,
            user_alias_label: self.alias_label,
            user_alias_field: self.alias_field,
            email_field: self.email_field,
            phone_field: self.phone_field,
            existing_users: self.existing_users,
            flush_after,
            batch_updates_max: self.batch_max,
            coalesce: self.coalesce.map_or(0, |wanted| wire::Coalesce::from(wanted).into()),
            audience_events: self
                .events
                .map_or(0, |wanted| wire::AudienceEvents::from(wanted).into()),
            guard_percent: self.guard,
            ..wire::ExportJob::default()
        };
        self.writes.write(&mut export_job);
        self.options.write(&mut export_job);
        if self.dry_run {
            return plan::show(channel, self.account.name(), export_job, self.remote.output).await;
        }
        let request = wire::CreateExportJobRequest {
            parent: self.account.name(),
            export_job: Some(export_job),
        };
        let mut client = ExportJobServiceClient::new(channel);
        let created = client.create_export_job(request).await.map_err(refused)?.into_inner();
        warn(&created.warnings);
        self.remote.output.one(&created.export_job.unwrap_or_default());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_in_configuration_files() {
        assert_eq!("2s".parse(), Ok(FlushAfter(Duration::from_secs(2))));
        assert_eq!("500ms".parse(), Ok(FlushAfter(Duration::from_millis(500))));
        assert!("2".parse::<FlushAfter>().is_err());
    }
}
