//! [`Options`]: the limits of the driver, beside those of the protocol.

use std::time::Duration;

use prism_core::Config;

use crate::{pace::Rate, write_progress::WriteLimits};

/// The limits of a connection, each with a default that is safe on the open internet.
///
/// ```
/// let mut options = prism_driver::Options::default();
/// options.protocol.max_message_size = 16 << 20;
/// options.high_water_mark = 256 << 10;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The limits and intervals of the protocol.
    pub protocol: Config,
    /// How long a client may take to find and reach a server, over all its addresses. Default: 10 s:
    /// on a bad line the first packet is sent three times, after one second and two more.
    pub connect_timeout: Duration,
    /// How long a handshake may take in all, however its bytes trickle in. Default: 10 s: some lost
    /// packets on a slow line, and no more, because a handshake takes a place from others.
    pub handshake_timeout: Duration,
    /// How many unsent bytes a connection may hold before senders wait; it may be exceeded by one
    /// message. Default: 64 KiB: beside what the operating system holds, it keeps a fast line busy.
    ///
    /// A message that is sent has no limit of its own ([`max_message_size`](Config::max_message_size) is
    /// for those that come), so what one connection holds is bounded by this mark and the largest message
    /// that you send. What all connections of a server hold is bounded by
    /// [`max_buffered`](Self::max_buffered).
    pub high_water_mark: usize,
    /// How long the operating system may take no byte of what is to be sent, a page or messages, because the peer
    /// reads nothing. Default: 30 s: longer than most tunnels, and
    /// short enough that who reads nothing does not keep its memory for long. (What a transport has in
    /// buffers of its own, as TLS has, counts as taken when it has been flushed whole.)
    pub write_timeout: Duration,
    /// How many bytes per second the peer has to take at least while something is waiting for it all the
    /// time, a page or messages; 0 for no such floor. It is judged over windows that are as long as the
    /// [write timeout](Self::write_timeout): with the defaults, 7,200 bytes in each 30 s. Default: 240,
    /// which is also the floor of Kestrel and of IIS: slower than any line in use, and 64 KiB are gone
    /// in five minutes.
    ///
    /// The write timeout alone allows a byte every 29 s, for ever, while all that waits is held in
    /// memory. What the operating system takes counts in the window in which it takes it; it takes
    /// large pieces and then nothing for a while, which is why a window is not shorter.
    pub min_write_rate: usize,
    /// How many bytes of memory a server holds in all for peers that do not take what is sent to them.
    /// When more waits, the connection whose peer has taken nothing for longest is aborted
    /// ([`Failure::Evicted`](crate::Failure::Evicted)), then the next, until the rest fits. Senders to other
    /// connections notice nothing. Default: 256 MiB: almost four thousand full
    /// [outboxes](Self::high_water_mark), and far more where they hold the same messages.
    ///
    /// A connection is counted from when its task finds that the transport takes no more until nothing
    /// waits for the peer. What counts is the memory of its outbox, and half a kilobyte for what else it
    /// costs. A [prepared message](crate::PreparedMessage) that waits in many outboxes is in memory once,
    /// so it counts once. See [`Counts::buffered`](crate::Counts::buffered) for the sum, and
    /// [`Counts::evicted`](crate::Counts::evicted) for the number of connections that were aborted.
    ///
    /// It should be many times as large as the largest message that you send. Peers that read, but more
    /// slowly than you send, are counted as well: where a few large messages fill all of it, they are
    /// aborted although they read. A value below the high-water mark counts as that mark, and a connection
    /// is not aborted while it is the only one that waits.
    ///
    /// Each server has a bound of its own. Clients and [single streams](crate::serve_stream) have none.
    pub max_buffered: usize,
    /// How many messages a server takes from each of its connections; `None` for as many as come.
    /// Default: `None`: what is much depends on the application, and a slow handler slows its peer
    /// down by itself.
    ///
    /// A peer that sends more is not read from until its next message may be taken, so that it has to
    /// wait, and nothing is lost. (Its pings and its close frame wait as well, as they do while a handler
    /// runs. And as then, the buffer that a message came in is kept: 64 KiB, or what the message needs.) It
    /// is not closed for it: most who send too much at once just come back from a tunnel. A
    /// handler that would rather close counts by itself, and does so.
    pub message_rate: Option<Rate>,
    /// How many connections a server has at once, handshakes included; further ones wait in the
    /// operating system's queue, unless there are handshakes or [pages](Self::max_pages) that have to
    /// [make way](Self::max_handshakes). Default: 65,536: idle, they take about 80 MB, and what waits for
    /// their peers is [bounded](Self::max_buffered) for all together. Each
    /// takes a descriptor, of which the operating system often allows fewer; where it has no more, it is
    /// as if these were all.
    pub max_connections: usize,
    /// How many handshakes a server has under way at once. Where there are as many, or no place or
    /// descriptor is left for a connection, the oldest is dropped in favour of whoever comes next, if it has had a
    /// quarter of a second; until then the newcomer waits.
    ///
    /// If newcomers just waited, so many peers that say nothing would lock everybody out for the
    /// [handshake timeout](Self::handshake_timeout), again and again. This way four times as many get
    /// their turn each second. Default: 4,096, which is as many as may wait in the operating system's queue.
    /// So 8,000 silent peers that reconnect whenever they are dropped delay a handshake by no more than that
    /// quarter of a second, and cost 7 MB (what TLS holds is added). With fewer places the queue overflows,
    /// and then the operating system of a client tries again only after a second, and after more: with
    /// 1,024, half of all handshakes took longer than 4 s.
    pub max_handshakes: usize,
    /// How many plain HTTP answers, pages and refusals, a server has under way at once, apart from the
    /// handshakes. An answer that the operating system takes at once is not under way; one that has to
    /// wait for its peer is, until all of it is taken or the peer is [too slow](Self::min_write_rate).
    ///
    /// Where there are as many, the one that has been under way for longest is cut in favour of the
    /// next, if it has had five seconds. Until then the next is sent from its handshake's place, with
    /// what that means: it can be made to [make way](Self::max_handshakes), and is cut at the end of the
    /// [handshake timeout](Self::handshake_timeout). Where no place or descriptor is left for a
    /// connection, pages make way as handshakes do, after the same five seconds.
    ///
    /// So peers that read slowly on purpose keep nobody from a handshake, nor from a small page, and two
    /// hundred large ones get their turn each second. Default: 1,024: a few megabytes, if the pages are
    /// [shared](prism_core::Reply), and more downloads than most lines carry.
    pub max_pages: usize,
    /// How long a server that shuts down waits for its connections and pages to end, from the beginning;
    /// what has not ended then is cut. Peers that do not answer are not waited for that long: they have the [close
    /// timeout](Config::close_timeout), from when they are told. Default: 10 s: those who stop a service
    /// usually kill it after that, or after 30 s.
    pub shutdown_grace: Duration,
    /// Over how long a server that shuts down tells its connections so, in a hundred equal steps; at
    /// most half of the [grace time](Self::shutdown_grace). Zero tells all at once, and that is what
    /// fewer than 65 connections are told in any case: a step is 64 of them at least.
    ///
    /// Everybody who is told connects anew somewhere else, and the handshakes of all at the same
    /// instant are more than what a server does on a busy day. Default: 5 s, so that 50,000
    /// connections come back at 10,000 a second, and the last of them still has its whole [close
    /// timeout](Config::close_timeout) within the grace time.
    pub shutdown_spread: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            protocol: Config::default(),
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            high_water_mark: 64 << 10,
            write_timeout: Duration::from_secs(30),
            min_write_rate: 240,
            max_buffered: 256 << 20,
            message_rate: None,
            max_connections: 65_536,
            max_handshakes: 4096,
            max_pages: 1024,
            shutdown_grace: Duration::from_secs(10),
            shutdown_spread: Duration::from_secs(5),
        }
    }
}

impl Options {
    /// The protocol's limits, with pongs held to the outbox's mark as well.
    pub(crate) fn config(&self) -> Config {
        let mut config = self.protocol.clone();
        config.pong_mark = config.pong_mark.min(self.high_water_mark);
        config
    }

    /// How slowly a peer may take what is to be sent.
    pub(crate) const fn write_limits(&self) -> WriteLimits {
        WriteLimits { timeout: self.write_timeout, min_rate: self.min_write_rate }
    }

    /// Over how long a shutdown is told.
    pub(crate) fn farewell(&self) -> Duration {
        self.shutdown_spread.min(self.shutdown_grace / 2)
    }
}
