//! The running simulator and the handle that tests hold.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::faults::Fault;
use crate::journal::JournalEntry;
use crate::meter::Meter;
use crate::options::{Key, Options};
use crate::settings::Settings;
use crate::users::{User, UserRef};

/// A running simulator. It ends when this is dropped, or in order by [`Sim::shutdown`].
#[derive(Debug)]
pub struct Sim {
    handle: SimHandle,
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address could not be bound.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
}

impl Sim {
    /// Binds the address and serves; the port is open when this returns.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(_options: Options) -> Result<Self, Error> {
        unimplemented!()
    }

    /// Serves on a listener that is already bound; `options.listen` is not looked at.
    ///
    /// # Errors
    /// When the listener has no address.
    pub async fn start_on(_listener: TcpListener, _options: Options) -> Result<Self, Error> {
        unimplemented!()
    }

    /// A handle for looking and meddling; cheap to clone.
    pub fn handle(&self) -> SimHandle {
        self.handle.clone()
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        unimplemented!()
    }

    /// `http://<address>`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.local_addr())
    }

    /// Stops listening, lets calls that are in flight finish for a moment, and ends.
    pub async fn shutdown(self) {
        unimplemented!()
    }
}

/// Looks into a running simulator and meddles with it. Everything here is also in the admin API.
#[derive(Debug, Clone)]
pub struct SimHandle {}

impl SimHandle {
    /// The user, if there is one, in the state as applied so far.
    pub fn user(&self, _workspace: &str, _user: &UserRef) -> Option<User> {
        unimplemented!()
    }
    /// All users of a workspace, in order of creation.
    pub fn users(&self, _workspace: &str) -> Vec<User> {
        unimplemented!()
    }
    /// Forgets all users of every workspace.
    pub fn forget_users(&self) {
        unimplemented!()
    }
    /// The calls that the journal still holds, in order of arrival.
    pub fn journal(&self) -> Vec<JournalEntry> {
        unimplemented!()
    }
    /// Forgets the calls so far; arrival numbers go on.
    pub fn forget_journal(&self) {
        unimplemented!()
    }
    /// How many calls of the REST API came since the start.
    pub fn arrivals(&self) -> u64 {
        unimplemented!()
    }
    /// Waits until so many calls have come since the start.
    pub async fn until_arrivals(&self, _calls: u64) {
        unimplemented!()
    }
    /// The data points used in a workspace.
    pub fn meter(&self, _workspace: &str) -> Meter {
        unimplemented!()
    }
    /// Sets all meters to zero.
    pub fn reset_meter(&self) {
        unimplemented!()
    }
    /// The settings in force.
    pub fn settings(&self) -> Settings {
        unimplemented!()
    }
    /// Changes the settings from the next call on.
    pub fn change_settings(&self, _change: impl FnOnce(&mut Settings)) {
        unimplemented!()
    }
    /// Adds a key, or replaces the one of the same text (which also ends its rejection).
    pub fn put_key(&self, _key: Key) {
        unimplemented!()
    }
    /// From now on the key gets 401.
    pub fn reject_key(&self, _key: &str) {
        unimplemented!()
    }
    /// Arms a fault.
    pub fn inject(&self, _fault: Fault) {
        unimplemented!()
    }
    /// The armed faults with what is left of them.
    pub fn faults(&self) -> Vec<Fault> {
        unimplemented!()
    }
    /// Refuses every object with this external id, with this text as the error's `type`.
    pub fn refuse_object(&self, _external_id: impl Into<String>, _text: impl Into<String>) {
        unimplemented!()
    }
    /// Disarms all faults, ends refusals and rejections, and releases what is held.
    pub fn clear_faults(&self) {
        unimplemented!()
    }
    /// How many calls are held.
    pub fn held(&self) -> usize {
        unimplemented!()
    }
    /// Waits until so many calls are held.
    pub async fn until_held(&self, _calls: usize) {
        unimplemented!()
    }
    /// Lets every held call go on. Calls that come later are held if the fault is still armed.
    pub fn release(&self) {
        unimplemented!()
    }
    /// Waits until no accepted call is still to be applied.
    pub async fn idle(&self) {
        unimplemented!()
    }
}
