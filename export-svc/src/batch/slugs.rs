//! The audiences that changes are about, by number. There are as many as jobs had while their workspace is served.

use std::sync::Arc;

use braze::{AttributeName, Clause};

use super::keys::{json_bytes, slug_key};
use crate::hash::Map;

/// Names a slug for as long as the batch lives.
pub(super) type SlugId = usize;

#[derive(Debug)]
pub(super) struct Slugs {
    attribute: AttributeName,
    slugs: Vec<Slug>,
    by_text: Map<Arc<str>, SlugId>,
    /// What the last change was about; the next one often is too.
    last: Option<(Arc<str>, SlugId)>,
}

#[derive(Debug)]
struct Slug {
    text: Arc<str>,
    key: u64,
    json_bytes: usize,
    /// What an object says that only removes it, and one that only adds it.
    clauses: [Clause; 2],
}

impl Default for Slugs {
    fn default() -> Self {
        Self {
            attribute: AttributeName::new(control::ATTRIBUTE).expect("a name that Braze takes"),
            slugs: Vec::new(),
            by_text: Map::default(),
            last: None,
        }
    }
}

impl Slugs {
    #[inline(always)]
    pub(super) fn id(&mut self, slug: &Arc<str>) -> SlugId {
        match &self.last {
            Some((last, id)) if Arc::ptr_eq(last, slug) => *id,
            _ => self.find(slug),
        }
    }

    fn find(&mut self, slug: &Arc<str>) -> SlugId {
        let (slugs, attribute) = (&mut self.slugs, &self.attribute);
        let new = || {
            slugs.push(Slug {
                clauses: [Clause::new(attribute, [], [slug]), Clause::new(attribute, [slug], [])],
                text: Arc::clone(slug),
                key: slug_key(slug),
                json_bytes: json_bytes(slug),
            });
            slugs.len() - 1
        };
        let id = *self.by_text.entry(Arc::clone(slug)).or_insert_with(new);
        self.last = Some((Arc::clone(slug), id));
        id
    }

    pub(super) fn text(&self, id: SlugId) -> &Arc<str> {
        &self.slugs[id].text
    }

    /// What an object says that only adds it, or only removes it.
    pub(super) fn clause(&self, id: SlugId, add: bool) -> &Clause {
        &self.slugs[id].clauses[usize::from(add)]
    }

    pub(super) fn attribute(&self) -> &AttributeName {
        &self.attribute
    }

    /// Its [`slug_key`].
    pub(super) fn key(&self, id: SlugId) -> u64 {
        self.slugs[id].key
    }

    /// What it adds to a body.
    pub(super) fn json_bytes(&self, id: SlugId) -> usize {
        self.slugs[id].json_bytes
    }
}
