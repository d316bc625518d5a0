//! The names of the record's fields that a mapping uses.

/// Names, each with a slot: its place.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Sources {
    names: Vec<String>,
    /// The names of each length with their slots: few names have the same.
    by_length: Vec<Vec<(String, usize)>>,
}

impl Sources {
    /// Gives each name a slot, once.
    pub(super) fn new(mut names: Vec<String>) -> Self {
        names.sort_unstable();
        names.dedup();
        let length_max = names.iter().map(String::len).max().unwrap_or_default();
        let mut by_length = vec![Vec::new(); length_max + 1];
        for (slot, name) in names.iter().enumerate() {
            by_length[name.len()].push((name.clone(), slot));
        }
        Self { names, by_length }
    }

    pub(in super::super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The slot of a name, if the mapping uses it.
    pub(in super::super) fn slot(&self, name: &str) -> Option<usize> {
        let alike = self.by_length.get(name.len())?;
        alike.iter().find(|(other, _)| other == name).map(|(_, slot)| *slot)
    }

    /// The name of a slot.
    pub(in super::super) fn name(&self, slot: usize) -> Option<&str> {
        self.names.get(slot).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_slot_and_others_have_none() {
        let names = ["city", "a", "email", "b", "city", ""].map(String::from);
        let sources = Sources::new(names.to_vec());
        assert_eq!(sources.len(), 5);
        for name in names {
            assert_eq!(sources.slot(&name).and_then(|slot| sources.name(slot)), Some(&*name));
        }
        let of_others = (sources.slot("cit"), sources.slot("town"), sources.name(5));
        assert_eq!(of_others, (None, None, None));
    }
}
