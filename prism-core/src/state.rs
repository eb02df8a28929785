//! [`Role`] and [`State`] of a connection.

/// The end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that accepted the connection.
    Server,
    /// The end that opened the connection, and masks what it sends.
    Client,
}

/// The progress of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Messages may be sent.
    Open,
    /// A close frame was sent or received, or the connection has failed.
    Closing,
    /// The transport has ended, or has been given up.
    Closed,
}
