//! [`ClusterTask`]: the task of a cluster. It serves sessions one after the other, and moves what the core decides.

use std::{
    future::poll_fn,
    iter,
    sync::{Arc, Weak},
    task::Poll,
    time::Duration,
};

use async_channel::{Receiver, Sender};
use bytes::Bytes;
use prism_driver::{Connection, Runtime, contain, hold_wakeups};

use super::{
    core::{Core, Question},
    deadline::DeadlineTimer,
    event::ClusterEvent,
    served::Served,
    shared::Shared,
};
use crate::{
    backplane::{
        Backplane, Session, SessionEvent,
        command::{Ticket, TicketKind},
        history::Reply,
    },
    history::{record::is_published, task::HistoryTask},
    rooms::{deliver::deliver, membership::Membership},
    signal::SignalReceiver,
};

pub(super) struct ClusterTask<R: Runtime> {
    runtime: R,
    core: Core,
    shared: Arc<Shared>,
    signals: SignalReceiver,
    deadline: DeadlineTimer<R>,
    /// Closed when the node has left.
    runs: Sender<()>,
    /// It holds the cluster, not the other way round.
    membership: Weak<Membership<Connection>>,
    history: HistoryTask,
}

/// However the task ends, also with its runtime.
impl<R: Runtime> Drop for ClusterTask<R> {
    fn drop(&mut self) {
        let _wakeups = hold_wakeups(); // a channel that is closed wakes its receivers under its lock
        self.history.end();
        self.shared.close();
        self.core.close();
        while let Some(update) = self.core.poll_presence_update() {
            self.shared.show(update);
        }
        self.runs.close();
    }
}

impl<R: Runtime> ClusterTask<R> {
    pub(super) fn new(
        runtime: R,
        shared: Arc<Shared>,
        signals: Receiver<()>,
        runs: Sender<()>,
        membership: Weak<Membership<Connection>>,
        history: HistoryTask,
    ) -> Self {
        let core = Core::new(shared.origin, runtime.now());
        let (signals, deadline) = (SignalReceiver::new(signals), DeadlineTimer::new());
        Self { runtime, core, shared, signals, deadline, runs, membership, history }
    }

    /// Runs until the node has left.
    pub(super) async fn run(mut self, backplane: impl Backplane) {
        while !self.advance(None) {
            if self.core.wants_session(self.runtime.now()) {
                self.core.handle_session_started(self.runtime.now());
                let reason = self.serve(&backplane).await;
                let now = self.runtime.now();
                self.core.handle_session_ended(reason, &mut self.shared.outbox.lock(), now);
                self.history.handle_session_ended();
            } else {
                self.wait(None).await;
            }
        }
        contain(|| drop(backplane));
    }

    /// Serves a session until it has to end. Returns why.
    async fn serve(&mut self, backplane: &impl Backplane) -> String {
        let session = Session::new(self.shared.signal());
        let mut served = Served::new(backplane, &session);
        let reason = loop {
            if self.advance(Some(&session)) {
                break "this node leaves".to_owned();
            }
            if let Some(reason) = self.core.why_lost(self.runtime.now()) {
                break reason.to_owned();
            }
            if let Some(reason) = self.wait(Some(&mut served)).await {
                break reason;
            }
            served.stop_waking();
        };
        drop(served);
        let _wakeups = hold_wakeups(); // as in `advance`
        self.handle_inputs(&session, self.runtime.now()); // what has arrived at last
        self.history.handle_not_taken(session.take_commands());
        reason
    }

    /// Waits for something to do: what the backplane reports, a signal or a deadline. Returns why the session has
    /// ended, if it has.
    async fn wait(&mut self, mut served: Option<&mut Served<'_>>) -> Option<String> {
        let now = self.runtime.now();
        let deadlines = [self.core.next_deadline(now), self.history.next_deadline()];
        self.deadline.set(deadlines.into_iter().flatten().min(), &self.runtime, now);
        let (mut is_due, mut has_waited) = (false, false);
        poll_fn(|cx| {
            if is_due {
                return Poll::Ready(None);
            }
            // The backplane goes first, so that what it receives is delivered in the same poll.
            if let Some(served) = &mut served
                && let Poll::Ready(ended) = served.poll(cx)
            {
                if ended.is_some() {
                    return Poll::Ready(ended);
                }
                is_due = true;
            }
            is_due |= self.signals.poll(cx).is_ready() || self.deadline.poll(cx).is_ready();
            if is_due && has_waited {
                return Poll::Ready(None);
            }
            if is_due {
                cx.waker().wake_by_ref(); // other tasks get a turn
            }
            has_waited = true;
            Poll::Pending
        })
        .await
    }

    /// Does all that can be done now. Returns whether the node has left.
    fn advance(&mut self, session: Option<&Session>) -> bool {
        let _wakeups = hold_wakeups(); // those who ask are woken when nothing is locked
        let now = self.runtime.now();
        self.history.handle_requests(now);
        let changes = self.shared.take_changes();
        for (room, exists) in changes.rooms {
            if !exists {
                self.history.handle_vacant(&room);
            }
            self.core.handle_room(room, exists, now);
        }
        for (room, answer_to) in changes.reached_requests {
            self.core.handle_reached_request(&room, answer_to);
        }
        for (room, members, answer_to) in changes.count_requests {
            let outbox = &mut self.shared.outbox.lock();
            self.core.handle_count_request(&room, members, answer_to, outbox, now);
        }
        for prefix in changes.ended_topics {
            self.core.handle_topic_ended(&prefix, now);
        }
        for (room, changes) in changes.presence {
            for (id, present) in changes.people {
                self.core.handle_person(&room, id, present, now);
            }
            if let Some(exists) = changes.exists {
                self.core.handle_presence_room(&room, exists, now);
            }
        }
        if changes.leaves {
            self.core.handle_leave(&mut self.shared.outbox.lock(), now);
            self.history.handle_leave();
        }
        if let Some(session) = session {
            self.handle_inputs(session, now);
        }
        self.core.handle_timeout(now);
        self.core.push_heartbeat(&mut self.shared.outbox.lock(), now);
        self.show();
        self.publish_presence(now);
        self.history.advance(&mut self.core, now);
        if let Some(session) = session {
            // First what is to be kept: once the goodbye is published, the node has left, and waits for no answer.
            session.add_commands(iter::from_fn(|| self.history.poll_command()));
            let next_to_publish = || self.shared.outbox.lock().next_to_publish(now);
            session.add_commands(iter::from_fn(|| self.core.poll_command(next_to_publish)));
        }
        while let Some(event) = self.core.poll_event() {
            self.shared.report(&event);
        }
        self.history.take_events().iter().for_each(|event| self.shared.report(event));
        let outbox = self.shared.outbox.lock();
        let (counts, has_left) = (self.core.counts(&outbox), self.core.has_left(&outbox, now));
        drop(outbox);
        self.shared.set_counts(counts);
        has_left
    }

    /// Handles what a session has reported.
    fn handle_inputs(&mut self, session: &Session, now: Duration) {
        let inputs = session.take_inputs();
        if inputs.is_connected {
            self.core.handle_connected(now);
            self.history.handle_connected();
        }
        for event in inputs.events {
            match event {
                SessionEvent::Done(ticket) => {
                    self.core.handle_done(ticket, &mut self.shared.outbox.lock(), now);
                }
                SessionEvent::Replied(
                    Ticket(TicketKind::Publish(number)),
                    Reply::Refused(reason),
                ) => {
                    if self.shared.outbox.lock().refuse(number) {
                        self.shared.report(&ClusterEvent::PublishRefused { reason });
                    }
                }
                SessionEvent::Replied(ticket, reply) => self.history.handle_reply(ticket, reply),
                SessionEvent::Received(payload) => self.receive(&payload, now),
            }
        }
    }

    fn receive(&mut self, payload: &Bytes, now: Duration) {
        if is_published(payload) && self.history.handle_published(payload) {
            return;
        }
        self.core.handle_received(payload, now); // what is malformed is counted there
        self.deliver();
        self.show();
        self.answer(now);
    }

    fn answer(&mut self, now: Duration) {
        while let Some(Question { origin, number, room }) = self.core.poll_question() {
            let members = self.membership.upgrade().map_or(0, |membership| {
                membership.with_members(&room, |members| members.len()).unwrap_or(0)
            });
            self.shared.outbox.lock().push_answer(origin, number, members as u64, now);
        }
    }

    /// Puts what is to be said about presence into the outbox, as far as it has room for that.
    fn publish_presence(&mut self, now: Duration) {
        loop {
            let has_room = self.shared.outbox.lock().has_room_for_presence();
            let Some(presence) = self.core.poll_presence(has_room, now) else { break };
            self.shared.outbox.lock().push_presence(presence, now);
        }
    }

    /// Shows what other nodes say about presence.
    fn show(&mut self) {
        while let Some(update) = self.core.poll_presence_update() {
            self.shared.show(update);
        }
    }

    fn deliver(&mut self) {
        while let Some(incoming) = self.core.poll_incoming() {
            if let Some(membership) = self.membership.upgrade() {
                deliver(&membership, incoming);
            }
        }
    }
}
