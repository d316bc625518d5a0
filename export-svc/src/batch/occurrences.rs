//! Changes that go out as objects of their own, such as events, beside the values of attributes.

use braze::{Array, Clause};

use super::request::InFlight;
use super::{Batch, ChangeId, Pending};

impl<T> Batch<T> {
    /// Whether a change may be in the request that already holds these, though its profile is: an occurrence has no part in what a
    /// user's attributes come to, and of the same slug it goes after the one before.
    pub(super) fn may_travel_along(&self, change: &Pending<T>, boarded: &[ChangeId]) -> bool {
        let of_it = boarded.iter().map(|id| &self.changes[*id]);
        let mut of_it = of_it.filter(|other| other.person == change.person);
        let is_either = |other: &Pending<T>| other.occurrence.is_some() || change.occurrence.is_some();
        of_it.all(|other| is_either(other) && other.slug != change.slug)
    }

    /// Puts the objects of a request in the order of Braze's arrays, in which verdicts name them.
    pub(super) fn sort_by_array(&self, request: &mut InFlight) {
        let array = |first: Option<&ChangeId>| {
            let occurrence = first.and_then(|id| self.changes[*id].occurrence.as_deref());
            occurrence.map_or(Array::Attributes, Clause::array)
        };
        request.sort_by_key(array);
    }
}
