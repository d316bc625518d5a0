//! The command line.

mod client;
mod fault;
mod segments;
mod serve;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde_json::Value;

use client::{Client, Failure};

/// Exit code for settings that cannot be used.
const EXIT_CONFIG: u8 = 64;

/// Plays Braze's REST API on this machine: POST /users/track, POST /users/export/ids, GET /segments/list and
/// POST /users/export/segment, by the published rules.
///
/// Start it, point a client at it with one of its keys, and look at what came of the calls:
///
///   braze-sim serve &
///   curl -i http://localhost:8099/users/track \
///        -H 'authorization: Bearer sim-key' -H 'content-type: application/json' \
///        -d '{"attributes":[{"external_id":"cust-1","lytics_segments":{"add":["vip"]}}]}'
///   braze-sim users get cust-1
///   braze-sim fault status 503 --next 3
///   braze-sim journal --tail 5
///
/// Users live in memory and are gone when the simulator ends.
#[derive(Debug, Parser)]
#[command(
    name = "braze-sim",
    version,
    verbatim_doc_comment,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the simulator until SIGTERM or Ctrl-C (this is also what happens without a subcommand)
    Serve(serve::Serve),
    /// Look at users
    Users(Users),
    Fault(fault::FaultCommand),
    /// Print the calls that came, one JSON object per line, oldest first
    Journal(Journal),
    /// Print the data points that were used: what the customer would pay
    Meter(Meter),
    /// Print the settings, or change some of them: `braze-sim settings apply_delay=2s objects.max=5`
    Settings(SettingsCommand),
    /// Add a REST API key, or list the keys (without their text)
    Keys(Keys),
    /// Add a segment of users that can be exported, or list the segments
    Segments(segments::Segments),
    /// Print the newest exports of segments with their files, one JSON object per line, oldest first
    Exports(segments::Exports),
    /// Wait until no accepted call is still to be applied
    Idle(Idle),
}

/// Which simulator, and which workspace of it.
#[derive(Debug, Args)]
struct Target {
    /// Where the simulator listens
    #[arg(
        long,
        global = true,
        env = "BRAZE_SIM_ENDPOINT",
        default_value = "http://localhost:8099"
    )]
    endpoint: String,
    /// The workspace whose users are meant
    #[arg(long, global = true, default_value = braze_sim::DEFAULT_WORKSPACE)]
    workspace: String,
}

#[derive(Debug, Args)]
struct Users {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: UsersCommand,
}

#[derive(Debug, Subcommand)]
enum UsersCommand {
    /// Print a user as JSON; exit 1 if there is none
    Get {
        /// The user's external id
        #[arg(required_unless_present_any = ["braze_id", "alias"])]
        external_id: Option<String>,
        /// Name the user by Braze's id instead
        #[arg(long, conflicts_with = "external_id")]
        braze_id: Option<String>,
        /// Name the user by an alias instead
        #[arg(long, value_names = ["LABEL", "NAME"], num_args = 2, conflicts_with_all = ["external_id", "braze_id"])]
        alias: Option<Vec<String>>,
        /// How long to wait for a user that is not there yet
        #[arg(long, default_value = "10s", value_parser = duration)]
        wait: Duration,
    },
    /// Print all users, one JSON object per line, in order of creation
    List,
}

#[derive(Debug, Args)]
struct Journal {
    #[command(flatten)]
    target: Target,
    /// Only the last so many calls
    #[arg(long)]
    tail: Option<usize>,
}

#[derive(Debug, Args)]
struct Meter {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
struct SettingsCommand {
    #[command(flatten)]
    target: Target,
    /// NAME=VALUE, a value in JSON or as plain text; inner names with a dot
    assignments: Vec<String>,
}

#[derive(Debug, Args)]
struct Keys {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Add a key with every permission; a key that was rejected is good again
    Add {
        /// The key, with its workspace if it is not `default`
        #[arg(value_name = "KEY[=WORKSPACE]")]
        key: String,
    },
    /// List the keys by a short hash and their last four characters
    List,
}

#[derive(Debug, Args)]
struct Idle {
    #[command(flatten)]
    target: Target,
    /// How long to wait
    #[arg(long, default_value = "10s", value_parser = duration)]
    wait: Duration,
}

impl Cli {
    /// Runs the command and says how it went.
    pub(crate) async fn run(self) -> ExitCode {
        let done = match self.command {
            None => return self.serve.run().await,
            Some(Command::Serve(serve)) => return serve.run().await,
            Some(Command::Users(users)) => users.run().await,
            Some(Command::Fault(fault)) => fault.run().await,
            Some(Command::Journal(journal)) => journal.run().await,
            Some(Command::Meter(meter)) => meter.run().await,
            Some(Command::Settings(settings)) => settings.run().await,
            Some(Command::Keys(keys)) => keys.run().await,
            Some(Command::Segments(segments)) => segments.run().await,
            Some(Command::Exports(exports)) => exports.run().await,
            Some(Command::Idle(idle)) => idle.run().await,
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("braze-sim: {failure}");
                ExitCode::FAILURE
            }
        }
    }
}

impl Users {
    async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.target.endpoint)?;
        let workspace = self.target.workspace;
        match self.command {
            UsersCommand::Get {
                external_id,
                braze_id,
                alias,
                wait,
            } => {
                let mut query = vec![("workspace", workspace), ("wait", spelled(wait))];
                query.extend(external_id.map(|id| ("external_id", id)));
                query.extend(braze_id.map(|id| ("braze_id", id)));
                query.extend(
                    ["alias_label", "alias_name"]
                        .into_iter()
                        .zip(alias.into_iter().flatten()),
                );
                print_pretty(&client.get("users/lookup", &query, wait).await?);
            }
            UsersCommand::List => print_lines(&client.get("users", &[("workspace", workspace)], Duration::ZERO).await?),
        }
        Ok(())
    }
}

impl Journal {
    async fn run(self) -> Result<(), Failure> {
        let query: Vec<_> = self.tail.map(|tail| ("tail", tail.to_string())).into_iter().collect();
        let journal = Client::new(&self.target.endpoint)?
            .get("journal", &query, Duration::ZERO)
            .await?;
        print_lines(journal.get("calls").unwrap_or(&Value::Null));
        Ok(())
    }
}

impl Meter {
    async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.target.endpoint)?;
        print_pretty(
            &client
                .get("meter", &[("workspace", self.target.workspace)], Duration::ZERO)
                .await?,
        );
        Ok(())
    }
}

impl SettingsCommand {
    async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.target.endpoint)?;
        for assignment in &self.assignments {
            let patch = braze_sim::Settings::patch(assignment).map_err(Failure::new)?;
            client.send(http::Method::PATCH, "settings", &patch).await?;
        }
        print_pretty(&client.get("settings", &[], Duration::ZERO).await?);
        Ok(())
    }
}

impl Keys {
    async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.target.endpoint)?;
        if let KeysCommand::Add { key } = self.command {
            let key = serde_json::to_value(serve::key(&key)).map_err(Failure::new)?;
            client.send(http::Method::POST, "keys", &key).await?;
        }
        print_pretty(&client.get("keys", &[], Duration::ZERO).await?);
        Ok(())
    }
}

impl Idle {
    async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.target.endpoint)?;
        client
            .get("idle", &[("wait", spelled(self.wait))], self.wait)
            .await
            .map(drop)
    }
}

/// `10s`, `250ms`, `1m 30s`.
fn duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from(signed).map_err(|_| "a duration cannot be negative".to_owned())
}

/// As [`duration`] reads it.
fn spelled(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

fn print_pretty(value: &Value) {
    println!("{value:#}");
}

/// Each element on a line of its own.
fn print_lines(list: &Value) {
    for value in list.as_array().into_iter().flatten() {
        println!("{value}");
    }
}
