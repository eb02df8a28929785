//! Listening sockets.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::runtime::address_errors::all_failed;

/// How many connections may wait to be accepted; the operating system may allow fewer. When many
/// come at once, those that find no place try again after a second, and then after longer.
const QUEUE: i32 = 4096;

/// How much the kernel takes of a connection beyond what it has sent. What it takes is out of our sight:
/// no mark bounds it, and of a peer that reads it slowly nothing is known before a third of it has left.
/// By itself it would take megabytes.
#[cfg(any(target_os = "android", target_os = "linux"))]
const NOT_SENT: u32 = 128 << 10;

/// Several listeners on one address, for as many servers: the operating system shares the
/// connections out among them (`SO_REUSEPORT`). Port 0 takes any free port, the same for all. Of a name with
/// several addresses, all listen on the first that works.
///
/// # Errors
/// If the name cannot be resolved, or none of its addresses can be listened on: the error names each address
/// and what was wrong with it. Also if another process listens there that has not allowed this.
#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
pub fn shared_listeners(address: impl ToSocketAddrs, count: usize) -> io::Result<Vec<TcpListener>> {
    let share = |socket: &Socket| socket.set_reuse_port(true);
    let mut listeners = Vec::with_capacity(count);
    if count > 0 {
        listeners.push(first(address, |address| listen_on(address, share))?);
        let address = listeners[0].local_addr()?;
        for _ in 1..count {
            listeners.push(listen_on(address, share)?);
        }
    }
    Ok(listeners)
}

/// Listens on the first of the addresses that can be listened on.
pub(crate) fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    first(address, |address| listen_on(address, |_| Ok(())))
}

fn first(
    address: impl ToSocketAddrs,
    listen: impl Fn(SocketAddr) -> io::Result<TcpListener>,
) -> io::Result<TcpListener> {
    let mut failures = Vec::new();
    for address in address.to_socket_addrs()? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failures.push((address, error)),
        }
    }
    if failures.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Err(all_failed(&failures))
}

/// Has those that it accepts hold less in the kernel: they have it from this one. One that can not be told
/// so serves as well.
pub(crate) fn limit_unsent_in_kernel(listener: &TcpListener) {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    let _ = socket2::SockRef::from(listener).set_tcp_notsent_lowat(NOT_SENT);
    let _ = listener; // elsewhere there is nothing to be told
}

/// As the standard library does it, but for the longer queue.
fn listen_on(
    address: SocketAddr,
    set_up: impl Fn(&Socket) -> io::Result<()>,
) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A server that restarts need not wait for its old connections. (Windows means something else.)
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    set_up(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(QUEUE)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, ErrorKind},
        net::{SocketAddr, TcpListener},
    };

    use super::listen;

    /// A listener, and its address, on which nobody else can listen.
    fn taken() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    #[test]
    fn the_first_address_that_works_is_listened_on() -> io::Result<()> {
        let ((_listener, taken), free) = (taken()?, SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = listen(&[taken, free, taken][..])?;
        assert_ne!(listener.local_addr()?, taken);
        Ok(())
    }

    #[test]
    fn if_no_address_works_each_is_named_with_what_was_wrong() -> io::Result<()> {
        let ((_one, first), (_other, second)) = (taken()?, taken()?);
        let error = listen(&[first, second][..]).expect_err("both are taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let text = error.to_string();
        let (one, other) = text.split_once("; ").expect("two failures");
        assert!(one.starts_with(&format!("{first}: ")), "{text}");
        assert!(other.starts_with(&format!("{second}: ")), "{text}");
        assert_eq!(listen(&[][..]).expect_err("no address").kind(), ErrorKind::NotFound);
        Ok(())
    }
}
