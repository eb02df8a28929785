//! Creates listening sockets.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::runtime::address_errors::all_failed;
#[cfg(any(target_os = "android", target_os = "linux"))]
use crate::runtime::unsent_limit;

/// How many connections may wait to be accepted; the operating system may allow fewer. A client that finds the queue
/// full retries after one second, and then at growing intervals.
const BACKLOG: i32 = 4096;

/// Creates `count` listeners on one address, one for each of `count` servers. The operating system distributes the
/// connections among them (`SO_REUSEPORT`): Linux evenly, other systems not necessarily.
///
/// Port 0 selects any free port, the same for all listeners. If a name has several addresses, all listeners are on the
/// first that works. This function exists on Unix only, except for Solaris, illumos and Cygwin.
///
/// # Errors
/// If the name cannot be resolved, or if none of its addresses can be listened on, for instance because another process
/// listens there without `SO_REUSEPORT`. The error lists each address with the reason.
///
/// ```
/// # use prism_driver::shared_listeners;
/// let listeners = shared_listeners("127.0.0.1:0", 4)?; // each for a `Server::from_listener`
/// assert_eq!(listeners[0].local_addr()?, listeners[3].local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
pub fn shared_listeners(address: impl ToSocketAddrs, count: usize) -> io::Result<Vec<TcpListener>> {
    let share = |socket: &Socket| socket.set_reuse_port(true);
    let mut listeners = Vec::with_capacity(count);
    if count > 0 {
        listeners.push(on_first(address, |address| listen_on(address, share))?);
        let address = listeners[0].local_addr()?;
        for _ in 1..count {
            let listener = listen_on(address, share);
            listeners.push(listener.map_err(|error| all_failed(&[(address, error)]))?);
        }
    }
    Ok(listeners)
}

/// Listens on the first address that works.
pub(crate) fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    on_first(address, |address| listen_on(address, |_| Ok(())))
}

fn on_first(
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
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no addresses; expected at least one",
        ));
    }
    Err(all_failed(&failures))
}

/// Limits how much the kernel accepts for the listener's connections, which inherit the setting and
/// [adapt](crate::runtime::unsent_limit) it. A failure is ignored, because the server works without the limit.
pub(crate) fn limit_unsent_in_kernel(listener: &TcpListener) {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    let _ = socket2::SockRef::from(listener).set_tcp_notsent_lowat(unsent_limit::LOWEST);
    let _ = listener; // unused on other systems
}

/// Listens as [`TcpListener::bind`] does, but with a longer queue, and after calling `configure` on the socket.
fn listen_on(
    address: SocketAddr,
    configure: impl Fn(&Socket) -> io::Result<()>,
) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets a restarted server bind despite its old connections. (On Windows, the option means something else.)
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    configure(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, ErrorKind},
        net::{SocketAddr, TcpListener},
    };

    use super::listen;

    /// Returns a listener with its address, which is in use.
    fn taken() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    #[test]
    fn listens_on_the_first_address_that_works() -> io::Result<()> {
        let ((_listener, taken), free) = (taken()?, SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = listen(&[taken, free, taken][..])?;
        assert_ne!(listener.local_addr()?, taken);
        Ok(())
    }

    #[test]
    fn the_error_lists_each_address_with_the_reason() -> io::Result<()> {
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
