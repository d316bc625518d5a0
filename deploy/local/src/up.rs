//! `make up`: the stack on its usual ports, until somebody ends it.

use std::fmt::Display;

use runtime::exit::Failure;
use runtime::lifecycle::Lifecycle;

use crate::stack::{ACCOUNT, ADMIN_TOKEN, BRAZE_KEY, FLUSH, Ports, Stack};

/// Runs the stack until SIGINT or SIGTERM.
pub(crate) async fn run(free_ports: bool) -> Result<(), Failure> {
    let telemetry = runtime::telemetry::Config {
        log_filter: "warn".to_owned(),
        ..Default::default()
    };
    let guard = runtime::telemetry::init("local", &telemetry).map_err(Failure::internal)?;
    let lifecycle = Lifecycle::new();
    lifecycle.listen_for_signals().map_err(Failure::internal)?;
    let ports = if free_ports { Ports::free() } else { Ports::usual() };
    let stack = Stack::start(ports).await.map_err(Failure::precondition)?;
    println!(
        "{}",
        manual(&stack.ports, &stack.doctor_env(), &stack.imports().display())
    );
    let asked = lifecycle.token();
    tokio::select! {
        () = asked.cancelled() => println!("draining; once more ends it at once"),
        () = stack.until_one_fails() => {}
    }
    let stopped = stack.stop().await;
    guard.shutdown(FLUSH).await;
    stopped
}

/// What somebody needs who sees the stack for the first time.
fn manual(ports: &Ports, doctor_env: &str, imports: &dyn Display) -> String {
    let Ports {
        ingest_http,
        ingest_grpc,
        ingest_admin,
        export_grpc,
        export_admin,
        sim,
    } = ports;
    format!(
        r#"The stack is up: a Kafka broker, a Braze simulator, ingest-svc and export-svc, all in this process. Ctrl-C ends it; nothing is kept.

  {ingest_http}  webhooks                        {export_grpc}  export-svc, gRPC
  {ingest_grpc}  ingest-svc, gRPC                {export_admin}  export-svc, probes and metrics
  {ingest_admin}  ingest-svc, probes and metrics  {sim}  Braze simulator

  admin token {ADMIN_TOKEN}, Braze REST API key {BRAZE_KEY}, account {ACCOUNT}

  To let the doctor look at it: {doctor_env} export-svc doctor

In a second terminal, in this folder:

  export PATH=$PWD/target/debug:$PATH
  export LYTICS_TOKEN={ADMIN_TOKEN}
  export INGEST_SVC_ENDPOINT=http://{ingest_grpc}
  export EXPORT_SVC_ENDPOINT=http://{export_grpc}
  export BRAZE_SIM_ENDPOINT=http://{sim}
  export LYTICS_IMPORTS={imports}

  # Braze -> Kafka
  TOKEN=$(ingest-svc tokens create --account {ACCOUNT} --role data_manager --output token)
  curl -d @examples/webhook.json "http://{ingest_http}/c/{ACCOUNT}/braze_users?key=$TOKEN"
  ingest-svc events tail --account {ACCOUNT}        # goes on until Ctrl-C

  # Kafka -> Braze
  echo {BRAZE_KEY} > key.txt
  export-svc authorizations create --account {ACCOUNT} --provider braze --label Sim --instance US-01 --key-file key.txt
  export-svc jobs create --account {ACCOUNT} --auth Sim --label "VIP to Braze" --audience vip --external-id-field user_id --existing-users --flush-after 2s
  export-svc memberships publish --account {ACCOUNT} --audience vip --profile 42 --enter --field user_id=cust-1
  braze-sim users get cust-1
"#
    )
}
