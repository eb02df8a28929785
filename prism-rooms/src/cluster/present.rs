//! [`Present`]: what nodes know of a connection that is present; and [`PresenceUpdate`], with what other nodes say.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{
    envelope::presence::{MAX_KEY, MAX_META, PresentPerson},
    node_id::NodeId,
};

/// The person that a connection belongs to, and the connection's metadata. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Present {
    pub(crate) key: Arc<str>,
    pub(crate) meta: Arc<RawValue>,
}

/// What has changed among the people that other nodes have in a room.
#[derive(Clone, Debug)]
pub(crate) struct PresenceUpdate {
    /// The name of the topic and of the room.
    pub(crate) room: Arc<str>,
    pub(crate) change: OthersChange,
}

#[derive(Clone, Debug)]
pub(crate) enum OthersChange {
    /// Nobody of another node is there, as far as is known.
    HideAll,
    /// Connections of a node that are new or different, or that are not present any more (`None`).
    Show(NodeId, Vec<(u128, Option<Present>)>),
}

impl Present {
    /// Returns whether it fits into an envelope.
    pub(crate) fn fits(&self) -> bool {
        self.key.len() <= MAX_KEY && self.meta.get().len() <= MAX_META
    }

    /// Returns its length in bytes.
    pub(crate) fn size(&self) -> usize {
        self.key.len() + self.meta.get().len()
    }

    pub(crate) fn as_person(&self, id: u128) -> PresentPerson<'_> {
        PresentPerson { id, key: &self.key, meta: &self.meta }
    }
}

impl From<PresentPerson<'_>> for Present {
    fn from(person: PresentPerson<'_>) -> Self {
        Self { key: person.key.into(), meta: person.meta.to_owned().into() }
    }
}

impl PartialEq for Present {
    fn eq(&self, other: &Self) -> bool {
        self.as_person(0) == other.as_person(0)
    }
}

impl Eq for Present {}
