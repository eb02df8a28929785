//! [`OthersPeople`]: the people that other nodes have in the rooms that this node follows, as far as it knows.
//!
//! What a node publishes arrives in its order, or not at all. So what is known of its people in a room is right as long
//! as each [change](PresenceChange) begins with the version that is known. The people of a room arrive in
//! [parts](PeoplePart), each for a range of IDs, with the version of that moment. Between two parts, changes continue
//! the version, as they always do.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Bound::{Excluded, Included, Unbounded},
    sync::Arc,
    time::Duration,
};

use super::followed::Followed;
use crate::cluster::{
    envelope::presence::{MAX_KNOWN, NOBODY, PeoplePart, PresenceChange, Versions},
    node_id::NodeId,
    present::{OthersChange, PresenceUpdate, Present},
};

/// How long an answer may take until the question is asked again.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// The least time until all people of a room are shown again.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);
/// The version of a room of which not everything is known.
const INCOMPLETE: u64 = u64::MAX;

#[derive(Default)]
pub(super) struct OthersPeople {
    /// The rooms that this node follows.
    rooms: HashMap<Arc<str>, Followed>,
    nodes: BTreeMap<NodeId, BTreeMap<Arc<str>, Replica>>,
    /// The rooms that are to be shown as a whole, and when.
    to_show: BTreeSet<(Duration, Arc<str>)>,
    updates: VecDeque<PresenceUpdate>,
    missing: VecDeque<Missing>,
    /// How many people were left out because there were too many.
    refused: u64,
}

/// Something is missing of a node's people in a room. It has to be asked for them.
pub(super) struct Missing {
    pub(super) node: NodeId,
    pub(super) room: Arc<str>,
    /// Whether it was asked before and has not answered in time.
    pub(super) again: bool,
}

/// What is known of the people that a node has in a room.
#[derive(Default)]
struct Replica {
    version: u64,
    people: BTreeMap<u128, Present>,
    /// The first ID of the part that is to arrive next; `None` if all have arrived.
    next: Option<u128>,
    /// When the node was asked for the people, or has answered in part.
    asked: Option<Duration>,
    /// The person of the last connection that was left out because there were too many, if any was.
    refused: Option<Arc<str>>,
}

impl OthersPeople {
    // ---- the rooms that this node follows

    /// Begins to follow a room, or shows again what is known of it: at once, but not if that was done a moment ago. A
    /// watcher that comes and goes costs nothing, however many people there are.
    ///
    /// The room may have come back before that is known here, so that it shows some changes already. They are
    /// withdrawn: what became of these people may have been kept from it since, or be forgotten.
    pub(super) fn follow(&mut self, room: &Arc<str>, now: Duration) {
        self.update(room, OthersChange::HideAll);
        let followed = self.rooms.entry(room.clone()).or_default();
        let due = followed.shown.map_or(now, |shown| shown + SHOW_INTERVAL);
        if due <= now {
            return self.show(room, now);
        }
        followed.is_hidden = true;
        self.to_show.insert((due, room.clone()));
    }

    /// Shows the rooms that are due.
    pub(super) fn show_due(&mut self, now: Duration) {
        while self.next_show().is_some_and(|due| due <= now)
            && let Some((_, room)) = self.to_show.pop_first()
        {
            if self.rooms.get(&room).is_some_and(|followed| followed.is_hidden) {
                self.show(&room, now);
            }
        }
    }

    /// Returns when the next room is due to be shown.
    pub(super) fn next_show(&self) -> Option<Duration> {
        self.to_show.first().map(|(due, _)| *due)
    }

    /// Shows all that is known of a room.
    fn show(&mut self, room: &Arc<str>, now: Duration) {
        let Some(followed) = self.rooms.get_mut(room) else { return };
        followed.is_hidden = false;
        for (node, replicas) in &self.nodes {
            let Some(replica) = replicas.get(room).filter(|replica| !replica.people.is_empty())
            else {
                continue;
            };
            followed.shown = Some(now);
            let all = replica.people.iter().map(|(id, present)| (*id, Some(present.clone())));
            let change = OthersChange::Show(*node, all.collect());
            self.updates.push_back(PresenceUpdate { room: room.clone(), change });
        }
    }

    /// Forgets a room that is not followed any more. Nobody sees its people.
    pub(super) fn unfollow(&mut self, room: &str) {
        self.rooms.remove(room);
        for replicas in self.nodes.values_mut() {
            replicas.remove(room);
        }
    }

    pub(super) fn follows(&self, room: &str) -> bool {
        self.rooms.contains_key(room)
    }

    /// Returns the rooms of which not all nodes were asked for the people since then.
    pub(super) fn not_asked_since(&self, moment: Duration) -> impl Iterator<Item = &Arc<str>> {
        let is_old =
            move |followed: &Followed| followed.asked_all.is_none_or(|asked| asked < moment);
        self.rooms.iter().filter(move |(_, followed)| is_old(followed)).map(|(room, _)| room)
    }

    /// Records that all nodes are asked for the people in a room.
    pub(super) fn all_asked(&mut self, room: &str, now: Duration) {
        if let Some(followed) = self.rooms.get_mut(room) {
            followed.asked_all = Some(now);
        }
    }

    /// Returns the rooms that this node follows.
    pub(super) fn rooms(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rooms.keys()
    }

    // ---- what other nodes say

    pub(super) fn handle_change(
        &mut self,
        node: NodeId,
        change: &PresenceChange<'_>,
        now: Duration,
    ) {
        let Some((room, replica)) = self.replica(node, change.room) else { return };
        if change.to == NOBODY {
            return self.remove(node, &room);
        }
        if replica.version != change.from {
            return self.miss(node, room, now);
        }
        replica.version = change.to;
        if replica.next.is_none() {
            replica.asked = None; // nothing is missing
        }
        let put = change.put.iter().map(|person| (person.id, Some(Present::from(*person))));
        let gone = change.gone.iter().map(|id| (*id, None));
        self.apply(node, &room, gone.chain(put).collect());
    }

    pub(super) fn handle_part(&mut self, node: NodeId, part: &PeoplePart<'_>, now: Duration) {
        let Some((room, replica)) = self.replica(node, part.room) else { return };
        let continues = part.version == replica.version && replica.next == Some(part.first);
        if part.first > 0 && !continues {
            // It is complete already, or a part was lost.
            if replica.next.is_some() {
                self.miss(node, room, now);
            }
            return;
        }
        if part.first == 0 {
            replica.refused = None; // they come again
        }
        replica.version = part.version;
        replica.next = part.last.checked_add(1);
        replica.asked = replica.next.map(|_| now);
        let is_in = |id: &u128| part.people.binary_search_by_key(id, |person| person.id).is_ok();
        let known = replica.people.range(part.first..=part.last);
        let gone = known.filter(|(id, _)| !is_in(id)).map(|(id, _)| (*id, None));
        let mut changes: Vec<_> = gone.collect();
        changes.extend(part.people.iter().map(|person| (person.id, Some(Present::from(*person)))));
        self.apply(node, &room, changes);
    }

    /// Compares what is known of a node's people with their versions.
    pub(super) fn handle_versions(&mut self, node: NodeId, versions: &Versions<'_>, now: Duration) {
        for listed in versions.recent.iter().chain(&versions.others) {
            let has_room = self.has_room_for_refused(node, listed.room);
            let Some((room, replica)) = self.replica(node, listed.room) else { continue };
            if replica.version == listed.version && replica.next.is_none() && !has_room {
                replica.asked = None;
            } else if listed.version == NOBODY {
                self.remove(node, &room);
            } else {
                self.miss(node, room, now);
            }
        }
        // All rooms with people in this range are listed.
        let last = versions.others.last().filter(|_| !versions.to_end);
        let last = last.map_or(Unbounded, |last| Included(last.room));
        let range = (Excluded(versions.after), last);
        let is_listed =
            |room: &str| versions.others.binary_search_by(|listed| listed.room.cmp(room)).is_ok();
        let known =
            self.nodes.get(&node).into_iter().flat_map(|rooms| rooms.range::<str, _>(range));
        let vanished = known.map(|(room, _)| room).filter(|room| !is_listed(room)).cloned();
        for room in vanished.collect::<Vec<_>>() {
            self.remove(node, &room);
        }
    }

    /// Withdraws the people of a node that is not there any more.
    pub(super) fn forget_node(&mut self, node: NodeId) {
        let rooms = self.nodes.get(&node).into_iter().flat_map(BTreeMap::keys).cloned();
        for room in rooms.collect::<Vec<_>>() {
            self.remove(node, &room);
        }
        self.nodes.remove(&node);
    }

    /// Returns the nodes whose people are known.
    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// Returns whether a node has this connection in a room, as far as is known.
    #[cfg(all(test, not(prism_loom)))]
    pub(super) fn knows(&self, room: &str, node: NodeId, id: u128) -> bool {
        let replica = self.nodes.get(&node).and_then(|replicas| replicas.get(room));
        replica.is_some_and(|replica| replica.people.contains_key(&id))
    }

    // ---- questions

    /// Records that a node is asked for its people in a room, or all nodes are (`None`). Returns what is known.
    pub(super) fn asked(
        &mut self,
        node: Option<NodeId>,
        room: &str,
        now: Duration,
    ) -> Vec<(NodeId, u64)> {
        let mut known = Vec::new();
        for (origin, replicas) in &mut self.nodes {
            if node.is_none_or(|node| node == *origin)
                && let Some(replica) = replicas.get_mut(room)
            {
                if node.is_some() {
                    replica.asked = Some(now); // it answers; of all nodes, only those do that know more
                }
                let is_complete = replica.next.is_none() && replica.refused.is_none();
                let version = if is_complete { replica.version } else { INCOMPLETE };
                known.push((*origin, version));
            }
        }
        known.sort_unstable();
        known.truncate(MAX_KNOWN);
        known
    }

    // ---- what is to be shown

    pub(super) fn next_update(&mut self) -> Option<PresenceUpdate> {
        self.updates.pop_front()
    }

    /// Returns what is to be asked for next.
    pub(super) fn next_missing(&mut self) -> Option<Missing> {
        self.missing.pop_front()
    }

    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns what is known of a node's people in a room, and its name, if this node follows it.
    fn replica(&mut self, node: NodeId, room: &str) -> Option<(Arc<str>, &mut Replica)> {
        let (room, _) = self.rooms.get_key_value(room)?;
        let replica = self.nodes.entry(node).or_default().entry(room.clone()).or_default();
        Some((room.clone(), replica))
    }

    /// Records that something is missing of a node's people in a room, unless it was asked for them a moment ago.
    fn miss(&mut self, node: NodeId, room: Arc<str>, now: Duration) {
        let replica = self.nodes.get_mut(&node).and_then(|replicas| replicas.get_mut(&room));
        let Some(replica) = replica else { return };
        if replica.asked.is_none_or(|asked| asked + MAX_WAIT <= now) {
            let again = replica.asked.replace(now).is_some();
            self.missing.push_back(Missing { node, room, again });
        }
    }

    /// Removes what is known of a node's people in a room: it has none.
    fn remove(&mut self, node: NodeId, room: &Arc<str>) {
        let Some(replica) = self.nodes.get(&node).and_then(|rooms| rooms.get(room)) else { return };
        let gone = replica.people.keys().map(|id| (*id, None)).collect();
        self.apply(node, room, gone);
        if let Some(rooms) = self.nodes.get_mut(&node) {
            rooms.remove(room);
        }
    }

    /// Returns whether there is room by now for those who were left out.
    fn has_room_for_refused(&self, node: NodeId, room: &str) -> bool {
        let replica = self.nodes.get(&node).and_then(|replicas| replicas.get(room));
        let refused = replica.and_then(|replica| replica.refused.as_deref());
        let followed = self.rooms.get(room);
        refused.zip(followed).is_some_and(|(person, followed)| followed.has_plenty_of_room(person))
    }

    fn apply(&mut self, node: NodeId, room: &Arc<str>, changes: Vec<(u128, Option<Present>)>) {
        let replica = self.nodes.get_mut(&node).and_then(|replicas| replicas.get_mut(room));
        let (Some(followed), Some(replica)) = (self.rooms.get_mut(room), replica) else { return };
        let mut applied = Vec::new();
        for (id, mut present) in changes {
            let before = replica.people.remove(&id);
            before.iter().for_each(|before| followed.remove(before));
            if let Some(refused) = present.take_if(|present| !followed.add(present)) {
                replica.refused = Some(refused.key);
                self.refused += 1;
            }
            replica.people.extend(present.clone().map(|present| (id, present)));
            if before != present {
                applied.push((id, present));
            }
        }
        if !applied.is_empty() && !followed.is_hidden {
            self.update(room, OthersChange::Show(node, applied));
        }
    }

    fn update(&mut self, room: &Arc<str>, change: OthersChange) {
        self.updates.push_back(PresenceUpdate { room: room.clone(), change });
    }
}
