//! [`UnsentLimit`]: how many unsent bytes the kernel accepts for a connection.

use std::{io, num::NonZeroU32, task::Poll, time::Duration};

use socket2::SockRef;

use crate::runtime::EPOCH;

/// The limit of a server's connections at first. Bytes that the kernel has accepted are out of the driver's control:
/// the high-water mark does not cover them, and the driver cannot tell how slowly the peer reads before a third of them
/// has been sent. By default, the kernel would accept megabytes.
pub(crate) const LOWEST: u32 = 128 << 10;

/// The limit of a connection whose peer takes at once what it is sent.
const HIGHEST: u32 = 1 << 20;

/// From this size on, each write is looked at, and a smaller one only while something waits. It is rarely divided: only
/// if the socket is nearly full.
const LARGE: usize = 64 << 10;

/// A peer that makes a write wait no longer than this is fast.
const FAST: Duration = Duration::from_millis(50);

/// A peer that makes a write wait longer than this is slow.
const SLOW: Duration = Duration::from_millis(500);

/// Adapts how many unsent bytes the kernel accepts for a TCP connection (`TCP_NOTSENT_LOWAT`) to its peer. The streams
/// of the adapters have one on operating systems with this setting. It is not part of the public interface.
///
/// The listener of a server sets a low limit, which its connections inherit. It keeps the memory for peers that do not
/// read small, but divides a large message into several writes. So the limit is doubled, up to three times, when a peer
/// takes quickly what it is sent. The first write that succeeds after more than half a second of waiting sets it back.
/// A socket without this limit, such as that of a client, is left alone.
///
/// A peer that takes some messages quickly and then nothing can thus make the kernel hold 1 MiB until the write
/// timeout. To set the limit back as soon as the peer stalls would not help: the kernel keeps what it has accepted.
#[derive(Debug, Default)]
pub struct UnsentLimit {
    state: State,
    /// The moment when a write was divided or had to wait, unless one has succeeded since: in milliseconds, and not 0.
    waits_since: Option<NonZeroU32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing is known about the socket.
    #[default]
    Unknown,
    /// The socket has no limit of ours.
    Foreign,
    /// The lowest limit, doubled so many times.
    Raised(u8),
}

impl UnsentLimit {
    /// Notes the result of a write of `offered` bytes to the socket.
    #[inline]
    pub fn note_write<'s>(
        &mut self,
        socket: impl FnOnce() -> SockRef<'s>,
        offered: usize,
        written: &Poll<io::Result<usize>>,
    ) {
        if offered >= LARGE || self.waits_since.is_some() {
            self.note_large_write(socket, offered, written);
        }
    }

    #[inline(never)]
    fn note_large_write<'s>(
        &mut self,
        socket: impl FnOnce() -> SockRef<'s>,
        offered: usize,
        written: &Poll<io::Result<usize>>,
    ) {
        let (progress, waits) = match written {
            Poll::Pending => (false, true),
            Poll::Ready(Ok(count)) => (true, *count < offered),
            Poll::Ready(Err(_)) => return,
        };
        if self.state == State::Foreign || (!waits && self.waits_since.is_none()) {
            return;
        }
        self.adapt_socket(&socket(), EPOCH.elapsed(), progress, waits);
    }

    /// Notes that something was written, and whether something has to wait. Sets the socket's limit if it has changed.
    fn adapt_socket(&mut self, socket: &SockRef<'_>, now: Duration, progress: bool, waits: bool) {
        if self.state == State::Unknown {
            let is_ours = socket.tcp_notsent_lowat().is_ok_and(|limit| limit == LOWEST);
            self.state = if is_ours { State::Raised(0) } else { State::Foreign };
        }
        if let Some(limit) = self.adapt(now, progress, waits) {
            // Without the setting, large messages only take more writes.
            let _ = socket.set_tcp_notsent_lowat(limit);
        }
    }

    /// Notes that something was written, and whether something has to wait. Returns the limit if it has changed.
    fn adapt(&mut self, now: Duration, progress: bool, waits: bool) -> Option<u32> {
        let State::Raised(before) = self.state else { return None };
        let now = u32::try_from(now.as_millis()).unwrap_or(u32::MAX).max(1);
        let mut raised = before;
        if progress && let Some(since) = self.waits_since.take() {
            let waited = Duration::from_millis(now.saturating_sub(since.get()).into());
            if waited <= FAST && LOWEST << before < HIGHEST {
                raised += 1;
            } else if waited > SLOW {
                raised = 0;
            }
        }
        if waits && self.waits_since.is_none() {
            self.waits_since = NonZeroU32::new(now);
        }
        self.state = State::Raised(raised);
        (raised != before).then_some(LOWEST << raised)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        net::{TcpListener, TcpStream},
    };

    use super::{Duration, HIGHEST, LOWEST, SockRef, State, UnsentLimit};
    use crate::server::listener::limit_unsent_in_kernel;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Returns the limits after writes that waited so long each.
    fn after_waits(waits: &[u64]) -> Vec<Option<u32>> {
        let mut limit = UnsentLimit { state: State::Raised(0), waits_since: None };
        let mut now = ms(0);
        assert_eq!(limit.adapt(now, true, true), None, "the first write is divided");
        let after = |wait: &u64| {
            assert_eq!(limit.adapt(now, false, true), None, "it still waits");
            now += ms(*wait);
            limit.adapt(now, true, true)
        };
        waits.iter().map(after).collect()
    }

    #[test]
    fn a_peer_that_takes_at_once_what_it_is_sent_raises_the_limit_up_to_the_highest() {
        let limits = after_waits(&[0, 50, 1, 1, 1]);
        let raised = [1, 2, 3].map(|times| Some(LOWEST << times));
        assert_eq!((&limits[..3], &limits[3..]), (&raised[..], &[None, None][..]));
        assert_eq!(LOWEST << 3, HIGHEST);
    }

    #[test]
    fn a_slow_peer_sets_it_back_and_one_that_is_neither_leaves_it() {
        let limits = after_waits(&[10, 51, 500, 10, 501, 501]);
        let twice = Some(LOWEST << 2);
        assert_eq!(limits, [Some(LOWEST << 1), None, None, twice, Some(LOWEST), None]);
    }

    /// Returns a server's socket, and that of its client.
    fn connected() -> io::Result<(TcpStream, TcpStream)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        limit_unsent_in_kernel(&listener);
        let client = TcpStream::connect(listener.local_addr()?)?;
        Ok((listener.accept()?.0, client))
    }

    /// Returns the limits of a socket after a divided write, a second one soon after, and a third one much later.
    fn limits_of(socket: &TcpStream) -> io::Result<[u32; 3]> {
        let mut limit = UnsentLimit::default();
        let mut after = |now| {
            let socket = SockRef::from(socket);
            limit.adapt_socket(&socket, now, true, true);
            socket.tcp_notsent_lowat()
        };
        Ok([after(ms(0))?, after(ms(10))?, after(ms(1000))?])
    }

    #[test]
    fn the_limit_of_a_servers_socket_is_raised_and_set_back() -> io::Result<()> {
        let (server, _client) = connected()?;
        assert_eq!(limits_of(&server)?, [LOWEST, 2 * LOWEST, LOWEST]);
        Ok(())
    }

    #[test]
    fn a_socket_without_this_limit_is_left_alone() -> io::Result<()> {
        let (server, client) = connected()?;
        let theirs = SockRef::from(&client).tcp_notsent_lowat()?;
        assert_ne!(theirs, LOWEST);
        assert_eq!(limits_of(&client)?, [theirs; 3]);
        SockRef::from(&server).set_tcp_notsent_lowat(2 * LOWEST)?;
        assert_eq!(limits_of(&server)?, [2 * LOWEST; 3]);
        Ok(())
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<UnsentLimit>(), 8);
    }
}
