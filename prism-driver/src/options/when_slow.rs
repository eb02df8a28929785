//! [`WhenSlow`]: the policy for messages to a peer that does not keep up.

/// The policy for a message that finds the outbox full, because as many bytes as the [high-water
/// mark](crate::Options::high_water_mark) are already waiting for the peer. Return it from
/// [`Handler::when_slow`](crate::Handler::when_slow).
///
/// | | `send` | `try_send`, and broadcasts |
/// |---|---|---|
/// | `Wait` | waits for room | returns `Full` |
/// | `DropNewest` | drops the message and returns `Ok` | returns `Full` |
/// | `DropOldest` | drops older messages and returns `Ok` | drops older messages and returns `Ok` |
/// | `Close` | closes the connection and returns `Closed` | closes the connection and returns `Full` |
///
/// ```
/// use prism_driver::{Connection, Handler, Message, WhenSlow};
///
/// struct Prices;
///
/// impl Handler for Prices {
///     fn when_slow(&self, _: &Connection) -> WhenSlow {
///         WhenSlow::DropOldest
///     }
///
///     async fn on_message(&self, _: &Connection, _: Message<'_>) {}
/// }
/// ```
///
/// Messages are dropped whole, and [counted](crate::Connection::missed).
///
/// Before a message counts as too many, Prism writes what the transport takes. So no message is dropped only because
/// the connection's task has not had its turn. (On tokio, a task has to yield after about a hundred such writes in a
/// row. Then a peer can count as slow although it is not.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenSlow {
    /// Senders that can wait do so. For conversations: no message is dropped, and a slow peer slows down its senders.
    #[default]
    Wait,
    /// The new message is dropped. For messages of which the older ones are worth more.
    DropNewest,
    /// The oldest messages of which nothing has been written yet are dropped, as many as necessary. For prices,
    /// positions, and other messages that newer ones replace. Each message is stored separately, and counts 160 bytes
    /// more than its own size towards the mark, which is what that costs. If there are no such messages, and in
    /// clients, whose messages are masked, the new message is dropped.
    DropOldest,
    /// The connection is closed with 1013, "try again later", as soon as it would miss a message. For streams that make
    /// no sense with a gap. What was accepted before is still sent.
    Close,
}
