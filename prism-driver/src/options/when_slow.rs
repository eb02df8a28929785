//! [`WhenSlow`]: what becomes of messages for a peer that does not keep up.

/// What becomes of a message for which there is no room, because as many bytes as the
/// [high-water mark](crate::Options::high_water_mark) wait for the peer already; see
/// [`Handler::when_slow`](crate::Handler::when_slow).
///
/// | | `send` | `try_send`, and whoever sends to many |
/// |---|---|---|
/// | `Wait` | waits for room | misses it, and is told |
/// | `DropNewest` | returns at once, and misses it | misses it, and is told |
/// | `DropOldest` | is accepted; older ones are missed | is accepted; older ones are missed |
/// | `Close` | closes the connection | closes the connection, and is told that it was full |
///
/// Messages are missed whole, and [counted](crate::Connection::missed).
///
/// What is full is written first, as far as the transport takes it, so that nothing is missed for want of
/// a turn. (But tokio lets nobody write for ever without giving others a turn: after a hundred such writes
/// in one, a peer counts as slow that is not.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenSlow {
    /// Who can wait, waits. For conversations: nothing is missed, and a slow peer slows down who sends
    /// to it.
    #[default]
    Wait,
    /// The new message is missed: what the peer has not read yet is worth more.
    DropNewest,
    /// The oldest messages of which nothing has been written yet are missed, as many as it takes: for
    /// prices, positions, and whatever else makes sooner ones worthless. Each waits apart from the
    /// others, and counts 160 bytes more than its own towards the mark: that is what it costs. (Where
    /// there are none, and in clients, whose messages are masked, the new one is missed.)
    DropOldest,
    /// The connection is closed with 1013, "try again later", as soon as it would miss something: for
    /// what makes no sense with a gap in it. What was accepted before is still sent.
    Close,
}
