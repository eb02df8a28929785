//! What is sent: the same bytes again and again, or compressed JSON.

use std::{io, net::SocketAddr};

use mio::Poll;
use prism_core::deflate::WindowBits;

use super::{
    Compressed, Payload,
    client::{Client, Site},
    frames::Frames,
};

/// What the clients send, and how.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    /// This payload, on connections without extensions.
    Plain(Payload),
    /// JSON, on connections that have agreed on compression.
    Compressed(Compressed),
}

impl Content {
    /// Returns the site, with an offer to compress if that is wanted.
    pub(super) fn site(self, address: SocketAddr) -> Site {
        match self {
            Self::Plain(_) => address.into(),
            Self::Compressed(json) => json.site(address),
        }
    }

    /// Returns the frames; equal ones are enough for one write to send this many.
    pub(super) fn frames(self, at_once: usize) -> Frames {
        match self {
            Self::Plain(payload) => Frames::equal(payload, at_once),
            Self::Compressed(json) => json.frames(),
        }
    }

    /// Sends the first messages on the first `senders` connections, and [checks](Compressed::check) that all
    /// connections receive them, compressed. Returns the window of the server's messages. Does nothing if the
    /// connections do not compress.
    pub(super) fn check(
        self,
        poll: &mut Poll,
        clients: &mut [Client],
        senders: usize,
        frames: &Frames,
    ) -> io::Result<Option<WindowBits>> {
        match self {
            Self::Plain(_) => Ok(None),
            Self::Compressed(json) => json.check(poll, clients, senders, frames).map(Some),
        }
    }
}
