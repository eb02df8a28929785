//! [`InCluster`]: a tracker's hold on its cluster.

use std::sync::{Arc, Weak};

use prism_driver::ConnectionId;
use serde_json::value::RawValue;

use super::people::People;
use crate::{
    cluster::{
        present::Present,
        topic::{Topic, TopicHandle},
        topic_observer::TopicObserver,
    },
    directory::NameObserver,
    signal::Signals,
    sync::run_user_code,
};

pub(super) struct InCluster<M> {
    topic: Topic,
    /// Reads the metadata of other nodes.
    read: fn(&RawValue) -> serde_json::Result<M>,
}

impl<M> InCluster<M> {
    pub(super) const fn new(topic: Topic, read: fn(&RawValue) -> serde_json::Result<M>) -> Self {
        Self { topic, read }
    }

    /// Returns what ends the topic when it is dropped.
    pub(super) fn handle(&self) -> TopicHandle {
        self.topic.handle()
    }

    pub(super) fn room_observer(&self) -> Arc<dyn NameObserver> {
        self.topic.room_observer()
    }

    pub(super) fn observe(&self, observer: Weak<dyn TopicObserver>) {
        self.topic.observe(observer);
    }

    /// Records what a connection is in a room. To be called under the room's lock; [`signal`](Self::signal) has to
    /// follow.
    pub(super) fn record(&self, room: &str, id: ConnectionId, people: &People<M>) {
        self.topic.record(room, id.as_u128(), people.present(id));
    }

    /// Wakes the cluster later, if anything was recorded.
    pub(super) fn signal(&self, signals: &mut Signals) {
        self.topic.signal(signals);
    }

    /// Reads metadata; `None` if it is not an `M`. The caller holds no lock, because this is application code.
    pub(super) fn read(&self, present: &Present) -> Option<M> {
        let mut meta = None;
        run_user_code(|| meta = (self.read)(&present.meta).ok());
        meta
    }
}
