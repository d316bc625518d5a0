//! The command line: the service itself, and its own admin client over the same gRPC API that everybody else uses.

/// What stands under the long help of a command: lines that can be run as they are.
macro_rules! examples {
    ($($line:literal),+ $(,)?) => { concat!("Examples:", $("\n  export-svc ", $line),+) };
}

mod accounts;
mod audiences;
mod authorizations;
mod doctor;
mod explain;
mod jobs;
mod memberships;
mod output;
mod resource;
mod serve;
mod topics;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, CommandFactory, Parser, Subcommand};
use model::{AccountNumber, name};
use runtime::exit::Failure;
use runtime::grpc::Channel;
use runtime::stdout;
use tonic::{Code, Status};

use self::output::Output;

/// Exports audiences to Braze: the service, and the commands that set it up.
///
/// Every command but `serve`, `topics`, `doctor` and `completions` calls a running service over gRPC at --endpoint, with an API
/// token from --token-file or from the environment variable LYTICS_TOKEN. Secrets are never given as arguments, because other
/// users of the machine can read those.
#[derive(Debug, Parser)]
#[command(name = "export-svc", version, max_term_width = 100, after_long_help = FIRST_HOUR)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const FIRST_HOUR: &str = r#"The first export, with an admin token in LYTICS_TOKEN and a Braze REST API key in key.txt:

  export-svc authorizations create --account 1234 --provider braze --label Sim \
      --instance US-01 --key-file key.txt
  export-svc jobs create --account 1234 --auth Sim --label "VIP to Braze" \
      --audience vip --external-id-field user_id
  export-svc memberships publish --account 1234 --audience vip --profile 42 \
      --enter --field user_id=cust-1
  export-svc jobs list --account 1234

Exit codes: 0 done, 1 the call failed, 2 wrong usage, 64 bad configuration,
69 something needed is missing, 70 internal error."#;

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    ///
    /// Any number of replicas may run; they share the Braze workspaces among themselves.
    ///
    /// Every setting can come from a TOML file or from the environment, which wins: EXPORT_SVC__GRPC__LISTEN sets `listen`
    /// in section `[grpc]`. A bad configuration is told completely, at once, with exit code 64.
    #[command(after_long_help = examples!(
        "serve --config export-svc.toml",
        "serve --config export-svc.toml --check-config",
    ))]
    Serve(serve::Serve),
    /// The accounts that everything belongs to.
    ///
    /// An account is a customer of Lytics; creating and deleting one needs the admin token of the installation. A
    /// configuration may create accounts, too (bootstrap.accounts).
    #[command(after_long_help = examples!("accounts list"))]
    #[command(subcommand)]
    Accounts(accounts::Accounts),
    /// Credentials for Braze.
    ///
    /// An authorization is a Braze REST API key under a label, sealed. Jobs name it, so that a new key reaches all of them
    /// at once. Whether Braze takes it, and for what, is its health.
    #[command(after_long_help = examples!("authorizations list --account 1234"))]
    #[command(subcommand)]
    Authorizations(authorizations::Authorizations),
    /// What there is to choose from for a job: audiences, and the fields of their members.
    ///
    /// Look here before `jobs create`: slugs for --audience, fields for --external-id-field and the others.
    #[command(after_long_help = examples!(
        "audiences list --account 1234",
        "audiences fields --account 1234",
    ))]
    #[command(subcommand)]
    Audiences(audiences::Audiences),
    /// Export jobs: which audiences go to which Braze workspace, under which identifiers.
    ///
    /// A job keeps the slugs of its audiences up to date in an attribute of Braze's users, until it is killed. `jobs list`
    /// is where to look first when something seems wrong.
    #[command(after_long_help = examples!("jobs list --account 1234"))]
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// Find out why a user has the slug of an audience, or has not, and what to do.
    ///
    /// Follows a profile through a job: its last record in the membership topic, the identifier that was chosen, what the
    /// change waits for or what became of it, and what Braze holds now, if the key has the permission users.export.ids.
    /// Several audiences are a table, one is told in full.
    #[command(after_long_help = examples!(
        "explain --account 1234 --job 'VIP to Braze' --profile 42",
        "explain --account 1234 --job 'VIP to Braze' --profile 42 \\\n      --audience vip --output json",
    ))]
    Explain(explain::Explain),
    /// Membership changes, for those who do not speak Kafka.
    ///
    /// Changes usually come from Lytics by the membership topic. Publish here to try a job out, or from a service without a
    /// client of Kafka.
    #[command(after_long_help = examples!("memberships publish --account 1234 --audience vip --profile 42 \\\n      --enter --field user_id=cust-1"))]
    #[command(subcommand)]
    Memberships(memberships::Memberships),
    /// The topics of the installation.
    ///
    /// These commands talk to Kafka themselves, so no service needs to run, and no token is needed.
    #[command(after_long_help = examples!("topics ensure --account 1234"))]
    #[command(subcommand)]
    Topics(topics::Topics),
    /// Find out what is wrong: with the configuration, Kafka and its topics, the keys, Braze, the clock.
    ///
    /// To be run where the service runs, with its configuration. It talks to Kafka and Braze itself, changes nothing, and
    /// sends nothing that touches a user.
    ///
    /// Exit codes: 0 if nothing is wrong, warnings aside; 1 if something is; 64 if the configuration is bad.
    #[command(after_long_help = examples!(
        "doctor --config export-svc.toml",
        "doctor --config export-svc.toml --output json",
    ))]
    Doctor(doctor::Doctor),
    /// Print what a shell needs to complete these commands.
    ///
    /// For bash, into the present shell: source <(export-svc completions bash)
    #[command(after_long_help = examples!(
        "completions bash",
        "completions zsh > _export-svc",
    ))]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    #[command(hide = true)]
    Tokens(Elsewhere),
    #[command(hide = true)]
    Events(Elsewhere),
}

/// A command of the other binary.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
struct Elsewhere {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// How a command reaches the service and shows what it answers.
#[derive(Debug, Args)]
struct Remote {
    /// Where the service's gRPC port is.
    #[arg(
        long,
        env = "EXPORT_SVC_ENDPOINT",
        default_value = "http://localhost:8091",
        value_name = "URL"
    )]
    endpoint: String,
    /// File that holds the API token, or - for stdin; without it, the environment variable LYTICS_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How the answer is shown.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Remote {
    async fn connect(&self) -> Result<Channel, Failure> {
        let from_env = std::env::var("LYTICS_TOKEN").ok();
        let token = runtime::secrets::token(self.token_file.as_deref(), from_env).map_err(Failure::call)?;
        let channel = runtime::grpc::connect(&self.endpoint, token.as_ref()).await;
        channel.map_err(|error| {
            Failure::call(
                anyhow!(error).context("is the service up, and is --endpoint (or EXPORT_SVC_ENDPOINT) right?"),
            )
        })
    }
}

/// The account that a command is about.
#[derive(Debug, Args)]
struct Account {
    /// Number of the account.
    #[arg(long, value_name = "NUMBER")]
    account: AccountNumber,
}

impl Account {
    fn name(&self) -> String {
        name::format_account(self.account)
    }
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Tokens(Elsewhere { rest }) => elsewhere("tokens", &rest),
        Command::Events(Elsewhere { rest }) => elsewhere("events", &rest),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "export-svc", &mut script);
            stdout::text(String::from_utf8_lossy(&script));
            ExitCode::SUCCESS
        }
        command => runtime::exit::run(run(command)),
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(command) => command.run().await,
        Command::Accounts(command) => command.run().await,
        Command::Authorizations(command) => command.run().await,
        Command::Audiences(command) => command.run().await,
        Command::Jobs(command) => command.run().await,
        Command::Explain(command) => command.run().await,
        Command::Memberships(command) => command.run().await,
        Command::Topics(command) => command.run().await,
        Command::Doctor(command) => command.run().await,
        Command::Completions { .. } | Command::Tokens(_) | Command::Events(_) => Ok(()),
    }
}

fn elsewhere(command: &str, rest: &[String]) -> ExitCode {
    eprintln!("that is `ingest-svc {command} {}`", rest.join(" "));
    ExitCode::from(2)
}

/// A refused call, for people: the code, what is wrong, and what to do where that is not said already.
fn refused(status: Status) -> Failure {
    let explained = runtime::grpc::status::explain(&status);
    let fix = match status.code() {
        Code::Unauthenticated => {
            "\nPut an API token into the environment variable LYTICS_TOKEN, or into a file for --token-file."
        }
        Code::PermissionDenied => "\nUse a token of this account with that role; `ingest-svc tokens create` makes one.",
        Code::Unavailable => "\nThe service answers but cannot do this now: Kafka may be down. Try again in a while.",
        _ => "",
    };
    Failure::call(anyhow!("{explained}{fix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
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
}
