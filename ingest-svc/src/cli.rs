//! The command line: `serve`, and the client of the gRPC API that anybody else uses, too.

/// What stands under the long help of a command: lines that can be run as they are.
macro_rules! examples {
    ($($line:literal),+ $(,)?) => { concat!("Examples:", $("\n  ingest-svc ", $line),+) };
}

mod authorizations;
mod events;
mod import;
mod imports;
mod mappings;
mod tokens;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use runtime::exit::Failure;
use runtime::grpc::Channel;
use runtime::stdout;
use tonic::Status;

use crate::app::App;
use crate::config::{Config, ENV_PREFIX};

/// How long the last spans may take to be sent. All else has ended by then, and most of the pod's grace period may be used up: a
/// collector that is away must not hold up the exit.
const TELEMETRY_BUDGET: Duration = Duration::from_secs(2);

/// Takes what Braze sends and publishes it as profile events on Kafka: the service, and the commands that set it up.
///
/// Every command but `serve`, `completions` and `import` calls a running service over gRPC at --endpoint, with an API token from --token-file or from
/// the environment variable LYTICS_TOKEN. Secrets are never given as arguments, because other users of the machine can read those.
#[derive(Debug, Parser)]
#[command(name = "ingest-svc", version, max_term_width = 100, after_long_help = FIRST_HOUR)]
pub struct Cli {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

const FIRST_HOUR: &str = "\
The first profile event, with the installation's admin token in LYTICS_TOKEN:

  ingest-svc tokens create --account 1234 --role data_write
  ingest-svc mappings get braze_users --account 1234 --version 0 --output lql
  ingest-svc events tail --account 1234

The answer to the first one has the URL for Braze's webhook in it.

Exit codes: 0 done, 1 the call failed, 2 wrong usage, 64 bad configuration,
69 something needed is missing, 70 internal error.";

/// How to reach a running service.
#[derive(Debug, Args)]
struct Connection {
    /// gRPC address of the service to call
    #[arg(
        long,
        global = true,
        env = "INGEST_SVC_ENDPOINT",
        value_name = "URL",
        default_value = "http://localhost:8081"
    )]
    endpoint: String,
    /// File with the API token for calls ('-' is stdin); without it the environment variable LYTICS_TOKEN is used
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    ///
    /// Any number of replicas may run behind one address. Every setting can come from a TOML file or from the environment,
    /// which wins: INGEST_SVC__HTTP__LISTEN sets `listen` in section `[http]`. A bad configuration is told completely, at
    /// once, with exit code 64.
    #[command(after_long_help = examples!(
        "serve --config ingest-svc.toml",
        "serve --config ingest-svc.toml --check-config",
    ))]
    Serve(Serve),
    /// Create, look at, change and revoke API tokens
    ///
    /// A token is what Braze's webhooks, other services and people prove themselves with. It has roles, and perhaps an
    /// expiry, limits and allowed sources.
    #[command(after_long_help = examples!("tokens list --account 1234"))]
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// Put, look at, validate and try out mappings
    ///
    /// A mapping says in LQL what a stream's records tell of profiles. Without one of the account's own, the one that ships
    /// with the service is used.
    #[command(after_long_help = examples!("mappings list --account 1234"))]
    #[command(subcommand)]
    Mappings(mappings::Command),
    /// Look at profile events
    ///
    /// Where to see whether what Braze sends arrives, and what becomes of it.
    #[command(after_long_help = examples!("events tail --account 1234"))]
    #[command(subcommand)]
    Events(events::Command),
    /// Send a file's rows to a stream
    ///
    /// For what is in a file already, Braze's own among them: a CSV, a JSON object a line, or Avro; plain, gzip, or in a zip. It is read a row at a time, however
    /// large it is, and sent in requests that Kafka has each when they are answered. Interrupted or refused, it says the row to go on
    /// with. It calls the service over HTTP at --url, not at --endpoint. `import csv`, `ndjson` and `avro` upload the file instead, and an
    /// import job reads it; a file that is called so is `./csv`.
    #[command(after_long_help = examples!(
        "import people.csv --account 1234 --stream braze_users --dry-run",
        "import a.csv.gz --account 1234 --stream braze_users --from-row 5001",
        "import users.zip --account 1234 --stream braze_users --kind braze",
        "import a.txt --account 1234 --stream crm --format csv --delimiter t",
        "import csv people.csv --account 1234 --stream braze_users",
    ))]
    Import(Box<import::Call>),
    /// Create, look at and follow jobs that import files
    ///
    /// From object storage, by name or as they come, and of segments that Braze exports.
    #[command(after_long_help = examples!("imports list --account 1234"))]
    #[command(subcommand)]
    Imports(imports::Command),
    /// Create, look at and change credentials for object storage
    ///
    /// Where import jobs find files. Those for Braze are set up with export-svc.
    #[command(after_long_help = examples!("authorizations list --account 1234"))]
    #[command(subcommand)]
    Authorizations(authorizations::Command),
    /// Print what a shell needs to complete these commands
    ///
    /// For bash, into the present shell: source <(ingest-svc completions bash)
    #[command(after_long_help = examples!(
        "completions bash",
        "completions zsh > _ingest-svc",
    ))]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    #[command(hide = true)]
    Accounts(Elsewhere),
    #[command(hide = true)]
    Jobs(Elsewhere),
    #[command(hide = true)]
    Memberships(Elsewhere),
    #[command(hide = true)]
    Topics(Elsewhere),
}

#[derive(Debug, Args)]
struct Serve {
    /// Configuration file (TOML); environment variables INGEST_SVC__SECTION__KEY win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say whether the configuration is good, and end
    #[arg(long)]
    check_config: bool,
}

/// Whatever follows a command of the other binary.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
struct Elsewhere {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Runs a command line to its end.
///
/// # Errors
/// Exit code 64 for a bad configuration, 69 when Kafka lacks something, 70 when a component failed, 1 for a call that failed.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Serve(arguments) => serve(arguments).await,
        Command::Tokens(command) => tokens::run(&cli.connection, command).await,
        Command::Mappings(command) => mappings::run(&cli.connection, command).await,
        Command::Events(command) => events::run(&cli.connection, command).await,
        Command::Import(import) => import::run(&cli.connection, *import).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ingest-svc", &mut script);
            stdout::text(String::from_utf8_lossy(&script));
            Ok(())
        }
        Command::Accounts(rest) => elsewhere("accounts", &rest),
        Command::Authorizations(command) => authorizations::run(&cli.connection, command).await,
        Command::Imports(command) => imports::run(&cli.connection, command).await,
        Command::Jobs(rest) => elsewhere("jobs", &rest),
        Command::Memberships(rest) => elsewhere("memberships", &rest),
        Command::Topics(rest) => elsewhere("topics", &rest),
    }
}

async fn serve(arguments: Serve) -> Result<(), Failure> {
    let config: Config =
        runtime::config::load(ENV_PREFIX, arguments.config.as_deref(), runtime::config::process_env())?;
    if arguments.check_config {
        stdout::line("the configuration is good");
        return Ok(());
    }
    let telemetry = runtime::telemetry::init("ingest-svc", &config.telemetry).map_err(Failure::precondition)?;
    tracing::info!(?config, "effective configuration");
    let app = App::build(config).await.map_err(Failure::precondition)?;
    app.lifecycle().listen_for_signals().map_err(Failure::internal)?;
    let result = app.run().await;
    telemetry.shutdown(TELEMETRY_BUDGET).await;
    result
}

/// Says which binary has the command, as clap says what is wrong with a command line: exit code 2.
fn elsewhere(command: &str, arguments: &Elsewhere) -> Result<(), Failure> {
    let verb = arguments.rest.iter().find(|word| !word.starts_with('-'));
    let verb = verb.map_or("…", |verb| verb.as_str());
    let message = format!("that is `export-svc {command} {verb}`");
    Cli::command().error(ErrorKind::InvalidSubcommand, message).exit()
}

impl Connection {
    async fn open(&self) -> Result<Channel, Failure> {
        let variable = std::env::var("LYTICS_TOKEN").ok();
        let token = runtime::secrets::token(self.token_file.as_deref(), variable).map_err(Failure::precondition)?;
        let channel = runtime::grpc::connect(&self.endpoint, token.as_ref()).await;
        channel
            .context("is the service running? --endpoint names it")
            .map_err(Failure::call)
    }
}

fn refused(status: Status) -> Failure {
    Failure::call(anyhow::Error::msg(runtime::grpc::status::explain(&status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_when_to_use_it_and_how_and_what_each_argument_is() {
        assert_eq!(runtime::testing::help::lacks(&Cli::command()), [""; 0]);
    }

    #[test]
    fn every_example_of_the_help_is_one_of_its_command_and_can_be_run() {
        assert_eq!(runtime::testing::help::bad_examples(&Cli::command()), [""; 0]);
    }

    #[test]
    fn the_commands_of_the_first_hour_parse() {
        for line in [
            "ingest-svc completions zsh",
            "ingest-svc tokens create --account 1234 --role data_manager",
            "ingest-svc tokens create --account 1234 --role data_manager --role observer --label x --expires 30d --output token",
            "ingest-svc tokens create --account 1234 --role data_write --requests-max 4 --allow braze:US-03 --allow 10.0.0.0/8",
            "ingest-svc tokens update accounts/1234/apiTokens/a --requests-per-second 50 --allow-anywhere",
            "ingest-svc events tail --account 1234",
            "ingest-svc import a.csv --account 1234 --stream s --columns id,mail --compression none --delimiter |",
            "ingest-svc events tail --account 1234 --newest 5 --no-follow --endpoint http://localhost:1",
            "ingest-svc serve --check-config",
            "ingest-svc mappings put web.lql --account 1234 --if-revision 0",
            "ingest-svc mappings get braze_users --account 1234 --version 0 --output lql",
            "ingest-svc mappings test --account 1234 --mapping web --version 3 --record r.json --output json",
            "ingest-svc mappings test --account 1234 --lql web.lql",
            "ingest-svc mappings shadow get accounts/1234/shadows/web",
            "ingest-svc jobs create --account 1234 --label x",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_token_is_never_an_argument() {
        for line in [
            "ingest-svc --token secret tokens list --account 1",
            "ingest-svc tokens list --account 1 --token x",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
