//! [`Contents`]: what an envelope in the outbox says, on which channels, and how large it is.

use std::sync::Arc;

use crate::{
    backplane::command::Channel,
    cluster::{
        action::OwnedAction,
        core::presence::PresenceToPublish,
        envelope::{Body, Broadcast, Envelope, Position, RoomPosition, Targets, encode_presence},
        node_id::NodeId,
    },
};

/// The size of an envelope without rooms and payload, roughly.
const OVERHEAD: usize = 128;

/// What an envelope says.
#[derive(Debug)]
pub(super) enum Contents {
    Heartbeat { everyone: Position, rooms: Vec<(Arc<str>, Position)> },
    Goodbye,
    Question { room: Box<str> },
    Answer { to: NodeId, question: u64, members: u64 },
    Broadcast { targets: OwnedTargets, except: Vec<u128>, action: OwnedAction },
    Presence(PresenceToPublish),
}

#[derive(Debug)]
pub(super) enum OwnedTargets {
    Everyone(Position),
    Rooms(Vec<(Arc<str>, Position)>),
}

impl Contents {
    pub(super) const fn is_broadcast(&self) -> bool {
        matches!(self, Self::Broadcast { .. })
    }

    pub(super) const fn is_presence(&self) -> bool {
        matches!(self, Self::Presence(_))
    }

    /// Heartbeats and goodbyes may not. There are few, and a node that is busy, but alive, must not miss its own. Nor
    /// may changes of presence: for each that is missing, others ask for everybody in its room.
    pub(super) const fn may_be_dropped(&self) -> bool {
        match self {
            Self::Heartbeat { .. } | Self::Goodbye => false,
            Self::Presence(presence) => !presence.outlives_session,
            Self::Broadcast { .. } | Self::Question { .. } | Self::Answer { .. } => true,
        }
    }

    pub(super) const fn outlives_a_session(&self) -> bool {
        match self {
            Self::Broadcast { .. } | Self::Goodbye => true,
            Self::Presence(presence) => presence.outlives_session,
            Self::Heartbeat { .. } | Self::Question { .. } | Self::Answer { .. } => false,
        }
    }

    pub(super) fn size(&self) -> usize {
        let of_rooms = |rooms: &[(Arc<str>, Position)]| {
            rooms.iter().map(|(name, _)| name.len() + 32).sum::<usize>()
        };
        OVERHEAD
            + match self {
                Self::Heartbeat { rooms, .. } => of_rooms(rooms),
                Self::Goodbye | Self::Answer { .. } => 0,
                Self::Question { room } => room.len(),
                Self::Broadcast { targets, except, action } => {
                    let rooms = match targets {
                        OwnedTargets::Everyone(_) => 0,
                        OwnedTargets::Rooms(rooms) => of_rooms(rooms),
                    };
                    rooms + 16 * except.len() + action.payload_len()
                }
                Self::Presence(presence) => presence.body.bytes.len(),
            }
    }

    /// Returns the bytes of the envelope with this number.
    pub(super) fn encode(&self, origin: NodeId, number: u64) -> Vec<u8> {
        let body = match self {
            Self::Heartbeat { everyone, rooms } => {
                Body::Heartbeat { everyone: *everyone, rooms: as_positions(rooms) }
            }
            Self::Goodbye => Body::Goodbye,
            Self::Question { room } => Body::Question { room },
            Self::Answer { question, members, .. } => {
                Body::Answer { question: *question, members: *members }
            }
            Self::Broadcast { targets, except, action } => Body::Broadcast(Broadcast {
                targets: match targets {
                    OwnedTargets::Everyone(position) => Targets::Everyone(*position),
                    OwnedTargets::Rooms(rooms) => Targets::Rooms(as_positions(rooms)),
                },
                except: except.clone(),
                action: action.as_action(),
            }),
            Self::Presence(presence) => return encode_presence(origin, number, &presence.body),
        };
        Envelope { origin, number, body }.encode()
    }

    pub(super) const fn copies(&self) -> usize {
        match self {
            Self::Broadcast { targets: OwnedTargets::Rooms(rooms), .. } => rooms.len(),
            _ => 1,
        }
    }

    pub(super) fn channel(&self, copy: usize) -> Channel {
        match self {
            Self::Broadcast { targets: OwnedTargets::Rooms(rooms), .. } => {
                Channel::Room(rooms[copy].0.clone())
            }
            Self::Answer { to, .. } => Channel::Node(*to),
            Self::Presence(presence) => presence.channel.clone(),
            _ => Channel::All,
        }
    }
}

fn as_positions(rooms: &[(Arc<str>, Position)]) -> Vec<RoomPosition<'_>> {
    rooms.iter().map(|(room, position)| RoomPosition { room, position: *position }).collect()
}
