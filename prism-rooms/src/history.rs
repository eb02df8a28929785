//! [`History`]: messages that are kept, and repeated to clients that come back.

use std::{fmt, sync::Arc};

use prism_driver::{Connection, Deferring, Message, Outgoing};

use crate::{
    backplane::history::Keep,
    cluster::{
        Cluster,
        envelope::{MAX_NAME, MAX_PAYLOAD},
    },
    rooms::Rooms,
};

pub(crate) mod appends;
pub(crate) mod core;
pub(crate) mod error;
pub(crate) mod hub;
mod join;
pub(crate) mod join_id;
pub(crate) mod joined;
pub(crate) mod position;
pub(crate) mod record;
pub(crate) mod start;
pub(crate) mod task;

use self::{
    error::{AppendError, HistoryError, HistoryJoinError},
    hub::{Hub, JoinRequest, Request},
    join::Joining,
    joined::Joined,
    position::Position,
    start::Start,
};

/// Messages to rooms that are kept for a while, so that a client that was away gets what it has missed, or is told that
/// this cannot be had. Cheap to clone: all clones are the same.
///
/// The messages are kept by the [`Backplane`](crate::Backplane) of a [`Cluster`]. Each has a [`Position`], which
/// clients are told with it, and come back with:
///
/// ```no_run
/// # async fn send_everything(_: &prism_driver::Connection, _: prism_rooms::Position) {}
/// # async fn example(
/// #     cluster: prism_rooms::Cluster,
/// #     connection: prism_driver::Connection,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use prism_rooms::{History, Joined, Keep};
///
/// let keep = Keep::new(1000, Duration::from_secs(600));
/// // As clients see them: first the position, then the message.
/// let history = History::on(&cluster, keep, |position, message| {
///     format!("{position} {}", message.as_text().unwrap_or_default())
/// })?;
///
/// // When a client connects. Its query is the position that it was told last, if it was told any.
/// let position = connection.query().and_then(|query| query.parse().ok());
/// match history.join(&connection, "tea", position).await? {
///     Joined::Broken { position } => send_everything(&connection, position).await, // messages are lost
///     Joined::Whole { position, .. } => connection.send(format!("{position}")).await?, // nothing is missing
///     _ => {} // it was a member already
/// }
///
/// history.append("tea", "the kettle is on").await?;
/// # Ok(()) }
/// ```
///
/// Members of a room receive what is [appended](Self::append) in the order in which it is kept, on all nodes, after it
/// was kept. [The guide](crate::docs::history) says what you can rely on.
#[derive(Clone)]
pub struct History {
    rooms: Rooms,
    hub: Arc<Hub>,
}

impl History {
    /// Returns the history of a cluster. All its nodes need one, with the same `keep`, and should create it when they
    /// start: members on a node without it do not receive what is appended.
    ///
    /// `format` makes of each message what clients receive: they need its position. It is called once for all members
    /// of a room on this node, and once for each connection to which a message is repeated. It should be quick, because
    /// it delays what other nodes send. If it panics, clients are told that they may have missed something.
    ///
    /// # Errors
    /// If the backplane keeps no messages, if `keep` is for none, or if the cluster has a history already.
    pub fn on<M: Outgoing>(
        cluster: &Cluster,
        keep: Keep,
        format: impl Fn(&Position, Message<'_>) -> M + Send + Sync + 'static,
    ) -> Result<Self, HistoryError> {
        let hub = cluster.history().ok_or(HistoryError::NotKept)?;
        if keep.messages == 0 {
            return Err(HistoryError::KeepsNothing);
        }
        let format =
            move |position: &Position, message: Message<'_>| format(position, message).prepare();
        hub.set_up(keep, Arc::new(format))?;
        Ok(Self { rooms: cluster.rooms(), hub })
    }

    /// Sets what members of a room are told that may have missed something, because messages were lost that should have
    /// been kept. They receive what is appended after the position. The first argument is the name of the room.
    ///
    /// By default, their connections are closed with 1012 ("service restart"). They come back with their positions, and
    /// [`join`](Self::join) returns [`Joined::Broken`]. That is simple, but all of them come at once.
    #[must_use]
    pub fn on_broken<M: Outgoing>(
        self,
        notice: impl Fn(&str, &Position) -> M + Send + Sync + 'static,
    ) -> Self {
        let notice = move |room: &str, position: &Position| notice(room, position).prepare();
        self.hub.set_notice(Arc::new(notice));
        self
    }

    /// Keeps a message, and sends it to the members of a room on all nodes. Returns its position once it is kept.
    ///
    /// Members receive it from the backplane, those of this node, too: perhaps before this returns, perhaps after. A
    /// member whose outbox is full gets it when it has room again.
    ///
    /// If the future is dropped, the message may or may not be kept.
    ///
    /// # Errors
    /// If the message is not kept, or not known to be: see [`AppendError`]. Only after [`AppendError::Unknown`] may
    /// anyone receive it. [`Cluster::counts`] counts these errors, except those about a size, and
    /// [`ClusterEvent::AppendRefused`](crate::ClusterEvent::AppendRefused) says why the backplane refuses messages.
    pub async fn append(
        &self,
        room: &str,
        message: impl Outgoing,
    ) -> Result<Position, AppendError> {
        let message = message.prepare();
        let size = message.payload().len();
        if size > MAX_PAYLOAD {
            return Err(AppendError::TooLarge { size });
        }
        if room.len() > MAX_NAME {
            return Err(AppendError::NameTooLong);
        }
        let (pending, answer) = self.hub.begin_append(size).ok_or(AppendError::Unavailable)?;
        let record = record::encode(&message);
        self.hub.request(Request::Append { room: room.into(), record, pending });
        // Fails if the node had left before the message was given to the backplane.
        Deferring::new(answer.recv()).await.unwrap_or(Err(AppendError::Unavailable))
    }

    /// Adds a connection to a room, as [`Rooms::join`] does, and sends it what was appended `after` a position: that of
    /// the last message that the client has. With `None`, the client wants only what is to come, or the
    /// [last messages](Self::join_with_recent), too.
    ///
    /// Messages are repeated as fast as the connection takes them. Meanwhile it receives no others that are appended,
    /// so that their order is right; but it is a member already, and receives what is sent by [`Rooms::to`].
    ///
    /// Waits for the backplane, for up to 10 s at a time, and 1 s while the node has no connection to it. Waits for the
    /// client, as long as that reads. So the connection's handler can await this in
    /// [`on_connect`](prism_driver::Handler::on_connect). If the future is dropped, the connection leaves the room.
    ///
    /// Messages that follow may be sent to the connection before this returns: [the guide](crate::docs::history#use)
    /// says what a client makes of positions that it is told.
    ///
    /// # Errors
    /// If the connection cannot join, ends, or leaves the room meanwhile, or if the backplane does not answer. It is
    /// not a member then, or not because of this call.
    pub async fn join(
        &self,
        connection: &Connection,
        room: &str,
        after: Option<Position>,
    ) -> Result<Joined, HistoryJoinError> {
        self.join_from(connection, room, after.map_or(Start::Recent(0), Start::After)).await
    }

    /// Adds a connection to a room, as [`join`](Self::join) does, and sends it the last messages that were appended: at
    /// most `messages`, and not more than are kept. It is for clients without a position, which are new to the room.
    ///
    /// Returns [`Joined::Whole`] also if fewer messages are kept than the client wants, or none. With
    /// [`Joined::Broken`], some were lost after the client was sent others.
    ///
    /// # Errors
    /// Those of [`join`](Self::join).
    pub async fn join_with_recent(
        &self,
        connection: &Connection,
        room: &str,
        messages: u32,
    ) -> Result<Joined, HistoryJoinError> {
        self.join_from(connection, room, Start::Recent(messages.into())).await
    }

    /// Returns the rooms of the cluster.
    #[must_use]
    pub fn rooms(&self) -> Rooms {
        self.rooms.clone()
    }

    async fn join_from(
        &self,
        connection: &Connection,
        room: &str,
        start: Start,
    ) -> Result<Joined, HistoryJoinError> {
        if room.len() > MAX_NAME {
            return Err(HistoryJoinError::NameTooLong);
        }
        let (hub, membership) = (self.hub.clone(), self.rooms.downgrade());
        let (joining, answer_to) = Joining::new(hub, membership, connection, room.into());
        let (id, connection) = (joining.id().clone(), connection.clone());
        self.hub.request(Request::Join(JoinRequest { id, connection, start, answer_to }));
        joining.run().await
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("rooms", &self.rooms).finish_non_exhaustive()
    }
}
