//! Which mapping reads a stream: the account's own, else the one that ships with the service.
//!
//! Every version is compiled once and shared. A task follows the control table and puts a new map in the place of the old one, so
//! a put is live within the time that the table takes to hear of it, and nobody waits for a compiler. A request keeps the mapping that it
//! began with.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use control::Directory;
use jiff::Timestamp;
use model::AccountNumber;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::normalize::Mapping;
use crate::publish::Refusal;
use crate::shadow::{Queue, Shadow};

#[cfg(test)]
mod tests;

/// The compiled mappings and shadows of all accounts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Mappings {
    streams: Arc<RwLock<Arc<Streams>>>,
    queue: Queue,
}

/// What the accounts have put, by account and stream.
type Streams = HashMap<AccountNumber, HashMap<String, Chosen>>;

/// How the records of a stream are read.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    /// What makes events of them, or why nothing does.
    pub(crate) mapping: Result<Arc<Mapping>, Refusal>,
    /// What runs beside it.
    pub(crate) shadow: Option<Arc<Shadow>>,
}

impl Chosen {
    /// What ships with the service for a stream.
    pub(crate) fn built_in(stream: &str) -> Self {
        let mapping = Mapping::built_in().find(|(_, mapping)| mapping.stream() == stream);
        Self {
            mapping: mapping.map_or_else(
                || Err(Refusal::NoMapping(stream.to_owned())),
                |(_, mapping)| Ok(Arc::clone(mapping)),
            ),
            shadow: None,
        }
    }
}

impl Mappings {
    /// Compiles what the table has; what is offered to shadows waits in `queue`.
    pub(crate) fn new(directory: &Directory, queue: Queue) -> Self {
        let mappings = Self {
            streams: Arc::default(),
            queue,
        };
        mappings.load(directory);
        mappings
    }

    /// How the records of a stream are read from now on.
    pub(crate) fn choose(&self, account: AccountNumber, stream: &str) -> Chosen {
        let streams = self.streams();
        let chosen = find(&streams, account, stream);
        chosen.cloned().unwrap_or_else(|| Chosen::built_in(stream))
    }

    /// Follows the table until the drain.
    pub(crate) async fn follow(self, directory: Directory, drain: CancellationToken) -> anyhow::Result<()> {
        let mut changed = directory.changed();
        loop {
            self.load(&directory);
            match drain.run_until_cancelled(changed.changed()).await {
                Some(changed) => changed?,
                None => return Ok(()),
            }
        }
    }

    fn streams(&self) -> Arc<Streams> {
        Arc::clone(&self.streams.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn load(&self, directory: &Directory) {
        let (live, shadows) = (directory.mappings().live(), directory.shadows().every());
        let streams = build(&self.streams(), live, shadows, &self.queue, Timestamp::now());
        let chosen = streams.values().flat_map(HashMap::values);
        let broken = chosen
            .filter(|chosen| matches!(chosen.mapping, Err(Refusal::BrokenMapping(_))))
            .count();
        #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact beyond 2^52")]
        ::metrics::gauge!(metrics::MAPPINGS_BROKEN).set(broken as f64);
        *self.streams.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(streams);
    }
}

fn find<'s>(streams: &'s Streams, account: AccountNumber, stream: &str) -> Option<&'s Chosen> {
    streams.get(&account)?.get(stream)
}

/// The next map. What `before` has compiled already is taken from there.
fn build(
    before: &Streams,
    live: Vec<control::Mapping>,
    shadows: Vec<control::Shadow>,
    queue: &Queue,
    now: Timestamp,
) -> Streams {
    let mut streams = Streams::new();
    for mapping in live {
        let chosen = Chosen {
            mapping: own(find(before, mapping.account, &mapping.stream), &mapping),
            shadow: None,
        };
        streams
            .entry(mapping.account)
            .or_default()
            .insert(mapping.stream, chosen);
    }
    for shadow in shadows {
        let known = find(before, shadow.account, &shadow.stream).and_then(|chosen| chosen.shadow.as_ref());
        let of_account = streams.entry(shadow.account).or_default();
        let chosen = of_account
            .entry(shadow.stream.clone())
            .or_insert_with(|| Chosen::built_in(&shadow.stream));
        chosen.shadow = beside(known, &shadow, chosen, queue, now);
    }
    streams
}

/// A live mapping, compiled. A version of one account is never another's, so it tells whether that has been done.
fn own(known: Option<&Chosen>, live: &control::Mapping) -> Result<Arc<Mapping>, Refusal> {
    let version = format!("version {} of {}", live.version, live.name());
    match known.map(|chosen| &chosen.mapping) {
        Some(Ok(known)) if known.version() == live.version => return Ok(Arc::clone(known)),
        Some(Err(Refusal::BrokenMapping(known))) if *known == version => return Err(Refusal::BrokenMapping(version)),
        _ => {}
    }
    match Mapping::parse(&live.lql) {
        Ok(mapping) => Ok(Arc::new(mapping.with_version(live.version))),
        // It compiled for whoever put it. A younger version of this service knows more functions.
        Err(problems) => {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            tracing::error!(mapping = live.name(), "{version} does not compile here: {first}");
            Err(Refusal::BrokenMapping(version))
        }
    }
}

/// A shadow, compiled. What was counted of it counts as long as neither it nor the mapping that it runs beside changes.
fn beside(
    known: Option<&Arc<Shadow>>,
    shadow: &control::Shadow,
    live: &Chosen,
    queue: &Queue,
    now: Timestamp,
) -> Option<Arc<Shadow>> {
    let known = known.filter(|known| known.revision() == shadow.revision);
    if let Some(known) = known.filter(|known| known.is_beside(&live.mapping)) {
        return Some(Arc::clone(known));
    }
    let candidate = match known {
        Some(known) => Arc::clone(known.candidate()),
        None => match Mapping::parse(&shadow.lql) {
            Ok(mapping) => Arc::new(mapping),
            // As above. It has no report here, and nobody is harmed.
            Err(_) => return None,
        },
    };
    let shadow = Shadow::new(candidate, shadow.revision, live.mapping.clone(), queue.clone(), now);
    Some(Arc::new(shadow))
}
