//! `braze-sim serve`.

use std::net::SocketAddr;
use std::process::ExitCode;

use braze_sim::{Key, Options, Settings, Sim};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::EXIT_CONFIG;

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen; the admin API asks for no key, so keep it on a private address
    #[arg(long, default_value = "127.0.0.1:8099")]
    listen: SocketAddr,
    /// A REST API key to accept, with its workspace if it is not `default`; may be given several times
    #[arg(
        long = "key",
        value_name = "KEY[=WORKSPACE]",
        env = "BRAZE_SIM_KEYS",
        hide_env_values = true,
        value_delimiter = ',',
        default_value = "sim-key"
    )]
    keys: Vec<String>,
    /// A setting, such as `apply_delay=2s` or `objects.max=5`; `braze-sim settings` prints all of them
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// Seed of every random choice (fault rates, reordering)
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Serve {
    /// Serves until SIGTERM or SIGINT.
    pub(crate) async fn run(self) -> ExitCode {
        let settings = match Settings::default().assigned(&self.settings) {
            Ok(settings) => settings,
            Err(error) => {
                eprintln!("braze-sim: --set: {error}");
                return ExitCode::from(EXIT_CONFIG);
            }
        };
        let keys = self.keys.iter().map(|text| key(text)).collect();
        let options = Options {
            listen: self.listen,
            keys,
            settings,
            seed: self.seed,
            tls: None,
        };
        match serve(options).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("braze-sim: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let keys = options.keys.len();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let sim = Sim::start(options).await?;
    println!(
        "braze-sim listens on {} and knows {keys} key(s); admin API under /_sim/",
        sim.base_url()
    );
    either(&mut terminate, &mut interrupt).await;
    sim.shutdown().await;
    Ok(())
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

/// `KEY` or `KEY=WORKSPACE`.
pub(super) fn key(text: &str) -> Key {
    match text.split_once('=') {
        Some((key, workspace)) => Key::new(key).in_workspace(workspace),
        None => Key::new(text),
    }
}
