//! What a [`Core`] knows of the rooms that are subscribed to.

use async_channel::Sender;

use super::Core;

impl Core {
    /// Answers whether messages of other nodes reach a room, as soon as they do; see
    /// [`Rooms::reached`](crate::Rooms::reached).
    pub(crate) fn handle_reached_request(&mut self, room: &str, answer_to: Sender<bool>) {
        self.subscriptions.when_reached(room, answer_to);
    }

    /// Returns whether the session has subscribed to a room.
    pub(crate) fn is_reached(&self, room: &str) -> bool {
        self.subscriptions.is_active(room)
    }

    /// Subscribes to a room again, because what was published there did not arrive.
    pub(crate) fn resubscribe(&mut self, room: &str) {
        self.subscriptions.repeat(room);
    }
}
