//! [`WhenSlow`]: the policy for messages to a peer that does not keep up.

/// The policy for messages that are sent while the outbox is full, that is, while at least as many bytes as the
/// [high-water mark](crate::Options::high_water_mark) are waiting for the peer. Set it with
/// [`Options::when_slow`](crate::Options::when_slow), or for one connection with
/// [`Connection::set_when_slow`](crate::Connection::set_when_slow).
///
/// | | `send` | `try_send`, and broadcasts of `prism-rooms` |
/// |---|---|---|
/// | `Wait` | waits for room | returns `Full` |
/// | `DropNewest` | drops the message and returns `Ok` | returns `Full` |
/// | `DropOldest` | drops older messages and returns `Ok` | drops older messages and returns `Ok` |
/// | `Close` | closes the connection and returns `Closed` | closes the connection and returns `Full` |
///
/// ```
/// # use prism_driver::{Options, WhenSlow};
/// let prices = Options::default().when_slow(WhenSlow::DropOldest);
/// ```
///
/// [Slow consumers](crate::docs::slow_consumers) helps to choose.
///
/// A message is dropped as a whole or not at all. [`Connection::missed`](crate::Connection::missed) counts the messages
/// that were dropped, or refused as full.
///
/// Before Prism drops or refuses a message, it writes as much as the transport takes. So a message is never missed
/// merely because the connection's task has not had its turn yet. (There is one exception: on tokio, a task has to
/// yield after about a hundred such writes in a row, and a peer may then be treated as slow even though it is not.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenSlow {
    /// Senders that can wait do so. Suits conversations: no message is dropped, and a slow peer slows down its senders.
    #[default]
    Wait,
    /// The new message is dropped. Suits messages of which the older ones are worth more than the newer ones.
    DropNewest,
    /// The oldest waiting messages are dropped, as many as necessary, except for one that has already been written in
    /// part. Suits prices, positions, and other messages that newer ones replace. If there is no message to drop, the
    /// new one is dropped (`try_send` returns `Full`).
    ///
    /// Each message is stored separately. The 176 bytes that this costs count towards the high-water mark as well. A
    /// client masks its messages, so they cannot be stored separately: on a client, the new message is always the one
    /// that is dropped.
    ///
    /// With this policy, no [compressed](crate::docs::compression) message refers to an earlier one, whatever was
    /// agreed, and neither does any later message of the connection.
    ///
    /// Only the outbox is kept fresh. The buffers of the operating systems at both ends hold older messages, and on a
    /// slow link these may be seconds old. If each message has to be the latest when it arrives, let only one be in
    /// flight: send it with a [ping](crate::Connection::ping), and send the next one when the
    /// [pong](crate::Handler::on_pong) has arrived, as the example `ticker` does.
    DropOldest,
    /// The connection is closed with 1013, "try again later", as soon as its peer would miss a message. Suits streams
    /// that make no sense with a gap. Messages that were accepted before are still sent.
    Close,
}
