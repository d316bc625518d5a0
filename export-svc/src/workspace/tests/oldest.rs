//! How long the oldest change has waited that nobody means to wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use control::{ExportJob, QuietWindow};
use jiff::civil;
use jiff::tz::TimeZone;

use super::redrive::{grant, job};
use super::*;

/// A job of one audience, changed as said.
fn of(slug: &str, change: impl FnOnce(&mut ExportJob)) -> Arc<ExportJob> {
    let mut job = ExportJob {
        id: slug.to_owned(),
        audiences: vec![slug.to_owned()],
        ..job()
    };
    change(&mut job);
    Arc::new(job)
}

#[test]
fn the_gauge_of_the_oldest_change_leaves_out_whoever_is_meant_to_wait() {
    let metrics = runtime::telemetry::install_metrics();
    // It is 00:01:40 of the first day.
    let (start, end) = (civil::time(0, 0, 0, 0), civil::time(1, 0, 0, 0));
    let night = QuietWindow::new(start, end, TimeZone::UTC).unwrap();
    let jobs = |paused: bool| JobSet {
        jobs: vec![
            of("vip", |_| {}),
            of("paused", |job| {
                (job.paused, job.revision) = (paused, 1 + u64::from(!paused))
            }),
            of("quiet", |job| job.options.quiet_window = Some(night.clone())),
        ],
        authorizations: [("auth".to_owned(), grant())].into(),
        ..JobSet::default()
    };
    let mut workspace = workspace(None);
    workspace.apply(&jobs(true), at(100));
    let mut pending = BTreeMap::new();
    for (slug, written) in [("vip", 90), ("paused", 50), ("quiet", 10)] {
        let name = format!("accounts/1234/exportJobs/{slug}");
        let (id, _) = workspace.feeds.of(&name, slug).unwrap();
        workspace.feeds.get_mut(id).unwrap().positions.hand(0, 0);
        pending.insert(id, at(written));
    }
    workspace.feeds.observe_oldest(&pending, &[], at(100), at(100));
    workspace.key = "1234.oldest".to_owned();
    let shown = |workspace: &mut Workspace| {
        workspace.count(at(100));
        let rendered = metrics.render();
        let mut lines = rendered.lines();
        let of_it = |line: &&str| line.starts_with(measure::OLDEST_SECONDS) && line.contains("1234.oldest");
        let value = lines.find(of_it).and_then(|line| line.rsplit(' ').next());
        value.map(str::to_owned)
    };
    assert_eq!(shown(&mut workspace).as_deref(), Some("10"));
    workspace.apply(&jobs(false), at(100));
    assert_eq!(
        shown(&mut workspace).as_deref(),
        Some("50"),
        "it is not paused any more"
    );
}
