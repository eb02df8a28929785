//! Listening sockets.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
};

use socket2::{Domain, Protocol, Socket, Type};

/// How many connections may wait to be accepted; the operating system may allow fewer. When many
/// come at once, those that find no place try again after a second, and then after longer.
const QUEUE: i32 = 4096;

/// Several listeners on one address, for as many servers: the operating system shares the
/// connections out among them (`SO_REUSEPORT`). Port 0 takes any free port, the same for all.
///
/// # Errors
/// If the address can not be resolved or listened on; also if somebody else listens there who has
/// not allowed this.
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
    let mut outcome = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for address in address.to_socket_addrs()? {
        outcome = listen(address);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
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
