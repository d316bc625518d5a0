//! The simulated Braze: keys, faults, and who holds what.

use std::collections::{BTreeSet, HashMap};

use anyhow::Context as _;
use braze_sim::{Fault, FaultKind, Key, Options, Settings, Sim, SimHandle};

use crate::calls::Calls;
use crate::schedule::Act;
use crate::timing;
use crate::world::{Audience, Kind, Name, User, WORKSPACES, workspace_name};

/// Braze's words for an object that it refuses for good.
const REFUSAL: &str = "external_id 'u' is blacklisted";

/// The simulator in this process.
pub(crate) struct Braze {
    sim: Sim,
    handle: SimHandle,
}

/// What the users of one workspace hold: the slugs that are not known to the storm are kept as well.
pub(crate) type Held = HashMap<Name, BTreeSet<String>>;

impl Braze {
    /// Starts it with a key per workspace. It refuses some users for good and reorders what it accepts; `too_far`: by more than
    /// the engine allows for.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(crate) async fn start(seed: u64, users: u32, too_far: bool) -> anyhow::Result<Self> {
        let apply_delay = if too_far {
            8 * timing::SETTLE_GAP
        } else {
            timing::settle_max()
        };
        let settings = Settings {
            apply_delay,
            reorder: true,
            // The storm looks at every call in the end.
            journal_bytes_max: usize::MAX,
            journal_body_bytes_max: usize::MAX,
            ..Settings::default()
        };
        let options = Options {
            keys: (0..WORKSPACES).map(|workspace| key(workspace, 0)).collect(),
            settings,
            seed,
            ..Options::default()
        };
        let sim = Sim::start(options).await.context("braze-sim")?;
        let handle = sim.handle();
        for user in (0..users).map(User).filter(|user| user.kind() == Kind::Refused) {
            handle.refuse_object(user.named(false).external_id(), REFUSAL);
        }
        Ok(Self { sim, handle })
    }

    pub(crate) fn url(&self) -> String {
        self.sim.base_url()
    }

    /// The key of a workspace: the first one is of generation 0.
    pub(crate) fn key(workspace: usize, generation: u32) -> String {
        key(workspace, generation).key
    }

    /// Does what concerns Braze alone.
    pub(crate) fn act(&self, act: &Act) {
        let fault = match *act {
            Act::Reset { calls } => Fault::drop_before().next(calls),
            Act::RateLimit { calls, retry_after } => Fault::new(FaultKind::Status {
                status: 429,
                retry_after: Some(retry_after),
                apply_after: None,
            })
            .next(calls),
            Act::ServerErrors { calls, status } => Fault::status(status).next(calls),
            Act::LateEffect { status, share } => {
                let fault = status.map_or_else(Fault::drop_after, Fault::status);
                fault.applied_after(timing::late(share)).next(1)
            }
            Act::Timeout { share } => Fault::delay(timing::CALL_TIMEOUT.mul_f64(1.2))
                .applied_after(timing::late(share))
                .next(1),
            _ => return,
        };
        self.handle.inject(fault);
    }

    /// A key of the workspace is not known any more.
    pub(crate) fn revoke(&self, workspace: usize, generation: u32) {
        self.handle.reject_key(&Self::key(workspace, generation));
    }

    /// The workspace has a new key; the old one stays unknown.
    pub(crate) fn issue(&self, workspace: usize, generation: u32) {
        self.handle.put_key(key(workspace, generation));
    }

    /// How many calls have come.
    pub(crate) fn arrivals(&self) -> u64 {
        self.handle.arrivals()
    }

    /// Waits until every accepted call has been applied.
    pub(crate) async fn idle(&self) {
        self.handle.idle().await;
    }

    /// What everybody holds, by workspace.
    pub(crate) fn held(&self) -> Vec<Held> {
        let of = |workspace| {
            let users = self.handle.users(&workspace_name(workspace)).into_iter();
            let held = users.filter_map(|user| {
                let slugs = user.array("lytics_segments").into_iter().map(str::to_owned).collect();
                Some((Name::of_external_id(user.external_id.as_deref()?)?, slugs))
            });
            held.collect()
        };
        (0..WORKSPACES).map(of).collect()
    }

    /// Every call since the start.
    ///
    /// # Errors
    /// When the journal has forgotten one, or a body is none of ours.
    pub(crate) fn calls(&self, audiences: &[Audience]) -> anyhow::Result<Calls> {
        let journal = self.handle.journal();
        anyhow::ensure!(
            journal.len() as u64 == self.arrivals(),
            "the simulator's journal has forgotten calls"
        );
        Calls::read(&journal, audiences)
    }
}

fn key(workspace: usize, generation: u32) -> Key {
    let workspace = workspace_name(workspace);
    Key::new(format!("key-{generation}-of-{workspace}")).in_workspace(workspace)
}
