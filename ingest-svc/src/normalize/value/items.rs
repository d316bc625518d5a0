//! Several of something, owned or lent.

use std::ops::Deref;

/// Items that a function made, or that the record or the mapping lends. A `Cow` would do, if it were covariant: what is lent
/// for long could not be taken for what is lent for a while.
#[derive(Clone, Debug)]
pub(in super::super) enum Items<'a, T> {
    Own(Vec<T>),
    Lent(&'a [T]),
}

impl<T> Deref for Items<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Own(items) => items,
            Self::Lent(items) => items,
        }
    }
}

impl<'a, T: Clone> Items<'a, T> {
    /// The first item.
    pub(in super::super) fn into_first(self) -> Option<T> {
        self.into_nth(0)
    }

    /// The item of a place, from 0.
    pub(in super::super) fn into_nth(self, place: usize) -> Option<T> {
        match self {
            Self::Own(mut items) => (place < items.len()).then(|| items.swap_remove(place)),
            Self::Lent(items) => items.get(place).cloned(),
        }
    }

    /// All of them, one after the other.
    pub(in super::super) fn into_each(self) -> Box<dyn Iterator<Item = T> + 'a>
    where
        T: 'a,
    {
        match self {
            Self::Own(items) => Box::new(items.into_iter()),
            Self::Lent(items) => Box::new(items.iter().cloned()),
        }
    }
}

impl<T: PartialEq> PartialEq for Items<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
