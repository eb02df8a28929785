//! [`ForwardProxy`]: a proxy for clients, HTTP (`CONNECT`) or SOCKS5. It connects every client to the same
//! server, whatever the client asks for, and records that.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::TIMEOUT;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Socks,
}

/// The user name and the password that a proxy requires.
pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "correct:horse@100%";
/// The same in base64, as RFC 7617 says.
const BASIC: &str = "Basic YWxpY2U6Y29ycmVjdDpob3JzZUAxMDAl";

/// What clients ask for to be refused.
pub(crate) const FORBIDDEN_PORT: u16 = 9;

pub(crate) struct ForwardProxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    protocol: Protocol,
    requires_password: bool,
    server: SocketAddr,
    asked: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl ForwardProxy {
    pub(crate) fn start(protocol: Protocol, requires_password: bool, server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let (asked, is_over) = (Mutex::default(), AtomicBool::new(false));
        let state = Arc::new(State { protocol, requires_password, server, asked, is_over });
        let accepting = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (state, client) = (accepting.clone(), client.expect("a connection"));
                // A client that disconnects early is no failure.
                thread::spawn(move || state.serve(client));
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what the proxy has been asked for, in order, as `host:port`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.asked.lock().expect("no panic").clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes the thread that accepts
    }
}

impl State {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(TIMEOUT))?;
        let is_accepted = match self.protocol {
            Protocol::Http => self.read_connect(&mut client)?,
            Protocol::Socks => self.read_socks(&mut client)?,
        };
        if is_accepted {
            relay(&client, &TcpStream::connect(self.server)?);
        }
        Ok(())
    }

    /// Answers a request over HTTP. Returns whether it is granted.
    fn read_connect(&self, client: &mut TcpStream) -> io::Result<bool> {
        let head = read_head(client)?;
        let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
        let target = target.expect("a CONNECT").to_owned();
        assert!(head.contains(&format!("\r\nHost: {target}\r\n")), "{head}");
        let has_password = head.contains(&format!("\r\nProxy-Authorization: {BASIC}\r\n"));
        let (is_granted, answer) = if self.requires_password && !has_password {
            (false, "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a\"")
        } else if self.is_forbidden(&target) {
            (false, "403 Forbidden")
        } else {
            (true, "200 Connection established")
        };
        write!(client, "HTTP/1.1 {answer}\r\n\r\n")?;
        Ok(is_granted)
    }

    /// Answers a request over SOCKS5. Returns whether it is granted.
    fn read_socks(&self, client: &mut TcpStream) -> io::Result<bool> {
        let [version, count] = read_array(client)?;
        assert_eq!(version, 5);
        let methods = read_vec(client, count)?;
        let method = if self.requires_password { 2 } else { 0 };
        if !methods.contains(&method) {
            client.write_all(&[5, 0xff])?;
            return Ok(false);
        }
        client.write_all(&[5, method])?;
        if self.requires_password {
            let [1, length] = read_array(client)? else { panic!("RFC 1929") };
            let user = read_vec(client, length)?;
            let [length] = read_array(client)?;
            let password = read_vec(client, length)?;
            let is_right = user == USER.as_bytes() && password == PASSWORD.as_bytes();
            client.write_all(&[1, u8::from(!is_right)])?;
            if !is_right {
                return Ok(false);
            }
        }
        let [5, 1, 0, kind] = read_array(client)? else { panic!("RFC 1928") };
        let host = match kind {
            1 => Ipv4Addr::from(read_array(client)?).to_string(),
            4 => format!("[{}]", Ipv6Addr::from(read_array::<16>(client)?)),
            _ => {
                let [length] = read_array(client)?;
                String::from_utf8(read_vec(client, length)?).expect("text")
            }
        };
        let port = u16::from_be_bytes(read_array(client)?);
        let is_forbidden = self.is_forbidden(&format!("{host}:{port}"));
        client.write_all(&[5, if is_forbidden { 2 } else { 0 }, 0, 1, 127, 0, 0, 1, 0, 80])?;
        Ok(!is_forbidden)
    }

    /// Records what is asked for. Returns whether it is refused.
    fn is_forbidden(&self, target: &str) -> bool {
        self.asked.lock().expect("no panic").push(target.to_owned());
        target.ends_with(&format!(":{FORBIDDEN_PORT}"))
    }
}

/// Copies bytes in both directions until both have ended.
fn relay(client: &TcpStream, server: &TcpStream) {
    let copy = |mut from: &TcpStream, mut to: &TcpStream| {
        let _ = io::copy(&mut from, &mut to); // a reset is an end
        let _ = to.shutdown(Shutdown::Write); // it may be gone
    };
    thread::scope(|scope| {
        scope.spawn(|| copy(client, server));
        copy(server, client);
    });
}

/// Reads up to the end of a head, and nothing more.
fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read_array::<1>(stream)?);
    }
    Ok(String::from_utf8(head).expect("text"))
}

fn read_array<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_vec(stream: &mut TcpStream, length: u8) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
