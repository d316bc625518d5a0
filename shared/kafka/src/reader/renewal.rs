//! A reader's client: made, looked after, replaced when it is lost, closed.

use std::sync::Arc;
use std::thread;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::BaseConsumer;

use super::commits::Commits;
use super::sentinel::{self, Ready, Watched};
use super::{Reader, ReaderOptions, settings};
use crate::lost::Looks;
use crate::{Config, Error};

pub(super) fn consumer_of(config: &Config, options: &ReaderOptions) -> Result<BaseConsumer<Commits>, Error> {
    let settings = settings(config, options);
    BaseConsumer::from_config_and_context(&settings, Commits::default()).map_err(Error::Config)
}

/// What librdkafka calls.
pub(super) fn called(ready: &Ready) -> impl Fn() + Send + Sync + 'static {
    let ready = Arc::clone(ready);
    move || ready()
}

impl Reader {
    /// Looks after the client from now on.
    pub(super) fn watch(&self) {
        if let Some(consumer) = &self.consumer {
            sentinel::watch(Watched {
                consumer: Arc::downgrade(consumer),
                config: Arc::clone(&self.config),
                topic: self.topic.clone(),
                ready: self.ready.clone(),
                pulse: Arc::clone(&self.pulse),
                heard: 0,
                looks: Looks::default(),
            });
        }
    }

    /// A new client in the place of one that is lost, which reads on where that one was.
    pub(super) fn renew(&mut self) -> Result<(), Error> {
        let mut consumer = consumer_of(&self.config, &self.options)?;
        if let Some(ready) = &self.ready {
            consumer.set_nonempty_callback(called(ready));
        }
        self.close();
        self.consumer = Some(Arc::new(consumer));
        self.assign_positions()?;
        self.watch();
        Ok(())
    }

    /// Closing waits for the answer to a commit, a minute if Kafka hangs: somebody else does.
    fn close(&mut self) {
        let consumer = self.consumer.take();
        if self.committed {
            let thread = thread::Builder::new().name("kafka-close".to_owned());
            // Without a thread it is closed here and now.
            drop(thread.spawn(move || drop(consumer)));
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.close();
    }
}
