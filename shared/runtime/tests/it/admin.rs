use runtime::admin::Admin;
use runtime::config::Listen;
use runtime::lifecycle::Lifecycle;
use runtime::telemetry::install_metrics;
use tokio_util::task::TaskTracker;

use crate::{DEADLINE, wait_for};

struct Probe {
    base: String,
    http: reqwest::Client,
}

impl Probe {
    async fn start(lifecycle: &Lifecycle) -> Self {
        Self::bound(lifecycle, 10).await
    }

    async fn bound(lifecycle: &Lifecycle, connections_max: usize) -> Self {
        let config = Listen::<0> {
            listen: "127.0.0.1:0".to_owned(),
            connections_max,
        };
        let admin = Admin::bind(&config).await.unwrap();
        let base = format!("http://{}", admin.local_addr().unwrap());
        lifecycle.spawn_last(
            "admin",
            admin.serve(lifecycle.drained(), lifecycle.readiness(), install_metrics()),
        );
        let http = reqwest::Client::builder().timeout(DEADLINE).build().unwrap();
        Self { base, http }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

#[tokio::test]
async fn probes_tell_starting_ready_a_part_that_is_not_and_draining_until_the_components_have_ended() {
    let lifecycle = Lifecycle::new();
    let probe = Probe::start(&lifecycle).await;
    assert_eq!(probe.get("/livez").await.0, 200);
    assert_eq!(probe.get("/readyz").await, (503, "starting\n".to_owned()));

    lifecycle.readiness().started();
    assert_eq!(probe.get("/readyz").await, (200, "ready\n".to_owned()));
    lifecycle.readiness().not_ready("kafka", "no broker answers");
    assert_eq!(
        probe.get("/readyz").await,
        (503, "kafka: no broker answers\n".to_owned())
    );
    lifecycle.readiness().ready("kafka");

    let (finish, finished) = tokio::sync::oneshot::channel::<()>();
    lifecycle.spawn("component", finished);
    lifecycle.drain("test");
    let run = TaskTracker::new().spawn(lifecycle.run(DEADLINE));
    assert_eq!(
        probe.get("/readyz").await,
        (503, "draining: test\n".to_owned()),
        "while the component still works"
    );
    assert_eq!(
        probe.get("/livez").await.0,
        200,
        "a draining process must not be killed"
    );
    finish.send(()).unwrap();
    run.await.unwrap().unwrap();
    probe
        .http
        .get(format!("{}/livez", probe.base))
        .send()
        .await
        .expect_err("the port is closed once all is drained");
}

#[tokio::test]
async fn a_metric_is_shown_as_prometheus_text_with_buckets() {
    let lifecycle = Lifecycle::new();
    let probe = Probe::start(&lifecycle).await;
    metrics::describe_counter!("runtime_it_records_total", "records of this test");
    metrics::counter!("runtime_it_records_total", "kind" => "demo").increment(3);
    metrics::histogram!("runtime_it_wait_seconds").record(0.3);
    let (status, text) = probe.get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "# HELP runtime_it_records_total records of this test",
        "runtime_it_records_total{kind=\"demo\"} 3",
        "runtime_it_wait_seconds_bucket{le=\"0.25\"} 0",
        "runtime_it_wait_seconds_bucket{le=\"0.5\"} 1",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
    }
    lifecycle.drain("test");
    lifecycle.run(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_connection_beyond_the_bound_is_counted_and_served_once_another_closes() {
    let metrics = install_metrics();
    let lifecycle = Lifecycle::new();
    let probe = Probe::bound(&lifecycle, 1).await;
    let address = probe.base.strip_prefix("http://").unwrap().to_owned();
    let silent = tokio::net::TcpStream::connect(&address).await.unwrap();
    let full = "server_connections_full_total{port=\"admin\"} 1\n";
    wait_for("the port is full", || async {
        metrics.render().contains(full).then_some(())
    })
    .await;
    drop(silent);
    assert_eq!(probe.get("/livez").await.0, 200);
    lifecycle.drain("test");
    lifecycle.run(DEADLINE).await.unwrap();
}
