//! [`Change`]: what watchers receive; and [`Person`]: a person that a change is about. Serialized as JSON, a change is
//! [the message](crate::docs::presence#messages-to-watchers) that browsers receive.

use std::{fmt, ops::Deref, sync::Arc};

use prism_driver::ConnectionId;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{cluster::node_id::NodeId, sync::run_user_code};

/// A change in a room, as its watchers receive it.
///
/// The first is a [`State`](Self::State). [`Diff`](Self::Diff)s follow, numbered consecutively. A watcher that has
/// missed a diff receives a state again.
#[derive(Debug, Serialize)]
#[serde(tag = "presence", rename_all = "lowercase", bound = "")]
#[non_exhaustive]
pub enum Change<M> {
    /// All people who are present.
    State {
        /// The name of the room.
        room: Arc<str>,
        /// The number of the last diff that the state includes.
        number: u64,
        /// All people, sorted by the bytes of their keys.
        people: Vec<Arc<Person<M>>>,
    },
    /// What has changed since the previous state or diff.
    Diff {
        /// The name of the room.
        room: Arc<str>,
        /// The number of this diff: one more than that of the previous state or diff.
        number: u64,
        /// The people who are new in the room.
        joined: Vec<Arc<Person<M>>>,
        /// The people who were in the room before, and whose connections or metadata are different now.
        updated: Vec<Arc<Person<M>>>,
        /// The keys of the people who are no longer in the room.
        left: Vec<Arc<str>>,
    },
}

/// A person who is present, with at least one connection.
#[derive(Debug, Serialize)]
#[serde(bound = "")]
#[non_exhaustive]
pub struct Person<M> {
    /// The key that [`Presence::track`](super::Presence::track) was given.
    pub key: Arc<str>,
    /// The person's connections, in the order in which they were first tracked, or shown here if they are tracked at
    /// another node of a [`Cluster`](crate::Cluster). Never empty.
    pub connections: Vec<Tracked<M>>,
}

/// A tracked connection of a [`Person`], and its metadata.
#[derive(Serialize)]
#[serde(bound = "")]
#[non_exhaustive]
pub struct Tracked<M> {
    /// The ID of the connection.
    #[serde(rename = "id", serialize_with = "as_text")]
    pub connection: ConnectionId,
    #[serde(skip)]
    node: Option<NodeId>,
    #[serde(skip)]
    meta: Meta<M>,
    /// The metadata as JSON, encoded once for all watchers.
    #[serde(rename = "meta", serialize_with = "as_json")]
    json: Arc<RawValue>,
}

/// Metadata, dropped as application code: where no lock is held, and with each panic contained on its own,
/// however many are dropped together.
struct Meta<M>(Option<Arc<M>>);

/// The reason why encoding a change cannot fail.
pub(super) const ENCODES: &str = "it has only text, numbers, and JSON that was encoded before";

impl<M> Person<M> {
    /// Returns whether both are the same as JSON. Metadata can differ in fields that are not serialized.
    pub(super) fn is_same_as_json(&self, other: &Self) -> bool {
        fn visible<M>(tracked: &Tracked<M>) -> (ConnectionId, &str) {
            (tracked.connection, tracked.json.get())
        }
        self.connections.iter().map(visible).eq(other.connections.iter().map(visible))
    }
}

impl<M> Tracked<M> {
    pub(super) fn new(
        connection: ConnectionId,
        node: Option<NodeId>,
        meta: M,
        json: Arc<RawValue>,
    ) -> Self {
        Self { connection, node, meta: Meta(Some(Arc::new(meta))), json }
    }

    /// Returns whether it is this connection, tracked on this node (`None`) or on another one.
    pub(super) fn is(&self, node: Option<NodeId>, id: ConnectionId) -> bool {
        self.connection == id && self.node == node
    }

    /// Returns the node of the [`Cluster`](crate::Cluster) at which the connection is tracked; `None` if that is this
    /// one, or if there is no cluster.
    #[must_use]
    pub const fn node(&self) -> Option<NodeId> {
        self.node
    }

    pub(super) const fn json(&self) -> &Arc<RawValue> {
        &self.json
    }

    /// Returns the connection's metadata.
    #[must_use]
    pub fn meta(&self) -> &M {
        &self.meta
    }
}

impl<M> Clone for Person<M> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), connections: self.connections.clone() }
    }
}

impl<M> Clone for Tracked<M> {
    fn clone(&self) -> Self {
        let (connection, node) = (self.connection, self.node);
        Self { connection, node, meta: self.meta.clone(), json: self.json.clone() }
    }
}

impl<M> Deref for Meta<M> {
    type Target = M;

    fn deref(&self) -> &M {
        self.0.as_deref().expect("only `drop` takes it out")
    }
}

impl<M> Clone for Meta<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Drop for Meta<M> {
    fn drop(&mut self) {
        run_user_code(|| self.0 = None);
    }
}

impl<M> fmt::Debug for Tracked<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Tracked");
        debug.field("connection", &self.connection).field("meta", &self.json.get());
        debug.finish_non_exhaustive()
    }
}

fn as_text<S: Serializer>(id: &ConnectionId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn as_json<S: Serializer>(json: &Arc<RawValue>, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::serialize(json, serializer)
}
