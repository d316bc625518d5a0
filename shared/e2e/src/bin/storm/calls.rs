//! The calls that Braze got, taken apart: which updates took effect, in which order, and how often.

use std::collections::HashMap;
use std::fmt;

use anyhow::Context as _;
use braze_sim::JournalEntry;
use jiff::Timestamp;
use serde_json::Value;

use crate::world::{Audience, AudienceId, Kind, Name, User, workspace_name};

/// A call of `/users/track`.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) arrived_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) status: Option<u16>,
    pub(crate) fault: Option<String>,
    pub(crate) applied_at: Option<Timestamp>,
    pub(crate) applied_order: Option<u64>,
    /// Numbers of earlier calls that named a user of this one and were in flight when it came.
    pub(crate) overlaps: Vec<u64>,
}

/// One slug of one object of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update {
    /// Place of the call among the calls, in order of arrival.
    pub(crate) call: usize,
    pub(crate) audience: AudienceId,
    pub(crate) name: Name,
    pub(crate) add: bool,
}

/// All calls in order of arrival, and the updates in them that Braze took.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) calls: Vec<Call>,
    pub(crate) updates: Vec<Update>,
}

impl Call {
    /// Whether it took effect and its sender was told so.
    pub(crate) fn answered(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether it had come and was not over then.
    fn in_flight(&self, at: Timestamp) -> bool {
        self.arrived_at <= at && self.ended_at.is_none_or(|ended| ended >= at)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {:.3}", self.arrived_at)?;
        match self.ended_at {
            Some(ended) => write!(f, " to {ended:.3}")?,
            None => f.write_str(" without an end")?,
        }
        match self.status {
            Some(status) => write!(f, ", answer {status}")?,
            None => f.write_str(", no answer")?,
        }
        if let Some(fault) = &self.fault {
            write!(f, ", fault {fault}")?;
        }
        match self.applied_at {
            Some(applied) => write!(f, ", applied {applied:.3}"),
            None => f.write_str(", never applied"),
        }
    }
}

impl Calls {
    /// Takes the journal apart.
    ///
    /// # Errors
    /// When a body is not what the export sends: JSON, known slugs, known users, the workspace of the audience.
    pub(crate) fn read(journal: &[JournalEntry], audiences: &[Audience]) -> anyhow::Result<Self> {
        let by_slug: HashMap<&str, AudienceId> = (0..)
            .zip(audiences)
            .map(|(id, audience)| (audience.slug.as_str(), id))
            .collect();
        let mut calls = Self::default();
        for entry in journal {
            // A call that was dropped before it was read has no body.
            if !entry.body.is_empty() {
                let updates = updates(&entry.body, &by_slug);
                let updates =
                    updates.with_context(|| format!("call {} has a strange body: {}", entry.arrival, entry.body))?;
                let at_home = |(id, ..): &(AudienceId, Name, bool)| {
                    let home = workspace_name(audiences[*id].workspace);
                    entry.workspace.as_ref().is_none_or(|workspace| *workspace == home)
                };
                anyhow::ensure!(
                    updates.iter().all(at_home),
                    "call {} went to another workspace",
                    entry.arrival
                );
                let call = calls.calls.len();
                let taken = updates
                    .into_iter()
                    .filter(|(_, name, _)| name.user.kind() != Kind::Refused);
                calls.updates.extend(taken.map(|(audience, name, add)| Update {
                    call,
                    audience,
                    name,
                    add,
                }));
            }
            calls.calls.push(Call {
                arrived_at: entry.arrived_at,
                ended_at: entry.ended_at,
                status: entry.status,
                fault: entry.fault.clone(),
                applied_at: entry.applied_at,
                applied_order: entry.applied_order,
                overlaps: overlaps(journal, entry),
            });
        }
        Ok(calls)
    }

    /// Updates that took effect after the opposite one, which was sent later, had.
    pub(crate) fn overtaken(&self) -> Vec<Update> {
        let mut latest: HashMap<(AudienceId, Name, bool), u64> = HashMap::new();
        let mut overtaken = Vec::new();
        for update in &self.updates {
            let Some(order) = self.calls[update.call].applied_order else {
                continue;
            };
            let opposite = latest.get(&(update.audience, update.name, !update.add));
            if opposite.is_some_and(|opposite| *opposite > order) {
                overtaken.push(*update);
            }
            let known = latest.entry((update.audience, update.name, update.add)).or_default();
            *known = order.max(*known);
        }
        overtaken
    }

    /// Updates of calls that pick.
    pub(crate) fn count(&self, audience: impl Fn(AudienceId) -> bool, call: impl Fn(&Call) -> bool) -> u64 {
        let counted = |update: &&Update| audience(update.audience) && call(&self.calls[update.call]);
        self.updates.iter().filter(counted).count() as u64
    }

    /// Whether a call that took effect may have to be sent again because of an interruption: it was answered during the time
    /// `from` before it, whose progress may not be written, or was in flight.
    pub(crate) fn exposed(call: &Call, from: Timestamp, interruption: Timestamp) -> bool {
        call.in_flight(interruption)
            || (call.arrived_at <= interruption && call.ended_at.is_some_and(|end| end >= from))
    }

    /// Calls that named a user of another call in flight, for people.
    pub(crate) fn overlapping(&self) -> Vec<String> {
        let overlapping = (1_u64..).zip(&self.calls).filter(|(_, call)| !call.overlaps.is_empty());
        let others = |call: &Call| {
            let others = call.overlaps.iter().map(|other| {
                let at = usize::try_from(other - 1).ok().and_then(|at| self.calls.get(at));
                format!("call {other}: {}", at.map_or_else(String::new, Call::to_string))
            });
            others.collect::<Vec<_>>().join("; ")
        };
        overlapping
            .map(|(number, call)| format!("call {number}: {call}, while in flight {}", others(call)))
            .collect()
    }

    /// What happened to one user and audience, for people.
    pub(crate) fn trace(&self, audience: AudienceId, user: User) -> Vec<String> {
        let of = |update: &&Update| update.audience == audience && update.name.user == user;
        let line = |update: &Update| {
            let call = &self.calls[update.call];
            let value = if update.add { "add" } else { "remove" };
            format!("call {}: {value} {}, {call}", update.call + 1, update.name)
        };
        self.updates.iter().filter(of).map(line).collect()
    }
}

/// Users are named alike in different workspaces, which the simulator's journal does not tell apart.
fn overlaps(journal: &[JournalEntry], entry: &JournalEntry) -> Vec<u64> {
    let same_user = |other: &&JournalEntry| {
        other.workspace == entry.workspace && other.users.iter().any(|user| entry.users.contains(user))
    };
    let others = entry
        .overlaps
        .iter()
        .filter_map(|other| journal.get(usize::try_from(other - 1).ok()?));
    others.filter(same_user).map(|other| other.arrival).collect()
}

fn updates(body: &str, by_slug: &HashMap<&str, AudienceId>) -> Option<Vec<(AudienceId, Name, bool)>> {
    let body: Value = serde_json::from_str(body).ok()?;
    let mut updates = Vec::new();
    // Without objects it only asks whether the key is good.
    let Some(objects) = body.as_object()?.get("attributes") else {
        return Some(updates);
    };
    for object in objects.as_array()? {
        let name = Name::of_external_id(object.get("external_id")?.as_str()?)?;
        let segments = object.get("lytics_segments")?.as_object()?;
        for (operation, slugs) in segments {
            for slug in slugs.as_array()? {
                updates.push((*by_slug.get(slug.as_str()?)?, name, operation == "add"));
            }
        }
    }
    Some(updates)
}

#[cfg(test)]
mod tests {
    use braze_sim::JournalEntry;

    use super::*;
    use crate::world::audiences;

    /// A call of the first workspace that is applied as the `applied`-th.
    fn entry(arrival: u64, applied: Option<u64>, body: &str) -> JournalEntry {
        let entry = serde_json::json!({
            "arrival": arrival,
            "arrived_at": Timestamp::UNIX_EPOCH,
            "method": "POST",
            "path": "/users/track",
            "workspace": "w0",
            "user_agent_ok": true,
            "body": body,
            "body_bytes": body.len(),
            "users": ["external_id:u1"],
            "accepted": 1,
            "refused": 0,
            "status": 201,
            "applied_order": applied,
            "applied_at": applied.map(|_| Timestamp::UNIX_EPOCH),
            "client_left": false,
            "overlaps": [],
            "overtaken_by": [],
        });
        serde_json::from_value(entry).unwrap()
    }

    fn body(user: &str, operation: &str, slug: &str) -> String {
        format!(r#"{{"attributes":[{{"external_id":"{user}","lytics_segments":{{"{operation}":["{slug}"]}}}}]}}"#)
    }

    fn overtaken(calls: &[(Option<u64>, &str)]) -> usize {
        let entries: Vec<_> = (1..)
            .zip(calls)
            .map(|(arrival, (applied, operation))| entry(arrival, *applied, &body("u1", operation, "w0-first")))
            .collect();
        Calls::read(&entries, &audiences()).unwrap().overtaken().len()
    }

    #[test]
    fn only_the_opposite_overtakes_and_only_what_takes_effect_can_be_overtaken() {
        assert_eq!(overtaken(&[(Some(1), "add"), (Some(2), "remove")]), 0);
        assert_eq!(overtaken(&[(Some(2), "add"), (Some(1), "remove")]), 1);
        assert_eq!(overtaken(&[(Some(2), "add"), (Some(1), "add")]), 0);
        assert_eq!(overtaken(&[(None, "add"), (Some(1), "remove")]), 0);
        assert_eq!(overtaken(&[(Some(3), "add"), (Some(1), "remove"), (Some(2), "add")]), 1);
    }

    #[test]
    fn a_refused_object_is_no_update_and_a_foreign_one_is_an_error() {
        let read = |body: &str| Calls::read(&[entry(1, Some(1), body)], &audiences());
        assert_eq!(read(&body("u1", "add", "w0-first")).unwrap().updates.len(), 1);
        assert_eq!(
            read(&body("u7", "add", "w0-first")).unwrap().updates.len(),
            0,
            "Braze refuses u7"
        );
        for foreign in ["w9-first", "w1-first"] {
            assert!(read(&body("u1", "add", foreign)).is_err(), "{foreign}");
        }
        assert_eq!(read("{}").unwrap().updates.len(), 0, "it asks whether the key is good");
        assert!(read(r#"{"attributes":[{"external_id":"u1"}]}"#).is_err());
    }

    #[test]
    fn two_calls_with_one_user_at_once_count_only_within_a_workspace() {
        let mut entries = vec![
            entry(1, Some(1), &body("u1", "add", "w0-first")),
            entry(2, Some(2), &body("u1", "add", "w0-first")),
        ];
        entries[1].overlaps = vec![1];
        let overlapping = |entries: &[JournalEntry]| Calls::read(entries, &audiences()).unwrap().overlapping().len();
        assert_eq!(overlapping(&entries), 1);
        entries[0] = entry(1, Some(1), &body("u1", "add", "w1-first"));
        entries[0].workspace = Some("w1".to_owned());
        assert_eq!(overlapping(&entries), 0);
    }
}
