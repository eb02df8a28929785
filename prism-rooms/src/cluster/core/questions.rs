//! [`Questions`]: how many members a room has on all nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_channel::Sender;

use crate::cluster::{event::MemberCount, node_id::NodeId};

/// How long to wait for answers.
const MAX_WAIT: Duration = Duration::from_millis(300);
/// The most questions at a time. More are answered with what is known here.
const MAX_QUESTIONS: usize = 1024;

/// The questions that this node has asked, by the numbers of their envelopes.
#[derive(Default)]
pub(super) struct Questions {
    pending: BTreeMap<u64, PendingCount>,
}

struct PendingCount {
    until: Duration,
    /// The nodes that have not answered.
    waits_for: BTreeSet<NodeId>,
    count: MemberCount,
    answer_to: Sender<MemberCount>,
}

impl Questions {
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= MAX_QUESTIONS
    }

    /// Adds a question to these nodes. `members` is the number of members on this node.
    pub(super) fn ask(
        &mut self,
        number: u64,
        nodes: impl Iterator<Item = NodeId>,
        members: usize,
        answer_to: Sender<MemberCount>,
        now: Duration,
    ) {
        let count = MemberCount { members, nodes: 1, unanswered: 0 };
        let pending =
            PendingCount { until: now + MAX_WAIT, waits_for: nodes.collect(), count, answer_to };
        self.pending.insert(number, pending);
    }

    /// Records the answer of a node. A second one of the same node does not count.
    pub(super) fn answer(&mut self, number: u64, node: NodeId, members: u64) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        if !pending.waits_for.remove(&node) {
            return;
        }
        pending.count.nodes += 1;
        pending.count.members = pending.count.members.saturating_add(members as usize);
        if pending.waits_for.is_empty()
            && let Some(pending) = self.pending.remove(&number)
        {
            pending.finish();
        }
    }

    /// Answers the questions that have waited for long enough. Returns whether there were any.
    pub(super) fn expire(&mut self, now: Duration) -> bool {
        let mut has_expired = false;
        while let Some(first) = self.pending.first_entry()
            && first.get().until <= now
        {
            first.remove().finish();
            has_expired = true;
        }
        has_expired
    }

    /// Returns when the first question has waited for long enough. They all wait for the same time.
    pub(super) fn next_expiry(&self) -> Option<Duration> {
        self.pending.first_key_value().map(|(_, pending)| pending.until)
    }
}

impl PendingCount {
    fn finish(self) {
        let count = MemberCount { unanswered: self.waits_for.len(), ..self.count };
        let _ = self.answer_to.try_send(count); // fails if nobody waits any more
    }
}
