//! [`Change`]: what watchers are told; and [`Person`], of whom. Serialized, they are
//! [the JSON](crate#what-a-watcher-is-told) that browsers get.

use std::{fmt, ops::Deref, sync::Arc};

use prism_driver::ConnectionId;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::sync::run_user_code;

/// What a watcher of a room is told.
///
/// First comes a [`State`](Self::State), and after it [`Diff`](Self::Diff)s, each with the number
/// after the one before. A watcher that has missed something is told the state again.
#[derive(Debug, Serialize)]
#[serde(tag = "presence", rename_all = "lowercase", bound = "")]
#[non_exhaustive]
pub enum Change<M> {
    /// Everybody who is present.
    State {
        /// Where.
        room: Arc<str>,
        /// The number of the last diff that is in it.
        number: u64,
        /// Everybody, by their keys.
        people: Vec<Arc<Person<M>>>,
    },
    /// What has become different.
    Diff {
        /// Where.
        room: Arc<str>,
        /// One more than the number before.
        number: u64,
        /// Who was not there before.
        joined: Vec<Arc<Person<M>>>,
        /// Who was there, and is; with other connections, or something else shown of them.
        updated: Vec<Arc<Person<M>>>,
        /// The keys of those who are not there any more.
        left: Vec<Arc<str>>,
    },
}

/// Somebody who is present, with one connection or several.
#[derive(Debug, Serialize)]
#[serde(bound = "")]
#[non_exhaustive]
pub struct Person<M> {
    /// Who it is.
    pub key: Arc<str>,
    /// At least one; the longest there first.
    pub connections: Vec<Tracked<M>>,
}

/// A connection of somebody who is present.
#[derive(Serialize)]
#[serde(bound = "")]
#[non_exhaustive]
pub struct Tracked<M> {
    /// Which one.
    #[serde(rename = "id", serialize_with = "as_text")]
    pub connection: ConnectionId,
    /// What was said of it.
    #[serde(skip)]
    meta: Meta<M>,
    /// The same, made JSON once, however many are told.
    #[serde(rename = "meta", serialize_with = "as_json")]
    json: Arc<RawValue>,
}

/// Metadata, whose destructor is the application's: it runs where no lock is held, and does no harm if it
/// panics, however many of them are dropped together.
struct Meta<M>(Option<Arc<M>>);

impl<M> Person<M> {
    /// Whether a watcher who knows one would learn nothing from the other.
    pub(super) fn is_same_to_watchers(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.connections, &other.connections);
        ours.iter()
            .map(Tracked::shown_to_watchers)
            .eq(theirs.iter().map(Tracked::shown_to_watchers))
    }
}

impl<M> Tracked<M> {
    pub(super) fn new(connection: ConnectionId, meta: M, json: Arc<RawValue>) -> Self {
        Self { connection, meta: Meta(Some(Arc::new(meta))), json }
    }

    /// What was said of it.
    #[must_use]
    pub fn meta(&self) -> &M {
        &self.meta
    }

    fn shown_to_watchers(&self) -> (ConnectionId, &str) {
        (self.connection, self.json.get())
    }
}

impl<M> Clone for Person<M> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), connections: self.connections.clone() }
    }
}

impl<M> Clone for Tracked<M> {
    fn clone(&self) -> Self {
        Self { connection: self.connection, meta: self.meta.clone(), json: self.json.clone() }
    }
}

impl<M> Deref for Meta<M> {
    type Target = M;

    fn deref(&self) -> &M {
        self.0.as_deref().expect("there until it is dropped")
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

/// Why what is told can always be made JSON.
pub(super) const IS_JSON: &str = "text, numbers, and JSON that was made already";

fn as_text<S: Serializer>(id: &ConnectionId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn as_json<S: Serializer>(json: &Arc<RawValue>, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::serialize(json, serializer)
}
