//! The audiences that changes are about, each of an attribute, by number. There are as many as jobs had while their workspace is
//! served.

use std::sync::Arc;

use braze::{AttributeName, Clause};

use super::keys::{attribute_json_bytes, json_bytes, slug_key};
use crate::hash::Map;

/// Names a slug for as long as the batch lives.
pub(super) type SlugId = usize;

#[derive(Debug, Default)]
pub(super) struct Slugs {
    attributes: Vec<AttributeName>,
    slugs: Vec<Slug>,
    /// By attribute and text.
    by_text: Map<(Arc<str>, Arc<str>), SlugId>,
    /// What the last change was about; the next one often is too.
    last: Option<(Arc<str>, Arc<str>, SlugId)>,
}

/// Names an attribute for as long as the batch lives.
pub(super) type AttributeId = usize;

#[derive(Debug)]
struct Slug {
    attribute: AttributeId,
    text: Arc<str>,
    key: u64,
    json_bytes: usize,
    /// What an object says that only removes it, one that only adds it, and one that does so to an existing user.
    clauses: [Clause; 3],
}

impl Slugs {
    #[inline(always)]
    pub(super) fn id(&mut self, attribute: &Arc<str>, slug: &Arc<str>) -> SlugId {
        match &self.last {
            Some((of, last, id)) if Arc::ptr_eq(last, slug) && Arc::ptr_eq(of, attribute) => *id,
            _ => self.find(attribute, slug),
        }
    }

    fn find(&mut self, attribute: &Arc<str>, slug: &Arc<str>) -> SlugId {
        let names = (Arc::clone(attribute), Arc::clone(slug));
        let known = self.by_text.get(&names).copied();
        let id = known.unwrap_or_else(|| {
            let of = self.attribute_id(attribute);
            let name = &self.attributes[of];
            self.slugs.push(Slug {
                clauses: [
                    Clause::new(name, [], [slug]),
                    Clause::new(name, [slug], []),
                    Clause::of(true).and(name, [slug], []),
                ],
                attribute: of,
                text: Arc::clone(slug),
                key: slug_key(attribute, slug),
                json_bytes: json_bytes(slug) + attribute_json_bytes(attribute),
            });
            self.by_text.insert(names, self.slugs.len() - 1);
            self.slugs.len() - 1
        });
        self.last = Some((Arc::clone(attribute), Arc::clone(slug), id));
        id
    }

    fn attribute_id(&mut self, name: &str) -> AttributeId {
        let known = self.attributes.iter().position(|known| known.as_str() == name);
        known.unwrap_or_else(|| {
            self.attributes.push(AttributeName::known(name));
            self.attributes.len() - 1
        })
    }

    pub(super) fn text(&self, id: SlugId) -> &Arc<str> {
        &self.slugs[id].text
    }

    /// What an object says that only adds it, perhaps to an existing user alone, or only removes it.
    pub(super) fn clause(&self, id: SlugId, add: bool, existing_only: bool) -> &Clause {
        &self.slugs[id].clauses[usize::from(add) + usize::from(add && existing_only)]
    }

    /// The attribute that it is a value of.
    pub(super) fn attribute(&self, id: SlugId) -> AttributeId {
        self.slugs[id].attribute
    }

    pub(super) fn attribute_name(&self, id: AttributeId) -> &AttributeName {
        &self.attributes[id]
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
