//! Abusers: each comes again and again, to do one of the [abuses](crate::abuse) and see that the
//! server lets go of it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use prism_tests::raw;
use socket2::{Domain, SockRef, Socket, Type};

use crate::{abuse::ABUSES, crowd::Visitor};

/// How long the server may bear with one that says nothing: more than any of its deadlines together.
const PATIENCE: Duration = Duration::from_secs(60);

/// Comes, abuses and goes, again and again, in a thread of its own: that is one blocking socket.
pub(crate) fn abuse(mut visitor: Visitor) {
    let thread = thread::Builder::new().stack_size(256 << 10);
    let abusing = thread.spawn(move || {
        thread::sleep(visitor.first.saturating_duration_since(Instant::now()));
        while !visitor.is_over() {
            let (name, abuse) = ABUSES[visitor.dice.usize(..ABUSES.len())];
            let outcome = Abuser::dial(&mut visitor).and_then(|mut abuser| {
                let _here = visitor.tally.comes(visitor.kind);
                abuse(&mut abuser)
            });
            if let Err(what) = outcome {
                visitor.tally.complain(visitor.kind, &format!("{name}: {what}"));
            }
            thread::sleep(visitor.pause());
        }
    });
    abusing.expect("the operating system gives threads");
}

/// A client that does not behave.
pub(crate) struct Abuser {
    stream: TcpStream,
    pub(crate) dice: Rng,
}

impl Abuser {
    /// Connects, with as little room for what it is sent as can be.
    fn dial(visitor: &mut Visitor) -> Result<Self, String> {
        let connect = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.set_recv_buffer_size(4096)?;
            socket.connect(&visitor.address.into())?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            socket.set_tcp_nodelay(true)?;
            Ok(socket.into())
        };
        let stream = connect().map_err(|error: std::io::Error| error.to_string())?;
        Ok(Self { stream, dice: visitor.dice.fork() })
    }

    /// Asks for a WebSocket, and gets it.
    pub(crate) fn upgrade(&mut self, path: &str) -> Result<(), String> {
        self.say(raw::request(path).as_bytes());
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).map_err(|error| format!("no answer: {error}"))?;
            head.push(byte[0]);
        }
        if head.starts_with(b"HTTP/1.1 101 ") { Ok(()) } else { Err(text(&head)) }
    }

    /// Whether the server may still be there.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub(crate) fn say_frame(&mut self, fin: bool, opcode: u8, payload: &[u8]) -> bool {
        self.say(&raw::encode(true, fin, opcode, payload))
    }

    pub(crate) fn say_no_more(&self) {
        let _ = self.stream.shutdown(Shutdown::Write); // it may be over
    }

    /// All that comes until the server ends the connection, which it has to.
    pub(crate) fn hear_to_the_end(&mut self) -> Result<Vec<u8>, String> {
        let mut heard = Vec::new();
        match self.stream.read_to_end(&mut heard) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err("the server does not let go".to_owned())
            }
            // The end, or a reset.
            _ => Ok(heard),
        }
    }

    pub(crate) fn expect_status(&mut self, status: &str) -> Result<(), String> {
        let heard = self.hear_to_the_end()?;
        let expected = format!("HTTP/1.1 {status}");
        if heard.starts_with(expected.as_bytes()) { Ok(()) } else { Err(text(&heard)) }
    }

    /// Expects a close frame with one of these codes, and the end.
    pub(crate) fn expect_close(&mut self, codes: &[u16]) -> Result<(), String> {
        let heard = self.hear_to_the_end()?;
        let is_close = |four: &[u8]| {
            four[0] == 0x88 && codes.contains(&u16::from_be_bytes([four[2], four[3]]))
        };
        if heard.windows(4).any(is_close) { Ok(()) } else { Err(text(&heard)) }
    }

    pub(crate) fn reset_when_dropped(&self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)); // it may be over
    }
}

fn text(heard: &[u8]) -> String {
    format!("{:?}", heard.escape_ascii().to_string().chars().take(200).collect::<String>())
}
