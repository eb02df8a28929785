//! [`Authorize`]: what the application allows clients of [`JsonRooms`](crate::JsonRooms) to do.

use std::{borrow::Cow, error::Error, fmt};

use prism_driver::Connection;

/// The application's decisions about the clients of a [`JsonRooms`](crate::JsonRooms).
///
/// A connection's [`data`](Connection::data), parameters and query tell who its user is. An async method can ask a
/// database; while it waits, nothing more is read from this connection, and the others go on. It has [a time
/// limit](crate::JsonRooms::authorize_timeout).
///
/// With a [history](crate::JsonRooms::with_history), accept only names of rooms that exist, or that users may create.
/// Each room takes memory in the backplane, also after its members have left, and nothing else limits how many there
/// are.
///
/// A function or closure without `async` is an `Authorize` too:
///
/// ```
/// use prism_rooms::{Action, Authorize, Refusal};
/// use prism_tokio::Connection;
///
/// fn allow(_: &Connection, room: &str, action: Action<'_>) -> Result<(), Refusal> {
///     match action {
///         Action::Send { data } if data.len() > 1000 => Err("expected at most 1,000 bytes".into()),
///         _ if room.starts_with("private:") => Err("this room is private".into()),
///         _ => Ok(()),
///     }
/// }
///
/// fn takes_authorize(_: impl Authorize) {}
/// takes_authorize(allow);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an `Authorize`",
    note = "implement `Authorize`, or pass a `fn(&Connection, &str, Action<'_>) -> Result<(), Refusal>`"
)]
pub trait Authorize: Send + Sync + 'static {
    /// Decides whether a connection may do something in a room. Leaving a room is always allowed, and so is ending
    /// one's own presence.
    ///
    /// The decision is executed unless the connection has [been removed](crate::JsonRooms::remove) from the room in the
    /// meantime. The future is dropped if the connection ends, or if it takes too long.
    ///
    /// A join that comes with metadata, or that asks to watch, is several actions. If one of them is refused, the
    /// connection does not join.
    fn authorize(
        &self,
        connection: &Connection,
        room: &str,
        action: Action<'_>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Returns the key of the person to whom a connection belongs: the sender of its messages, and the key of its
    /// presence. All clients see it, so it must not be a secret. By default, each connection is a person of its own,
    /// whose key is the [ID](Connection::id) of the connection.
    fn person<'a>(&self, connection: &'a Connection) -> Cow<'a, str> {
        connection.id().to_string().into()
    }
}

impl<F> Authorize for F
where
    F: Fn(&Connection, &str, Action<'_>) -> Result<(), Refusal> + Send + Sync + 'static,
{
    async fn authorize(
        &self,
        connection: &Connection,
        room: &str,
        action: Action<'_>,
    ) -> Result<(), Refusal> {
        self(connection, room, action)
    }
}

/// What a client wants to do in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action<'a> {
    /// To join the room. All other actions are of members.
    Join,
    /// To send a message to all members.
    Send {
        /// The data of the message, as JSON.
        data: &'a str,
    },
    /// To be shown as present, or to change the metadata with which it is shown.
    Track {
        /// The metadata, as JSON.
        meta: &'a str,
    },
    /// To see who is present.
    Watch,
}

/// The reason why a client may not do something. The client receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub(super) reason: String,
    pub(super) is_temporary: bool,
}

impl Refusal {
    /// Refuses for good. The client does not try again by itself.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_temporary: false }
    }

    /// Refuses for now, because a database cannot be reached, for example. A client that wants to join a room tries
    /// again after a while.
    pub fn temporary(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_temporary: true }
    }

    /// Returns the reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns whether it is [temporary](Self::temporary).
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.is_temporary
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Refusal {}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self::new(reason)
    }
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::new(reason)
    }
}
