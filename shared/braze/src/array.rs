//! The arrays of a request.

use std::ops::Range;

/// An array of a request. Verdicts name objects in this order: all of the first array, then all of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Array {
    /// What users are.
    Attributes,
    /// What users have done.
    Events,
    /// What users have bought.
    Purchases,
}

impl Array {
    /// In the order of the request.
    pub(crate) const ALL: [Self; 3] = [Self::Attributes, Self::Events, Self::Purchases];

    /// The key of the array, in a request and in what Braze says of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attributes => "attributes",
            Self::Events => "events",
            Self::Purchases => "purchases",
        }
    }

    /// The key under which an answer tells how many objects of the array Braze has queued.
    pub(crate) fn processed(self) -> &'static str {
        match self {
            Self::Attributes => "attributes_processed",
            Self::Events => "events_processed",
            Self::Purchases => "purchases_processed",
        }
    }
}

/// How many objects of a request stand in each array.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts(pub(crate) [usize; 3]);

impl Counts {
    pub(crate) fn total(self) -> usize {
        self.0.iter().sum()
    }

    /// Numbers of an array's objects among all of the request.
    pub(crate) fn range(self, array: Array) -> Range<usize> {
        let start = self.0[..array as usize].iter().sum();
        start..start + self.0[array as usize]
    }

    /// The arrays that hold anything.
    pub(crate) fn sent(self) -> impl Iterator<Item = Array> {
        Array::ALL.into_iter().filter(move |array| self.0[*array as usize] > 0)
    }
}
