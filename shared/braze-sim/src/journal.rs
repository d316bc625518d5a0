//! What the simulator saw: every call, in order of arrival.

use std::collections::VecDeque;

use foldhash::HashMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::faults::FaultKind;
use crate::settings::Settings;

/// One call of the REST API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// 1 for the first call since the start, 2 for the next, …
    pub arrival: u64,
    /// When its head arrived.
    pub arrived_at: Timestamp,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// A mark of the key that was sent: a short hash and its last four characters, never the key.
    pub key: Option<String>,
    /// The workspace of the key, if the key is known.
    pub workspace: Option<String>,
    /// The `User-Agent`, as sent.
    pub user_agent: Option<String>,
    /// Whether the `User-Agent` has the form that partners must use (reference §1).
    pub user_agent_ok: bool,
    /// The body, cut at the journal's limit.
    pub body: String,
    /// How long the body was.
    pub body_bytes: usize,
    /// The identifiers of the objects, such as `external_id:cust-1`, each once.
    pub users: Vec<String>,
    /// How many objects were accepted.
    pub accepted: usize,
    /// How many objects were refused.
    pub refused: usize,
    /// The fault that struck the call.
    pub fault: Option<String>,
    /// The status of the answer; none while in flight and if the client never got one.
    pub status: Option<u16>,
    /// When the call ended: answered, dropped, or left by the client.
    pub ended_at: Option<Timestamp>,
    /// Whether the client left before the answer.
    pub client_left: bool,
    /// When the accepted objects were applied.
    pub applied_at: Option<Timestamp>,
    /// 1 for the first call that was applied, 2 for the next, …
    pub applied_order: Option<u64>,
    /// Earlier calls that named one of the same users and were still in flight when this one came.
    pub overlaps: Vec<u64>,
    /// Later calls that named one of the same users and were applied before this one.
    pub overtaken_by: Vec<u64>,
}

/// The calls so far, bounded in bytes: the oldest are forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: VecDeque<JournalEntry>,
    bytes: usize,
    arrivals: u64,
    applications: u64,
    order: Order,
    /// Which calls in flight name a user, and whom a call in flight names.
    by_user: HashMap<String, Vec<u64>>,
    in_flight: HashMap<u64, Vec<String>>,
}

/// What went against the order of a user's calls since the start, counted also over calls that are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Order {
    /// Calls that named a user of an earlier call which was still in flight.
    pub overlapping: u64,
    /// Calls that were applied to a user after a later call had been.
    pub overtaken: u64,
}

/// The head of a call.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    pub(crate) workspace: Option<String>,
    pub(crate) user_agent: Option<String>,
}

impl Journal {
    /// Enters a call that arrives now; returns its number.
    pub(crate) fn arrive(&mut self, head: Head, now: Timestamp) -> u64 {
        self.arrivals += 1;
        self.bytes += ENTRY_BYTES;
        self.entries.push_back(JournalEntry {
            arrival: self.arrivals,
            arrived_at: now,
            method: head.method,
            path: head.path,
            key: head.key,
            workspace: head.workspace,
            user_agent_ok: head.user_agent.as_deref().is_some_and(is_partner),
            user_agent: head.user_agent,
            body: String::new(),
            body_bytes: 0,
            users: Vec::new(),
            accepted: 0,
            refused: 0,
            fault: None,
            status: None,
            ended_at: None,
            client_left: false,
            applied_at: None,
            applied_order: None,
            overlaps: Vec::new(),
            overtaken_by: Vec::new(),
        });
        self.arrivals
    }

    pub(crate) fn read(&mut self, arrival: u64, body: &[u8], settings: &Settings) {
        let Some(entry) = self.entry(arrival) else { return };
        let kept = body.get(..settings.journal_body_bytes_max).unwrap_or(body);
        entry.body = String::from_utf8_lossy(kept).into_owned();
        entry.body_bytes = body.len();
        self.bytes += kept.len();
        while self.bytes > settings.journal_bytes_max {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(size(&oldest));
        }
    }

    pub(crate) fn struck(&mut self, arrival: u64, fault: &FaultKind) {
        if let Some(entry) = self.entry(arrival) {
            entry.fault = Some(fault.to_string());
        }
    }

    /// Notes whom the call is about, and which calls in flight are about the same.
    pub(crate) fn judged(&mut self, arrival: u64, users: Vec<String>, accepted: usize, refused: usize) {
        let mut overlaps = Vec::new();
        for user in &users {
            let others = self.by_user.entry(user.clone()).or_default();
            overlaps.extend(others.iter().copied());
            others.push(arrival);
        }
        overlaps.sort_unstable();
        overlaps.dedup();
        self.order.overlapping += u64::from(!overlaps.is_empty());
        self.in_flight.insert(arrival, users.clone());
        let bytes: usize = users.iter().map(String::len).sum();
        if let Some(entry) = self.entry(arrival) {
            entry.users = users;
            entry.accepted = accepted;
            entry.refused = refused;
            entry.overlaps = overlaps;
            self.bytes += bytes;
        }
    }

    /// The call is over for its client.
    pub(crate) fn ended(&mut self, arrival: u64, status: Option<u16>, client_left: bool, now: Timestamp) {
        for user in self.in_flight.remove(&arrival).unwrap_or_default() {
            if let Some(calls) = self.by_user.get_mut(&user) {
                calls.retain(|call| *call != arrival);
                if calls.is_empty() {
                    self.by_user.remove(&user);
                }
            }
        }
        if let Some(entry) = self.entry(arrival) {
            entry.status = status;
            entry.client_left = client_left;
            entry.ended_at = Some(now);
        }
    }

    pub(crate) fn applied(&mut self, arrival: u64, overtaken_by: Vec<u64>, now: Timestamp) {
        self.applications += 1;
        self.order.overtaken += u64::from(!overtaken_by.is_empty());
        let order = self.applications;
        if let Some(entry) = self.entry(arrival) {
            entry.applied_at = Some(now);
            entry.applied_order = Some(order);
            entry.overtaken_by = overtaken_by;
        }
    }

    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &JournalEntry> + ExactSizeIterator {
        self.entries.iter()
    }

    pub(crate) fn order(&self) -> Order {
        self.order
    }

    /// Forgets the entries; numbers and counts go on.
    pub(crate) fn forget(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    fn entry(&mut self, arrival: u64) -> Option<&mut JournalEntry> {
        let first = self.entries.front()?.arrival;
        let at = usize::try_from(arrival.checked_sub(first)?).ok()?;
        self.entries.get_mut(at)
    }
}

/// About what an entry takes beside its body and its users.
const ENTRY_BYTES: usize = 512;

fn size(entry: &JournalEntry) -> usize {
    ENTRY_BYTES + entry.body.len() + entry.users.iter().map(String::len).sum::<usize>()
}

/// `partner-<Organization>-<Product>/<version>`, both names in Pascal case.
fn is_partner(user_agent: &str) -> bool {
    let Some((names, version)) = user_agent
        .strip_prefix("partner-")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let pascal = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_uppercase())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    names
        .split_once('-')
        .is_some_and(|(organization, product)| pascal(organization) && pascal(product))
        && !version.is_empty()
        && !version.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(journal: &mut Journal, body: &str, settings: &Settings) -> u64 {
        let head = Head {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            key: None,
            workspace: None,
            user_agent: None,
        };
        let arrival = journal.arrive(head, Timestamp::UNIX_EPOCH);
        journal.read(arrival, body.as_bytes(), settings);
        arrival
    }

    #[test]
    fn the_journal_forgets_its_oldest_calls_and_keeps_counting() {
        let settings = Settings {
            journal_bytes_max: 3 * (ENTRY_BYTES + 10),
            ..Settings::default()
        };
        let mut journal = Journal::default();
        for _ in 0..5 {
            call(&mut journal, "0123456789", &settings);
        }
        assert_eq!(
            journal.entries().map(|entry| entry.arrival).collect::<Vec<_>>(),
            [3, 4, 5]
        );
        journal.ended(1, Some(201), false, Timestamp::UNIX_EPOCH);
        journal.ended(4, Some(201), false, Timestamp::UNIX_EPOCH);
        assert_eq!(
            journal.entries().map(|entry| entry.status).collect::<Vec<_>>(),
            [None, Some(201), None]
        );
    }

    #[test]
    fn only_calls_in_flight_for_the_same_user_overlap() {
        let settings = Settings::default();
        let mut journal = Journal::default();
        let user = |name: &str| vec![name.to_owned()];
        let (first, other, second, third) = (
            call(&mut journal, "", &settings),
            call(&mut journal, "", &settings),
            call(&mut journal, "", &settings),
            call(&mut journal, "", &settings),
        );
        journal.judged(first, user("a"), 1, 0);
        journal.judged(other, user("b"), 1, 0);
        journal.judged(second, user("a"), 1, 0);
        journal.ended(first, Some(201), false, Timestamp::UNIX_EPOCH);
        journal.ended(second, Some(201), false, Timestamp::UNIX_EPOCH);
        journal.judged(third, user("a"), 1, 0);
        let overlaps: Vec<_> = journal.entries().map(|entry| entry.overlaps.clone()).collect();
        assert_eq!(overlaps, [vec![], vec![], vec![first], vec![]]);
        assert_eq!(journal.order().overlapping, 1);
    }

    #[test]
    fn the_user_agent_of_a_partner_has_two_pascal_names_and_a_version() {
        assert!(is_partner("partner-Lytics-AudienceExport/1.4.0"));
        for other in [
            "reqwest/0.13",
            "partner-lytics-AudienceExport/1",
            "partner-Lytics/1",
            "partner-Lytics-Audience-Export/1",
            "partner-Lytics-AudienceExport/",
            "partner-Lytics-AudienceExport/1 0",
        ] {
            assert!(!is_partner(other), "{other}");
        }
    }
}
