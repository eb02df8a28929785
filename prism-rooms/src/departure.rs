//! [`Departure`]: what [`Rooms::on_leave`] tells.

use std::sync::Arc;

use prism_driver::Connection;

use crate::rooms::Rooms;

/// A connection that has left rooms, as told to the hooks of [`Rooms::on_leave`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Departure<'a> {
    /// The rooms that the hook was left with, to send to the others with. A hook that held a clone of
    /// them instead would keep them for ever.
    pub rooms: &'a Rooms,
    /// Who has left. If it has [ended](Self::ended), it cannot be sent to, or join, any more; its id,
    /// path, parameters and query are still known.
    pub connection: &'a Connection,
    /// The names of the rooms that it has left: at least one, in no particular order.
    pub left: &'a [Arc<str>],
    /// Whether it has left them because it has ended, and not by [`Rooms::leave`] or
    /// [`Rooms::leave_all`].
    pub ended: bool,
}
