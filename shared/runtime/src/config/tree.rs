use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

/// The values of one source, with the name a person knows it by.
#[derive(Debug)]
pub(super) struct Layer {
    name: String,
    root: Value,
}

impl Layer {
    pub(super) fn new(name: &str) -> Self {
        Self::with(name, Value::from(Dict::new()))
    }

    pub(super) fn with(name: &str, root: Value) -> Self {
        Self {
            name: name.to_owned(),
            root,
        }
    }

    /// Puts a text at `path`, making the sections on the way.
    pub(super) fn insert(&mut self, path: &[String], text: String) -> Result<(), String> {
        if path.iter().any(String::is_empty) {
            return Err("is not a key: section and key are joined by exactly two underscores".to_owned());
        }
        let (last, sections) = path.split_last().ok_or("names no key")?;
        let mut at = &mut self.root;
        for section in sections {
            let Value::Dict(_, dict) = at else {
                return Err(format!("`{section}` is set as a value as well"));
            };
            at = dict.entry(section.clone()).or_insert_with(|| Value::from(Dict::new()));
        }
        let Value::Dict(_, dict) = at else {
            return Err("its section is set as a value as well".to_owned());
        };
        dict.insert(last.clone(), Value::from(text));
        Ok(())
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict = self.root.as_dict().cloned().unwrap_or_default();
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// The value at `path`, down to the first value that is not a section: an element of a list stands for the list.
/// Gives how many parts of `path` lead there, too.
pub(super) fn find_mut<'a>(root: &'a mut Value, path: &[String]) -> Option<(usize, &'a mut Value)> {
    let mut at = root;
    for (depth, part) in path.iter().enumerate() {
        match at {
            Value::Dict(_, dict) => at = dict.get_mut(part)?,
            _ => return Some((depth, at)),
        }
    }
    Some((path.len(), at))
}

/// Removes the key at `path`; false if there is none.
pub(super) fn remove(root: &mut Value, path: &[String]) -> bool {
    let Some((last, sections)) = path.split_last() else {
        return false;
    };
    match find_mut(root, sections) {
        Some((_, Value::Dict(_, dict))) => dict.remove(last).is_some(),
        _ => false,
    }
}
