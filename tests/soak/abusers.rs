//! Abusers: each connects again and again, commits one of the [abuses](crate::abuse), and checks
//! that the server ends the connection.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use prism_tests::raw;
use socket2::{Domain, SockRef, Socket, Type};

use crate::{abuse::ABUSES, clients::ClientTask};

/// How long the server may keep a silent connection: more than all of its deadlines together.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Commits one abuse after another on blocking sockets, in a thread of its own.
pub(crate) fn abuse(mut task: ClientTask) {
    let thread = thread::Builder::new().stack_size(256 << 10);
    let abusing = thread.spawn(move || {
        thread::sleep(task.starts_at.saturating_duration_since(Instant::now()));
        while !task.is_finished() {
            let (name, abuse) = ABUSES[task.rng.usize(..ABUSES.len())];
            let outcome = Abuser::dial(&mut task).and_then(|mut abuser| {
                let _connected = task.tally.connected(task.kind);
                abuse(&mut abuser)
            });
            if let Err(what) = outcome {
                task.tally.report(task.kind, &format!("{name}: {what}"));
            }
            thread::sleep(task.pause());
        }
    });
    abusing.expect("a thread");
}

/// A misbehaving client.
pub(crate) struct Abuser {
    stream: TcpStream,
    pub(crate) rng: Rng,
}

impl Abuser {
    /// Connects with a small receive buffer.
    fn dial(task: &mut ClientTask) -> Result<Self, String> {
        let connect = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.set_recv_buffer_size(4096)?;
            socket.connect(&task.address.into())?;
            socket.set_read_timeout(Some(TIMEOUT))?;
            socket.set_write_timeout(Some(TIMEOUT))?;
            socket.set_tcp_nodelay(true)?;
            Ok(socket.into())
        };
        let stream = connect().map_err(|error: std::io::Error| error.to_string())?;
        Ok(Self { stream, rng: task.rng.fork() })
    }

    /// Completes the opening handshake.
    pub(crate) fn upgrade(&mut self, path: &str) -> Result<(), String> {
        self.send(raw::request(path).as_bytes());
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).map_err(|error| format!("no answer: {error}"))?;
            head.push(byte[0]);
        }
        if head.starts_with(b"HTTP/1.1 101 ") { Ok(()) } else { Err(text(&head)) }
    }

    /// Sends bytes, and returns whether the connection may still be open.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub(crate) fn send_frame(&mut self, fin: bool, opcode: u8, payload: &[u8]) -> bool {
        self.send(&raw::encode(true, fin, opcode, payload))
    }

    pub(crate) fn shut_down_write(&self) {
        let _ = self.stream.shutdown(Shutdown::Write); // fails if the connection has ended
    }

    /// Reads until the server ends the connection, which it has to do.
    pub(crate) fn read_to_end(&mut self) -> Result<Vec<u8>, String> {
        let mut received = Vec::new();
        match self.stream.read_to_end(&mut received) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err("the server does not end the connection".to_owned())
            }
            // The end, or a reset.
            _ => Ok(received),
        }
    }

    pub(crate) fn expect_status(&mut self, status: &str) -> Result<(), String> {
        let received = self.read_to_end()?;
        let expected = format!("HTTP/1.1 {status}");
        if received.starts_with(expected.as_bytes()) { Ok(()) } else { Err(text(&received)) }
    }

    /// Expects a close frame with one of these codes, and then the end.
    pub(crate) fn expect_close(&mut self, codes: &[u16]) -> Result<(), String> {
        let received = self.read_to_end()?;
        let is_close = |four: &[u8]| {
            four[0] == 0x88 && codes.contains(&u16::from_be_bytes([four[2], four[3]]))
        };
        if received.windows(4).any(is_close) { Ok(()) } else { Err(text(&received)) }
    }

    pub(crate) fn reset_when_dropped(&self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)); // fails if the connection has ended
    }
}

fn text(received: &[u8]) -> String {
    format!("{:?}", received.escape_ascii().to_string().chars().take(200).collect::<String>())
}
