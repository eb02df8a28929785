//! [`Peers`]: the other nodes, and how far what they send has arrived here.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::Arc,
    time::Duration,
};

use crate::cluster::{envelope::Position, node_id::NodeId};

/// The most nodes that are remembered.
const MAX_PEERS: usize = 1024;
/// How long a node that has left is remembered: it may come back, and something of it may arrive late.
const REMEMBERED: Duration = Duration::from_secs(20 * 60);
/// The most positions that are kept of all nodes that have left.
const MAX_ABSENT_POSITIONS: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Peers {
    /// A `BTreeMap`, because it is searched several times for each envelope: few nodes are found faster without a hash.
    by_origin: BTreeMap<NodeId, Peer>,
}

pub(super) struct Peer {
    /// Whether it belongs to the cluster, as far as is known here. Otherwise it has left.
    is_present: bool,
    /// Whether it has left for good. What arrives later was sent before.
    has_said_goodbye: bool,
    /// When something of it last arrived.
    heard: Duration,
    /// How often it was given more time since.
    extended: u8,
    /// The number of the last envelope that arrived.
    number: u64,
    /// The number of the last heartbeat that arrived, and after how many arrivals of all nodes that was.
    heartbeat: (u64, u64),
    /// Its last position that is known here, among its envelopes to everyone.
    everyone: Option<Position>,
    /// Its last positions that are known here, for rooms of this node.
    rooms: HashMap<Arc<str>, Position>,
}

/// What an envelope says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    New {
        /// Whether the sender was absent until now.
        joined: bool,
    },
    /// There are too many nodes.
    Refused,
}

impl Peers {
    /// Returns whether this envelope of a node, or a later one, has arrived before. After a goodbye, all have.
    pub(super) fn has_heard(&self, origin: NodeId, number: u64) -> bool {
        let peer = self.by_origin.get(&origin);
        peer.is_some_and(|peer| number <= peer.number || peer.has_said_goodbye)
    }

    /// Records that a new envelope of a node has arrived. If it was absent, it joins, or may [later](Self::admit).
    pub(super) fn hear(
        &mut self,
        origin: NodeId,
        number: u64,
        may_join: bool,
        now: Duration,
    ) -> Heard {
        if let Some(peer) = self.by_origin.get_mut(&origin) {
            (peer.number, peer.heard, peer.extended) = (number, now, 0);
            let joined = may_join && !peer.is_present;
            peer.is_present |= may_join;
            return Heard::New { joined };
        }
        if self.by_origin.len() >= MAX_PEERS && !self.forget_one() {
            return Heard::Refused;
        }
        let peer = Peer {
            is_present: may_join,
            has_said_goodbye: false,
            heard: now,
            extended: 0,
            number,
            heartbeat: (0, 0),
            everyone: None,
            rooms: HashMap::new(),
        };
        self.by_origin.insert(origin, peer);
        Heard::New { joined: may_join }
    }

    /// Marks as present the absent nodes from which something has arrived within `last`. Returns them in order.
    pub(super) fn admit(&mut self, last: Duration, now: Duration) -> Vec<NodeId> {
        let mut joined = Vec::new();
        for (origin, peer) in &mut self.by_origin {
            if !peer.is_present && !peer.has_said_goodbye && peer.heard + last > now {
                peer.is_present = true;
                joined.push(*origin);
            }
        }
        joined
    }

    /// Records that a node has said goodbye, after which it sends nothing. Returns whether it was present.
    pub(super) fn say_goodbye(&mut self, origin: NodeId) -> bool {
        if let Some(peer) = self.by_origin.get_mut(&origin) {
            peer.has_said_goodbye = true;
            peer.rooms = HashMap::new();
        }
        self.leave(origin)
    }

    /// Records that a node seems to have left. It may come back. Returns whether it was present.
    pub(super) fn leave(&mut self, origin: NodeId) -> bool {
        let peer = self.by_origin.get_mut(&origin);
        peer.is_some_and(|peer| mem::replace(&mut peer.is_present, false))
    }

    /// Returns the nodes that are present, and of which nothing has arrived since then.
    pub(super) fn silent_since(&self, moment: Duration) -> Vec<NodeId> {
        let silent = self.present().filter(|(_, peer)| peer.heard <= moment);
        silent.map(|(origin, _)| *origin).collect()
    }

    /// Returns since when the node is silent that is present and was not heard for the longest time.
    pub(super) fn longest_silence(&self) -> Option<Duration> {
        self.present().map(|(_, peer)| peer.heard).min()
    }

    /// Gives every node that is present time to be heard in a new session: it counts as heard `now`. A node that is
    /// silent in the next session, too, counts as heard at `moment`, and gets no more time: sessions may be short.
    pub(super) fn extend_deadline(&mut self, moment: Duration, now: Duration) {
        let times = [now, moment];
        for peer in self.by_origin.values_mut().filter(|peer| peer.is_present) {
            let heard = times.get(usize::from(peer.extended)).unwrap_or(&peer.heard);
            (peer.heard, peer.extended) = (peer.heard.max(*heard), peer.extended.saturating_add(1));
        }
    }

    /// Gives nodes that are present more time, once while they are not heard: the backplane may stay slow.
    pub(super) fn extend_deadline_once(&mut self, moment: Duration) {
        for peer in self.by_origin.values_mut().filter(|it| it.is_present && it.extended == 0) {
            (peer.extended, peer.heard) = (1, peer.heard.max(moment));
        }
    }

    /// Forgets nodes that have left long ago, and of the others that have left the positions that are too many.
    pub(super) fn forget_old(&mut self, now: Duration) {
        self.by_origin.retain(|_, peer| peer.is_present || peer.heard + REMEMBERED >= now);
        self.forget_positions(MAX_ABSENT_POSITIONS);
    }

    /// Forgets positions of nodes that have left, until there are at most `most`: first those of the node that was
    /// silent for the longest time. What such a node has sent meanwhile is not missing if it comes back.
    fn forget_positions(&mut self, most: usize) {
        let absent = self.by_origin.values_mut().filter(|peer| !peer.is_present);
        let mut absent: Vec<&mut Peer> = absent.collect();
        let mut count: usize = absent.iter().map(|peer| peer.rooms.len()).sum();
        if count <= most {
            return;
        }
        absent.sort_unstable_by_key(|peer| peer.heard);
        for peer in absent {
            if count <= most {
                break;
            }
            count -= mem::take(&mut peer.rooms).len();
        }
    }

    /// Forgets the positions in a room that this node no longer follows.
    pub(super) fn forget_room(&mut self, room: &str) {
        for peer in self.by_origin.values_mut() {
            peer.rooms.remove(room);
        }
    }

    pub(super) fn get_mut(&mut self, origin: NodeId) -> Option<&mut Peer> {
        self.by_origin.get_mut(&origin)
    }

    pub(super) fn is_present(&self, origin: NodeId) -> bool {
        self.by_origin.get(&origin).is_some_and(|peer| peer.is_present)
    }

    /// Returns how many nodes are present.
    pub(super) fn count(&self) -> usize {
        self.present().count()
    }

    pub(super) fn origins(&self) -> impl Iterator<Item = NodeId> {
        self.present().map(|(origin, _)| *origin)
    }

    fn present(&self) -> impl Iterator<Item = (&NodeId, &Peer)> {
        self.by_origin.iter().filter(|(_, peer)| peer.is_present)
    }

    /// Forgets the node that has left first, if any has.
    fn forget_one(&mut self) -> bool {
        let absent = self.by_origin.iter().filter(|(_, peer)| !peer.is_present);
        let oldest = absent.min_by_key(|(_, peer)| peer.heard).map(|(origin, _)| *origin);
        oldest.is_some_and(|oldest| self.by_origin.remove(&oldest).is_some())
    }
}

impl Peer {
    /// Records that an envelope to everyone has arrived. Returns how many before it are missing.
    pub(super) fn arrived_for_everyone(&mut self, position: Position) -> u64 {
        advance(&mut self.everyone, position).saturating_sub(1)
    }

    /// Records how many envelopes to everyone were sent. Returns how many of them are missing.
    pub(super) fn sent_to_everyone(&mut self, position: Position) -> u64 {
        advance(&mut self.everyone, position)
    }

    /// Records a heartbeat, and the arrivals of all nodes by then. Call it after recording those for its rooms.
    pub(super) const fn heartbeat_arrived(&mut self, number: u64, arrivals: u64) {
        self.heartbeat = (number, arrivals);
    }

    /// Records that an envelope to a room has arrived. Returns how many before it are missing.
    ///
    /// `followed_since` says after how many arrivals the room was first subscribed to; `None` if it may not have been
    /// yet. From then on, positions count, subscribed or not. What was sent before the first one that arrives is
    /// missing only if the node has begun to count after a heartbeat that arrived while it was subscribed to.
    pub(super) fn arrived_for_room(
        &mut self,
        room: &Arc<str>,
        position: Position,
        followed_since: Option<u64>,
    ) -> u64 {
        self.sent_to_room(room, position, followed_since).saturating_sub(1)
    }

    /// Records how many envelopes to a room were sent. Returns how many of them are missing.
    pub(super) fn sent_to_room(
        &mut self,
        room: &Arc<str>,
        position: Position,
        followed_since: Option<u64>,
    ) -> u64 {
        if let Some(known) = self.rooms.get_mut(room) {
            let mut last = Some(*known);
            let ahead = advance(&mut last, position);
            *known = last.unwrap_or(position);
            return ahead;
        }
        let Some(followed_since) = followed_since else { return 0 };
        self.rooms.insert(room.clone(), position);
        let (number, arrivals) = self.heartbeat;
        let is_all_known = followed_since < arrivals && number < position.generation;
        if is_all_known { position.sequence } else { 0 }
    }
}

/// Advances the last known position. Returns how far: 0 if it is the first one, or if it is not ahead.
fn advance(last: &mut Option<Position>, position: Position) -> u64 {
    let ahead = match *last {
        None => 0,
        Some(last) if position.generation == last.generation => {
            position.sequence.saturating_sub(last.sequence)
        }
        // The sender has begun to count again.
        Some(last) if position.generation > last.generation => position.sequence,
        Some(_) => 0,
    };
    *last = (*last).max(Some(position));
    ahead
}

#[cfg(all(test, not(prism_loom)))]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{Heard, MAX_PEERS, Peers, Position, REMEMBERED};
    use crate::cluster::node_id::node_id;

    const NOW: Duration = Duration::from_secs(1);

    fn at(generation: u64, sequence: u64) -> Position {
        Position { generation, sequence }
    }

    #[test]
    fn numbers_show_what_was_heard_before_even_after_a_node_has_left() {
        let (mut peers, seven) = (Peers::default(), node_id(7));
        assert!(!peers.has_heard(seven, 5));
        assert_eq!(peers.hear(seven, 5, true, NOW), Heard::New { joined: true });
        assert!(peers.has_heard(seven, 5));
        assert!(peers.leave(seven) && !peers.leave(seven));
        assert!(peers.has_heard(seven, 4) && !peers.has_heard(seven, 6));
        assert_eq!(peers.count(), 0);
        assert_eq!(peers.hear(seven, 6, true, NOW), Heard::New { joined: true });
        assert_eq!(peers.hear(seven, 7, true, NOW), Heard::New { joined: false });
        peers.say_goodbye(seven);
        assert!(peers.has_heard(seven, 8), "a goodbye is the last");
    }

    #[test]
    fn positions_show_what_is_missing() {
        let mut peers = Peers::default();
        peers.hear(node_id(7), 1, true, NOW);
        let peer = peers.get_mut(node_id(7)).unwrap();
        let tea: Arc<str> = "tea".into();
        let (not_yet, since) = (None, Some(0));
        assert_eq!(peer.arrived_for_room(&tea, at(3, 9), not_yet), 0, "not subscribed yet");
        assert_eq!(peer.arrived_for_room(&tea, at(3, 10), since), 0, "the first one that counts");
        assert_eq!(peer.arrived_for_room(&tea, at(3, 11), since), 0);
        assert_eq!(peer.arrived_for_room(&tea, at(3, 15), since), 3);
        assert_eq!(peer.sent_to_room(&tea, at(3, 15), since), 0);
        assert_eq!(peer.sent_to_room(&tea, at(3, 17), since), 2);
        assert_eq!(peer.sent_to_room(&tea, at(3, 16), since), 0, "an old heartbeat");
        assert_eq!(peer.arrived_for_room(&tea, at(9, 2), since), 1, "a new count");
        assert_eq!(peer.arrived_for_room(&tea, at(3, 18), since), 0, "an old count");
        assert_eq!(peer.arrived_for_room(&tea, at(9, u64::MAX), since), u64::MAX - 3);
        assert_eq!(peer.sent_to_everyone(Position::default()), 0);
        assert_eq!(peer.arrived_for_everyone(at(4, 2)), 1);
    }

    #[test]
    fn what_a_node_counts_after_a_heartbeat_counts_from_the_start() {
        let mut peers = Peers::default();
        peers.hear(node_id(7), 1, true, NOW);
        let peer = peers.get_mut(node_id(7)).unwrap();
        peer.heartbeat_arrived(20, 5);
        let mut missing = |room: &str, generation, followed_since| {
            peer.arrived_for_room(&room.into(), at(generation, 3), Some(followed_since))
        };
        assert_eq!(missing("tea", 21, 4), 2);
        assert_eq!(missing("milk", 21, 5), 0, "the heartbeat came before the subscription");
        assert_eq!(missing("water", 19, 4), 0, "some may have been sent before the subscription");
    }

    #[test]
    fn a_node_that_was_heard_when_it_could_not_join_may_do_so_later() {
        let mut peers = Peers::default();
        let second = Duration::from_secs(1);
        for (origin, heard) in [(6, NOW), (7, NOW + 2 * second), (8, NOW + 2 * second)] {
            assert_eq!(peers.hear(node_id(origin), 5, false, heard), Heard::New { joined: false });
        }
        assert!(!peers.say_goodbye(node_id(8)));
        assert_eq!(peers.count(), 0);
        let now = NOW + 5 * second;
        assert_eq!(peers.admit(4 * second, now), [node_id(7)]);
        assert!(peers.admit(4 * second, now).is_empty());
        assert_eq!(peers.hear(node_id(6), 6, true, NOW + 3 * second), Heard::New { joined: true });
    }

    #[test]
    fn a_node_that_has_left_is_forgotten_although_the_deadline_of_others_is_extended() {
        let mut peers = Peers::default();
        peers.hear(node_id(7), 5, true, NOW);
        peers.hear(node_id(8), 5, true, NOW);
        peers.leave(node_id(7));
        peers.extend_deadline(NOW, NOW + REMEMBERED);
        peers.forget_old(NOW + REMEMBERED + Duration::from_secs(1));
        assert!(peers.get_mut(node_id(7)).is_none() && peers.get_mut(node_id(8)).is_some());
    }

    #[test]
    fn the_number_of_nodes_is_bounded() {
        let mut peers = Peers::default();
        for origin in 1..=MAX_PEERS as u64 {
            assert_eq!(peers.hear(node_id(origin), 1, true, NOW), Heard::New { joined: true });
        }
        assert_eq!(peers.hear(node_id(u64::MAX), 1, true, NOW), Heard::Refused);
        peers.leave(node_id(1));
        assert_eq!(peers.hear(node_id(u64::MAX), 1, true, NOW), Heard::New { joined: true });
    }

    #[test]
    fn the_positions_of_nodes_that_have_left_are_bounded() {
        let mut peers = Peers::default();
        for origin in 1..=5 {
            peers.hear(node_id(origin), 1, true, NOW * origin as u32);
            for room in 0..10 {
                let room = room.to_string().into();
                peers.get_mut(node_id(origin)).unwrap().arrived_for_room(&room, at(1, 1), Some(0));
            }
        }
        for origin in [3, 1, 4] {
            peers.leave(node_id(origin));
        }
        peers.forget_positions(20);
        let counts =
            [1, 2, 3, 4, 5].map(|origin| peers.get_mut(node_id(origin)).unwrap().rooms.len());
        assert_eq!(counts, [0, 10, 10, 10, 10], "the first is the one that was silent for longest");
        peers.forget_positions(5);
        let counts =
            [1, 2, 3, 4, 5].map(|origin| peers.get_mut(node_id(origin)).unwrap().rooms.len());
        assert_eq!(counts, [0, 10, 0, 0, 10]);
    }
}
