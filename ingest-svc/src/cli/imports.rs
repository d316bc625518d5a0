//! `imports`: jobs that read files.

mod create;
pub(super) mod show;
mod watch;

use clap::{Args, Subcommand};
use model::{AccountNumber, name};
use prost_types::FieldMask;
use proto::imports::v1 as wire;
use proto::imports::v1::import_job_service_client::ImportJobServiceClient;
use runtime::exit::Failure;
use runtime::grpc::Channel;
use runtime::stdout;
use tonic::Status;

use self::create::{Create, Times};
pub(super) use self::watch::watch;
use super::{Connection, refused};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a job that reads files from object storage, or has Braze export a segment
    ///
    /// Without a schedule it reads once what is there.
    #[command(subcommand)]
    #[command(after_long_help = examples!(
        "imports create storage --account 1234 --stream braze_users \\\n      --authorization accounts/1234/storageAuthorizations/a1b2c3 \\\n      --label People --prefix people/ --watch",
    ))]
    Create(Box<Create>),
    /// Show a job: what it reads, its state and counters
    ///
    /// The reason says why it does not go on, and what helps.
    #[command(after_long_help = examples!("imports get accounts/1234/importJobs/a1b2c3"))]
    Get(One),
    /// List the import jobs of an account
    ///
    /// With the state and counters of each.
    #[command(after_long_help = examples!("imports list --account 1234"))]
    List {
        /// Number of the account
        #[arg(long, value_name = "NUMBER")]
        account: AccountNumber,
    },
    /// List the files of a job, in the order in which they are read
    ///
    /// With what became of the rows of each, and why one is bad.
    #[command(after_long_help = examples!("imports files accounts/1234/importJobs/a1b2c3"))]
    Files(One),
    /// Follow a job until it has ended
    ///
    /// With progress bars on a terminal, else a line whenever something changes. Exit code 1 if it ends with a bad file, has failed or
    /// was killed; a job with a schedule does not end.
    #[command(after_long_help = examples!("imports watch accounts/1234/importJobs/a1b2c3"))]
    Watch(One),
    /// Change a job; what is not given stays
    ///
    /// What it reads, and how, cannot be changed.
    #[command(after_long_help = examples!("imports update accounts/1234/importJobs/a1b2c3 --every 1h"))]
    Update(Update),
    /// Let a job read nothing until it is resumed
    ///
    /// Each file keeps its row.
    #[command(after_long_help = examples!("imports pause accounts/1234/importJobs/a1b2c3"))]
    Pause(Moved),
    /// Let a paused job go on
    ///
    /// Where it was.
    #[command(after_long_help = examples!("imports resume accounts/1234/importJobs/a1b2c3"))]
    Resume(Moved),
    /// Let a job try again at once
    ///
    /// One that sleeps, is in fault or has failed; its bad files, each from its row. One with a schedule looks for files now.
    #[command(after_long_help = examples!("imports bounce accounts/1234/importJobs/a1b2c3"))]
    Bounce(Moved),
    /// End a job for good
    ///
    /// It is still listed.
    #[command(after_long_help = examples!("imports kill accounts/1234/importJobs/a1b2c3"))]
    Kill(Moved),
    /// Delete a job, and what is known of its files
    ///
    /// A new one would read them again.
    #[command(after_long_help = examples!("imports delete accounts/1234/importJobs/a1b2c3"))]
    Delete(Moved),
    /// List the segments of a Braze workspace
    ///
    /// To choose one to export. The authorization's key needs the permission segments.list.
    #[command(after_long_help = examples!("imports segments \\\n      --authorization accounts/1234/authorizations/a1b2c3"))]
    Segments {
        /// accounts/{number}/authorizations/{id}, as export-svc lists it
        #[arg(long, value_name = "NAME")]
        authorization: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// accounts/{number}/importJobs/{id}
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct Moved {
    #[command(flatten)]
    one: One,
    /// Only if this is still its revision
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    revision: u64,
}

#[derive(Debug, Args)]
pub(super) struct Update {
    #[command(flatten)]
    moved: Moved,
    /// What people call it; unique in the account
    #[arg(long)]
    label: Option<String>,
    /// For people
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    times: Times,
    /// Read once what is there, and look no more
    #[arg(long, conflicts_with_all = ["every", "daily"])]
    once: bool,
    /// Whether rows that cannot be read are passed over
    #[arg(long, value_name = "true|false")]
    drop_errors: Option<bool>,
    /// Whether bad files are passed over
    #[arg(long, value_name = "true|false")]
    skip_bad_files: Option<bool>,
}

impl Update {
    fn into_request(self) -> wire::UpdateImportJobRequest {
        let schedule = self.times.to_wire();
        let given = [
            ("label", self.label.is_some()),
            ("description", self.description.is_some()),
            ("schedule", self.once || schedule.is_some()),
            ("drop_errors", self.drop_errors.is_some()),
            ("skip_bad_files", self.skip_bad_files.is_some()),
        ];
        let paths = given.iter().filter(|(_, given)| *given);
        wire::UpdateImportJobRequest {
            update_mask: Some(FieldMask {
                paths: paths.map(|(path, _)| (*path).to_owned()).collect(),
            }),
            import_job: Some(wire::ImportJob {
                name: self.moved.one.name,
                revision: self.moved.revision,
                label: self.label.unwrap_or_default(),
                description: self.description.unwrap_or_default(),
                schedule,
                drop_errors: self.drop_errors.unwrap_or_default(),
                skip_bad_files: self.skip_bad_files.unwrap_or_default(),
                ..Default::default()
            }),
        }
    }
}

type Client = ImportJobServiceClient<Channel>;

pub(super) async fn run(connection: &Connection, command: Command) -> Result<(), Failure> {
    let mut client = ImportJobServiceClient::new(connection.open().await?);
    let job = match command {
        Command::Create(create) => return create_job(connection, &mut client, *create).await,
        Command::Get(One { name }) => {
            let answer = client.get_import_job(wire::GetImportJobRequest { name }).await;
            answer.map_err(refused)?.into_inner().import_job
        }
        Command::List { account } => return list(&mut client, account).await,
        Command::Files(One { name }) => return files(&mut client, name).await,
        Command::Watch(One { name }) => return watch(connection, name).await,
        Command::Update(update) => {
            let answer = client.update_import_job(update.into_request()).await;
            answer.map_err(refused)?.into_inner().import_job
        }
        Command::Pause(Moved { one, revision }) => {
            let answer = client.pause_import_job(wire::PauseImportJobRequest {
                name: one.name,
                revision,
            });
            answer.await.map_err(refused)?.into_inner().import_job
        }
        Command::Resume(Moved { one, revision }) => {
            let answer = client.resume_import_job(wire::ResumeImportJobRequest {
                name: one.name,
                revision,
            });
            answer.await.map_err(refused)?.into_inner().import_job
        }
        Command::Bounce(Moved { one, revision }) => {
            let answer = client.bounce_import_job(wire::BounceImportJobRequest {
                name: one.name,
                revision,
            });
            answer.await.map_err(refused)?.into_inner().import_job
        }
        Command::Kill(Moved { one, revision }) => {
            let answer = client.kill_import_job(wire::KillImportJobRequest {
                name: one.name,
                revision,
            });
            answer.await.map_err(refused)?.into_inner().import_job
        }
        Command::Delete(Moved { one, revision }) => {
            let request = wire::DeleteImportJobRequest {
                name: one.name.clone(),
                revision,
            };
            client.delete_import_job(request).await.map_err(refused)?;
            stdout::line(format_args!("deleted {}", one.name));
            return Ok(());
        }
        Command::Segments { authorization } => return segments(&mut client, authorization).await,
    };
    stdout::line(show::job(&job.unwrap_or_default()));
    Ok(())
}

async fn create_job(connection: &Connection, client: &mut Client, create: Create) -> Result<(), Failure> {
    let (account, is_watched, import_job) = create.into_job();
    let request = wire::CreateImportJobRequest {
        parent: name::format_account(account),
        import_job: Some(import_job),
    };
    let created = client.create_import_job(request).await.map_err(refused)?.into_inner();
    let job = created.import_job.unwrap_or_default();
    stdout::line(show::job(&job));
    for warning in created.warnings {
        eprintln!("warning: {warning}");
    }
    if is_watched {
        return watch(connection, job.name).await;
    }
    Ok(())
}

async fn list(client: &mut Client, account: AccountNumber) -> Result<(), Failure> {
    let parent = name::format_account(account);
    pages(async |page_token| {
        let request = wire::ListImportJobsRequest {
            parent: parent.clone(),
            page_token,
            ..Default::default()
        };
        let page = client.list_import_jobs(request).await?.into_inner();
        page.import_jobs.iter().for_each(|job| stdout::line(show::job(job)));
        Ok(page.next_page_token)
    })
    .await
}

async fn files(client: &mut Client, job: String) -> Result<(), Failure> {
    pages(async |page_token| {
        let request = wire::ListImportFilesRequest {
            parent: job.clone(),
            page_token,
            ..Default::default()
        };
        let page = client.list_import_files(request).await?.into_inner();
        page.import_files.iter().for_each(|file| stdout::line(show::file(file)));
        Ok(page.next_page_token)
    })
    .await
}

async fn segments(client: &mut Client, authorization: String) -> Result<(), Failure> {
    pages(async |page_token| {
        let request = wire::ListSegmentsRequest {
            authorization: authorization.clone(),
            page_token,
        };
        let page = client.list_segments(request).await?.into_inner();
        page.segments
            .iter()
            .for_each(|segment| stdout::line(show::segment(segment)));
        Ok(page.next_page_token)
    })
    .await
}

/// Asks for pages, by their tokens, until there is none left.
async fn pages(mut ask: impl AsyncFnMut(String) -> Result<String, Status>) -> Result<(), Failure> {
    let mut token = String::new();
    loop {
        token = ask(token).await.map_err(refused)?;
        if token.is_empty() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn update(line: &str) -> wire::UpdateImportJobRequest {
        match Line::parse_from(line.split(' ')).command {
            Command::Update(update) => update.into_request(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_update_names_what_was_given_and_nothing_else() {
        let request = update("imports update accounts/7/importJobs/a --every 90m --drop-errors false --revision 4");
        assert_eq!(request.update_mask.unwrap().paths, ["schedule", "drop_errors"]);
        let job = request.import_job.unwrap();
        assert_eq!((job.name.as_str(), job.revision), ("accounts/7/importJobs/a", 4));
        let every = wire::import_schedule::Schedule::Every(prost_types::Duration {
            seconds: 5_400,
            nanos: 0,
        });
        assert_eq!(job.schedule.unwrap().schedule, Some(every));
        let request = update("imports update a --once --label x");
        assert_eq!(request.update_mask.unwrap().paths, ["label", "schedule"]);
        assert_eq!(request.import_job.unwrap().schedule, None);
    }
}
