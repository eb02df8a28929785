//! [`Role`] and [`State`] of a connection.

/// One side of a connection: the server or the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that accepted the connection.
    Server,
    /// The side that opened the connection, and masks what it sends.
    Client,
}

/// The state of a connection, from open to closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Messages may be sent.
    Open,
    /// A close frame was sent or received, or the connection has failed.
    Closing,
    /// The transport has reached its end, or the close timeout has expired. Nothing more will be
    /// read.
    Closed,
}
