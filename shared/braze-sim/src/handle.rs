//! The handle that tests hold.

use std::sync::Arc;

use crate::exports::Export;
use crate::faults::Fault;
use crate::journal::{JournalEntry, Order};
use crate::meter::Meter;
use crate::options::Key;
use crate::segments::Segment;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::users::{User, UserRef};

/// Looks into a running simulator and meddles with it; cheap to clone. Everything here is also in the admin API.
#[derive(Debug, Clone)]
pub struct SimHandle {
    shared: Arc<Shared>,
}

impl SimHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The user, if there is one, in the state as applied so far: see [`SimHandle::idle`].
    pub fn user(&self, workspace: &str, user: &UserRef) -> Option<User> {
        self.shared.state().workspaces.get(workspace)?.users.get(user).cloned()
    }

    /// All users of a workspace, in order of creation.
    pub fn users(&self, workspace: &str) -> Vec<User> {
        let state = self.shared.state();
        state
            .workspaces
            .get(workspace)
            .map(|workspace| workspace.users.since(0).cloned().collect())
            .unwrap_or_default()
    }

    /// Forgets all users of every workspace, and the meters with them.
    pub fn forget_users(&self) {
        for workspace in self.shared.state().workspaces.values_mut() {
            workspace.users = crate::users::Users::default();
        }
    }

    /// The data points used in a workspace.
    pub fn meter(&self, workspace: &str) -> Meter {
        let state = self.shared.state();
        state
            .workspaces
            .get(workspace)
            .map(|workspace| workspace.users.meter.clone())
            .unwrap_or_default()
    }

    /// Sets the meters of all workspaces to zero.
    pub fn reset_meter(&self) {
        for workspace in self.shared.state().workspaces.values_mut() {
            workspace.users.meter = Meter::default();
        }
    }

    /// The calls that the journal still holds, in order of arrival.
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.shared.state().journal.entries().cloned().collect()
    }

    /// What went against the order of a user's calls since the start.
    pub fn order(&self) -> Order {
        self.shared.state().journal.order()
    }

    /// Forgets the calls so far; arrival numbers and [`SimHandle::order`] go on.
    pub fn forget_journal(&self) {
        self.shared.state().journal.forget();
    }

    /// How many calls of the REST API came since the start.
    pub fn arrivals(&self) -> u64 {
        *self.shared.arrivals.borrow()
    }

    /// Waits until so many calls have come since the start.
    pub async fn until_arrivals(&self, calls: u64) {
        // The sender lives as long as `self`, so the wait cannot fail; likewise below.
        drop(
            self.shared
                .arrivals
                .subscribe()
                .wait_for(|arrivals| *arrivals >= calls)
                .await,
        );
    }

    /// Waits until `condition` holds; it is looked at now, after every call that is applied, and after every step of an export.
    /// For example: until a user has a value.
    pub async fn until(&self, mut condition: impl FnMut(&Self) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !condition(self) {
            drop(changes.changed().await);
        }
    }

    /// Waits until no accepted call is still to be applied. A call that is held is not accepted yet.
    pub async fn idle(&self) {
        self.shared.queue.idle().await;
    }

    /// How many accepted calls are still to be applied.
    pub fn pending(&self) -> u64 {
        self.shared.queue.pending()
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        Settings::clone(&self.shared.state().settings)
    }

    /// Changes the settings from the next call on.
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        change(Arc::make_mut(&mut self.shared.state().settings));
    }

    /// Adds a key, or replaces the one of the same text (which also ends its rejection).
    pub fn put_key(&self, key: Key) {
        self.shared.state().keys.put(key);
    }

    /// From now on the key gets 401.
    pub fn reject_key(&self, key: &str) {
        self.shared.state().keys.reject(key);
    }

    /// Adds a segment, or replaces the one with its id.
    pub fn put_segment(&self, segment: Segment) {
        self.shared.state().segments.put(segment);
    }

    /// The segments of a workspace, oldest first; the first one is that of all users.
    pub fn segments(&self, workspace: &str) -> Vec<Segment> {
        self.shared.state().segments.of(workspace).collect()
    }

    /// The newest exports of segments, oldest first.
    pub fn exports(&self) -> Vec<Export> {
        self.shared.state().exports.runs().cloned().collect()
    }

    /// Arms a fault for the calls of its endpoint that have a good key and room in the rate limit.
    pub fn inject(&self, fault: Fault) {
        self.shared.state().faults.arm(fault);
    }

    /// The armed faults with what is left of them.
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.state().faults.armed().to_vec()
    }

    /// Refuses every object with this external id, with this text as the error's `type`.
    pub fn refuse_object(&self, external_id: impl Into<String>, text: impl Into<String>) {
        self.shared.state().faults.refuse(external_id.into(), text.into());
    }

    /// Disarms all faults, ends refusals of objects and rejections of keys, and releases what is held.
    pub fn clear_faults(&self) {
        {
            let mut state = self.shared.state();
            state.faults.clear();
            state.keys.accept_all();
        }
        self.release();
    }

    /// How many calls are held.
    pub fn held(&self) -> usize {
        *self.shared.held.borrow()
    }

    /// Waits until so many calls are held.
    pub async fn until_held(&self, calls: usize) {
        drop(self.shared.held.subscribe().wait_for(|held| *held >= calls).await);
    }

    /// Lets every held call go on. A call that comes later is held if the fault is still armed.
    pub fn release(&self) {
        self.shared.releases.send_modify(|releases| *releases += 1);
    }
}
