//! `braze-sim serve`.

use std::net::SocketAddr;
use std::process::ExitCode;

use braze_sim::{Bucket, Key, Options, Settings, Sim, Storage};
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
    /// Where exports of segments are written: a folder, or `s3://BUCKET`; without it they are fetched from the simulator
    #[arg(long, value_name = "FOLDER|s3://BUCKET", env = "BRAZE_SIM_STORAGE")]
    storage: Option<String>,
    #[command(flatten)]
    bucket: BucketArgs,
    /// Seed of every random choice (fault rates, reordering)
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How a bucket is reached.
#[derive(Debug, Args)]
struct BucketArgs {
    /// With `s3://`: where the bucket is if it is not Amazon's, such as http://localhost:9000
    #[arg(long, env = "AWS_ENDPOINT_URL")]
    s3_endpoint: Option<String>,
    /// With `s3://`: the bucket's region
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    s3_region: String,
    /// With `s3://`: the id of a key that may write to the bucket; the key itself is AWS_SECRET_ACCESS_KEY of the environment
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide_env_values = true)]
    s3_access_key_id: Option<String>,
}

impl BucketArgs {
    fn storage(self, place: &str) -> Result<Storage, &'static str> {
        let Some(name) = place.strip_prefix("s3://") else {
            return Ok(Storage::Folder(place.into()));
        };
        let (Some(access_key_id), Ok(secret_access_key)) =
            (self.s3_access_key_id, std::env::var("AWS_SECRET_ACCESS_KEY"))
        else {
            return Err("a bucket needs --s3-access-key-id, and AWS_SECRET_ACCESS_KEY in the environment");
        };
        Ok(Storage::S3(Bucket {
            name: name.trim_end_matches('/').to_owned(),
            endpoint: self.s3_endpoint,
            region: self.s3_region,
            access_key_id,
            secret_access_key,
        }))
    }
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
        let storage = match self.storage.map(|place| self.bucket.storage(&place)).transpose() {
            Ok(storage) => storage,
            Err(error) => {
                eprintln!("braze-sim: --storage: {error}");
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
            storage,
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
