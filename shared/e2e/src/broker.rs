//! The real Kafka: the one that `KAFKA_BROKERS` names, or one that is started, and may be restarted, by `deploy/kafka/kafka.sh`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::process::Command;

/// A Kafka.
pub struct Broker {
    /// Where it is: `host:port[,host:port…]`.
    pub brokers: String,
    /// Started by us: ours to restart and to stop.
    script: Option<PathBuf>,
}

impl Broker {
    /// The Kafka named by `brokers`, else the one of the script.
    ///
    /// # Errors
    /// When the script cannot start one.
    pub async fn find(brokers: Option<String>, script: &Path) -> anyhow::Result<Self> {
        if let Some(brokers) = brokers {
            return Ok(Self { brokers, script: None });
        }
        let ours = run(script, "status").await.is_err();
        let said = run(script, "start")
            .await
            .context("no KAFKA_BROKERS, and no Kafka could be started")?;
        let brokers = said.trim().strip_prefix("KAFKA_BROKERS=");
        Ok(Self {
            brokers: brokers.context("the script does not say where Kafka is")?.to_owned(),
            script: ours.then(|| script.to_owned()),
        })
    }

    /// Whether it is ours to restart.
    pub fn is_ours(&self) -> bool {
        self.script.is_some()
    }

    /// Its process, if we started it.
    pub async fn id(&self) -> Option<u32> {
        let script = self.script.as_ref()?;
        run(script, "pid").await.ok()?.trim().parse().ok()
    }

    /// Ends it and starts it again with its data.
    ///
    /// # Errors
    /// When it does not start again.
    pub async fn restart(&self) -> anyhow::Result<()> {
        if let Some(script) = &self.script {
            run(script, "restart").await?;
        }
        Ok(())
    }

    /// Ends it, if we started it.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&self) -> anyhow::Result<()> {
        if let Some(script) = &self.script {
            run(script, "stop").await?;
        }
        Ok(())
    }
}

async fn run(script: &Path, command: &str) -> anyhow::Result<String> {
    let shown = script.display();
    let output = Command::new(script).arg(command).output().await;
    let output = output.with_context(|| format!("{shown} cannot be run"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{shown} {command}: {}", errors.trim());
    Ok(String::from_utf8(output.stdout)?)
}
