//! `GET /segments/list`, and what the simulator knows of a segment (reference §5.8).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::call::Answer;
use crate::endpoint::{Asked, Endpoint};
use crate::options::default_workspace;
use crate::shared::Shared;
use crate::users::User;

/// Segments on a page of the list.
const PAGE_LEN: usize = 100;

pub(crate) const LIST: Endpoint = Endpoint {
    path: "/segments/list",
    permission: "segments.list",
    limits: |settings| &settings.shared_limits,
    limiter: |workspace| &mut workspace.pool,
    carry_out: |shared, asked| list(shared, &asked),
};

/// A segment. Each workspace has one of all its users, before all that are added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The workspace that it is in.
    #[serde(default = "default_workspace")]
    pub workspace: String,
    /// What it is exported by.
    pub id: String,
    /// Its name in the dashboard.
    pub name: String,
    /// Whether its size is tracked.
    #[serde(default)]
    pub analytics_tracking_enabled: bool,
    /// Words to sort segments by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Who is in it, by external id; absent = every user of the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_ids: Option<BTreeSet<String>>,
}

impl Segment {
    /// A segment of the default workspace with these users.
    pub fn new<I: Into<String>>(
        id: impl Into<String>,
        name: impl Into<String>,
        external_ids: impl IntoIterator<Item = I>,
    ) -> Self {
        Self {
            workspace: default_workspace(),
            id: id.into(),
            name: name.into(),
            analytics_tracking_enabled: false,
            tags: Vec::new(),
            external_ids: Some(external_ids.into_iter().map(Into::into).collect()),
        }
    }

    /// The segment of all users of a workspace, which is always there. Its id comes from the workspace's name.
    pub fn all_users(workspace: &str) -> Self {
        let hash = Sha256::digest(workspace);
        let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let cut = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        Self {
            workspace: workspace.to_owned(),
            id: format!(
                "{}-{}-{}-{}-{}",
                cut(0, 8),
                cut(8, 12),
                cut(12, 16),
                cut(16, 20),
                cut(20, 32)
            ),
            name: "All Users".to_owned(),
            analytics_tracking_enabled: true,
            tags: Vec::new(),
            external_ids: None,
        }
    }

    pub(crate) fn holds(&self, user: &User) -> bool {
        self.external_ids
            .as_ref()
            .is_none_or(|ids| user.external_id.as_ref().is_some_and(|id| ids.contains(id)))
    }
}

/// The segments of all workspaces that were added, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Segments(Vec<Segment>);

impl Segments {
    /// Adds a segment, or puts it in the place of the one with its id.
    pub(crate) fn put(&mut self, segment: Segment) {
        let same = |other: &&mut Segment| (&other.workspace, &other.id) == (&segment.workspace, &segment.id);
        match self.0.iter_mut().find(same) {
            Some(other) => *other = segment,
            None => self.0.push(segment),
        }
    }

    /// All of a workspace, oldest first.
    pub(crate) fn of(&self, workspace: &str) -> impl Iterator<Item = Segment> {
        let added = self.0.iter().filter(move |segment| segment.workspace == workspace);
        std::iter::once(Segment::all_users(workspace)).chain(added.cloned())
    }
}

fn list(shared: &Shared, asked: &Asked) -> Answer {
    let mut segments: Vec<Segment> = shared.state().segments.of(&asked.workspace).collect();
    if asked.query("sort_direction") == Some("desc") {
        segments.reverse();
    }
    let page: usize = asked.query("page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let segments = segments.iter().skip(page.saturating_mul(PAGE_LEN)).take(PAGE_LEN);
    let segments: Value = segments
        .map(|segment| {
            json!({
                "id": segment.id, "name": segment.name, "tags": segment.tags,
                "analytics_tracking_enabled": segment.analytics_tracking_enabled,
            })
        })
        .collect();
    Answer {
        status: 200,
        body: json!({ "message": "success", "segments": segments }),
    }
}
