//! [`Departure`]: what [`Rooms::on_leave`] tells.

use std::sync::Arc;

use prism_driver::Connection;

use crate::rooms::Rooms;

/// A connection that has left rooms, as told to the hooks of [`Rooms::on_leave`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Departure<'a> {
    /// The rooms that the hook is registered with. Send to the other members through this: a hook that
    /// captured a clone instead would keep itself, and all rooms, alive.
    pub rooms: &'a Rooms,
    /// The connection that has left. Once it has [ended](Self::ended) it can neither be sent to nor join
    /// a room; its id, path, parameters and query are still known.
    pub connection: &'a Connection,
    /// The names of the rooms that it has left: at least one, in no particular order.
    pub left: &'a [Arc<str>],
    /// Whether it has left them because it has ended, and not by [`Rooms::leave`] or
    /// [`Rooms::leave_all`].
    pub ended: bool,
}
