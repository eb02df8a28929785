//! What becomes of a connection that has left rooms: it is not present there any longer, and it is told.

use prism_driver::Connection;
use serde_json::value::RawValue;

use super::{
    answer::{self, Answer},
    pending_requests::PendingRequests,
};
use crate::{presence::Presence, rooms::Departure};

/// Runs whenever a connection has left rooms, at its own request or by a call of your program.
pub(super) fn after_leave(
    presence: &Presence<Box<RawValue>>,
    pending_requests: &PendingRequests,
    departure: &Departure<'_>,
) {
    let Departure { rooms, connection, .. } = *departure;
    if departure.ended {
        return; // presence notices by itself
    }
    for room in departure.left {
        // The connection may have joined again, or be about to. Then its presence is that of the newer stay.
        if pending_requests.contains(connection.id(), room) || rooms.contains(room, connection.id())
        {
            continue;
        }
        forget(presence, connection, room);
        answer::send_or_close(connection, Answer::Left { room }.encode());
    }
}

/// Ends the presence of a connection in a room.
pub(super) fn forget(presence: &Presence<Box<RawValue>>, connection: &Connection, room: &str) {
    presence.unwatch(connection.id(), room);
    presence.untrack(connection.id(), room);
}
