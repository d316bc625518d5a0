//! What somebody who misspelled a name may have meant.

/// "did you mean …?" with the known name that is nearest to an unknown one, if one is near.
pub(super) fn nearest<'k>(unknown: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    // A longer name would only cost time: nothing that is known is near to it.
    if unknown.len() > 64 {
        return None;
    }
    let distance = |name: &str| strsim::osa_distance(unknown, name);
    let (distance, name) = known
        .filter(|name| !name.is_empty())
        .map(|name| (distance(name), name))
        .min()?;
    // A third of its letters may be wrong.
    (3 * distance <= unknown.len()).then(|| format!("did you mean `{name}`?"))
}
