//! `topics`.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use model::AccountNumber;
use runtime::config::{Fault, Sources, Validate, process_env};
use runtime::exit::Failure;
use runtime::stdout;
use serde::Deserialize;

use crate::config::{Config, ENV_PREFIX};

#[derive(Debug, Subcommand)]
pub(super) enum Topics {
    /// Create the topics that are missing.
    ///
    /// Before the first start, and after an update that brings new ones. Those that are there are left as they are;
    /// `doctor` tells whether they are as they must be.
    #[command(after_long_help = examples!(
        "topics ensure",
        "topics ensure --config export-svc.toml --account 1234",
    ))]
    Ensure(Ensure),
}

#[derive(Debug, Args)]
pub(super) struct Ensure {
    /// TOML file with settings, as for `serve`; only section `[kafka]` counts. The environment wins.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Also the membership topic of this account; may be given several times.
    #[arg(long = "account", value_name = "NUMBER")]
    accounts: Vec<AccountNumber>,
}

/// The service's configuration, of which only Kafka's section is checked.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
struct KafkaOnly(Config);

impl Validate for KafkaOnly {
    fn faults(&self, out: &mut Vec<Fault>) {
        self.0.kafka_faults(out);
    }
}

impl Topics {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Self::Ensure(Ensure { config, accounts }) = self;
        let sources = Sources::new(ENV_PREFIX).env(process_env());
        let KafkaOnly(config) = match &config {
            Some(file) => sources.file(file).load()?,
            None => sources.load()?,
        };
        let accounts: Vec<u64> = accounts.into_iter().map(AccountNumber::get).collect();
        let created = kafka::topics::ensure(&config.kafka, &accounts)
            .await
            .map_err(|error| anyhow!(error));
        let created =
            created.with_context(|| format!("cannot create topics at {} (kafka.brokers)", config.kafka.brokers));
        let created = created.map_err(Failure::precondition)?;
        created
            .iter()
            .for_each(|topic| stdout::line(format_args!("created {topic}")));
        if created.is_empty() {
            stdout::line("every topic exists already");
        }
        Ok(())
    }
}
