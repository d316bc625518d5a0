//! `serve`.

use std::path::PathBuf;

use clap::Args;
use runtime::config::{Faults, Sources, process_env};
use runtime::exit::Failure;
use runtime::lifecycle::Lifecycle;
use runtime::stdout;

use crate::app::App;
use crate::config::{Config, ENV_PREFIX};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only read and check the configuration.
    #[arg(long)]
    check_config: bool,
}

/// The configuration of file and environment.
pub(super) fn load(file: Option<&PathBuf>) -> Result<Config, Faults> {
    let sources = Sources::new(ENV_PREFIX).env(process_env());
    match file {
        Some(file) => sources.file(file).load(),
        None => sources.load(),
    }
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = load(self.config.as_ref())?;
        if self.check_config {
            stdout::line("the configuration is good");
            return Ok(());
        }
        // Before anything else: whoever sees the service ready may end it at once, and it must drain.
        let lifecycle = Lifecycle::new();
        lifecycle.listen_for_signals().map_err(Failure::internal)?;
        match App::build_in(config, lifecycle).await? {
            Some(app) => app.run().await,
            None => Ok(()),
        }
    }
}
