//! Which end of a connection this is, and how far its life has come.

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that accepted the connection.
    Server,
    /// The end that opened it, and masks what it sends.
    Client,
}

/// How far a connection's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Messages may be sent.
    Open,
    /// A close frame was sent or received, or the connection has failed.
    Closing,
    /// The transport has ended, or has been given up.
    Closed,
}
