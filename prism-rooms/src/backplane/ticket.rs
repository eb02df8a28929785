//! [`Ticket`]: which command it is.

/// Identifies a command, so that a backplane can say when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) TicketKind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TicketKind {
    /// For the channels that every session subscribes to, about which nobody asks.
    Start,
    /// The number of a batch of subscriptions.
    Subscribe(u64),
    /// The number of a batch of subscriptions for presence.
    SubscribePresence(u64),
    /// The number of an envelope. An envelope for several rooms is published on each room's channel.
    Publish(u64),
    /// The number of an append or a read.
    History(u64),
}
