//! WebSocket over a transport that is not a socket, with the state machine driven by hand.
//!
//! The transport is a pair of channels that carry 16 bytes at a time, as a serial line or a radio might.
//! The client asks questions, and the server answers them in capitals. To use another transport, change
//! only [`Line`].
//!
//! ```text
//! cargo run -p prism-core --example embed
//! cargo run -p prism-core --example embed --features deflate
//! ```
//!
//! With the feature `deflate`, the two agree on compression. Nothing else changes: `send` compresses, and
//! `send_plain` would not.

use std::{
    error::Error,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use prism_core::{
    Accept, Answer, ClientHandshake, ClientRequest, CloseCode, Config, Event, MaskKeys, Message,
    RecvBuffer, SendError, ServerHandshake, WebSocket,
};

/// How long a handshake may take in all.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = Line::pair();
    let server = thread::spawn(move || serve(theirs).map_err(|error| error.to_string()));
    ask(ours, &["hello", "is anyone there?", "then goodbye"])?;
    server.join().expect("the server does not panic")?;
    Ok(())
}

/// Compresses messages, if that is compiled in.
fn config() -> Config {
    #[cfg(feature = "deflate")]
    let deflate =
        Some(std::sync::Arc::new(prism_core::deflate::Deflate::default().with_takeover()));
    #[cfg(not(feature = "deflate"))]
    let deflate = None;
    Config::default().deflate(deflate)
}

/// Runs the server: accepts a client, and answers each text in capitals.
fn serve(line: Line) -> Result<(), Box<dyn Error>> {
    let config = config();
    let mut end = End::on(line);
    let mut handshake = ServerHandshake::new(&config);
    let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
    let ws = loop {
        end.read_more(deadline)?;
        match handshake.receive(&mut end.buffer) {
            Ok(Some(offer)) => {
                println!("server: a client asks for {}", offer.request().path());
                break offer.accept(&Accept::new(), &config, &mut end.out);
            }
            Ok(None) => {}
            Err(error) => {
                error.reply().write(&mut end.out, false); // 400, 426 ..., with the reason
                end.write(); // Over TCP, also read until the client ends: see `Reply`.
                return Err(error.into());
            }
        }
    };
    println!("server: compression: {:?}", ws.deflate_params());
    end.converse(ws, |ws, event, out| match event {
        Event::Message(Message::Text(text)) => ws.send(&text.to_uppercase(), out),
        Event::Close(frame) => {
            println!("server: closed with {}, {:?}", frame.code, frame.reason);
            Ok(())
        }
        _ => Ok(()),
    })
}

/// Runs the client: asks one question after the other, and closes after the last answer.
fn ask(line: Line, questions: &[&str]) -> Result<(), Box<dyn Error>> {
    let config = config();
    let mut end = End::on(line);
    let request = ClientRequest::new("the-other-end", "/capitals")?;
    // If others share the transport, the nonce and the mask keys have to be unpredictable: take them
    // from the operating system's random generator.
    let mut handshake =
        ClientHandshake::start(&config, &request, *b"an example nonce", &mut end.out);
    end.write();
    let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
    let mut ws = loop {
        end.read_more(deadline)?;
        match handshake.receive(&mut end.buffer)? {
            None => {}
            Some(Answer::Accepted(accepted)) => {
                break accepted.into_websocket(&config, MaskKeys::new(|keys| keys.fill(0x2a)));
            }
            Some(Answer::Refused(response)) => {
                return Err(format!("refused with {}", response.status()).into());
            }
        }
    };
    let mut questions = questions.iter();
    let mut ask_next = move |ws: &mut WebSocket, out: &mut BytesMut| match questions.next() {
        Some(question) => ws.send(*question, out),
        None => {
            ws.close(CloseCode::NORMAL, "no more questions", out);
            Ok(())
        }
    };
    ask_next(&mut ws, &mut end.out)?;
    end.converse(ws, |ws, event, out| {
        if let Event::Message(Message::Text(answer)) = event {
            println!("client: {answer}");
            ask_next(ws, out)?;
        }
        Ok(())
    })
}

/// One end of the line, with the buffers that the state machine works on.
struct End {
    line: Line,
    buffer: RecvBuffer,
    out: BytesMut,
}

impl End {
    fn on(line: Line) -> Self {
        Self { line, buffer: RecvBuffer::new(), out: BytesMut::new() }
    }

    /// Runs a connection to its end. Each event is lent to `on_event`, which may send.
    fn converse(
        mut self,
        mut ws: WebSocket,
        mut on_event: impl FnMut(&mut WebSocket, Event<'_>, &mut BytesMut) -> Result<(), SendError>,
    ) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        let mut broken = Ok(());
        loop {
            // 1. Handle what has arrived. After an error, its close frame is in `out`, to be sent.
            loop {
                match ws.receive(&mut self.buffer, &mut self.out) {
                    Ok(Some(event)) => on_event(&mut ws, event, &mut self.out)?,
                    Ok(None) => break,
                    Err(error) => {
                        broken = Err(error.into());
                        break;
                    }
                }
            }
            // 2. Pass the time. Not before 1, because what has just arrived shows that the peer is alive. An
            // error here means that it is gone: its close frame is in `out`, and `wants_read` ends soon.
            if let Err(error) = ws.handle_timeout(start.elapsed(), &mut self.out) {
                broken = broken.and(Err(error.into()));
            }
            // 3. Send the output, and end our side when the protocol says so.
            self.write();
            if ws.wants_shutdown() {
                self.line.end();
            }
            if !ws.wants_read() {
                return broken;
            }
            // 4. Wait for more, but no longer than until the next deadline.
            let wait = ws.poll_timeout().map(|due| due.saturating_sub(start.elapsed()));
            match self.line.read(wait) {
                Ok(bytes) => self.buffer.extend_from_slice(&bytes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => ws.receive_eof()?,
            }
        }
    }

    fn write(&mut self) {
        self.line.write(&self.out.split());
    }

    /// Waits for more bytes of a handshake, until the deadline of the whole handshake.
    fn read_more(&mut self, deadline: Instant) -> Result<(), Box<dyn Error>> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.buffer.extend_from_slice(&self.line.read(Some(left))?);
        Ok(())
    }
}

/// One end of a transport that is not a socket.
struct Line {
    to: Option<Sender<Vec<u8>>>,
    from: Receiver<Vec<u8>>,
}

impl Line {
    fn pair() -> (Self, Self) {
        let ((to_one, one), (to_other, other)) = (channel(), channel());
        (Self { to: Some(to_other), from: one }, Self { to: Some(to_one), from: other })
    }

    /// Writes in pieces, because the peer accepts any split of the bytes.
    fn write(&self, bytes: &[u8]) {
        for piece in bytes.chunks(16) {
            if let Some(to) = &self.to {
                let _ = to.send(piece.to_vec()); // if the other end is gone, the next read fails
            }
        }
    }

    fn read(&self, wait: Option<Duration>) -> Result<Vec<u8>, RecvTimeoutError> {
        self.from.recv_timeout(wait.unwrap_or(Duration::MAX))
    }

    /// Ends the writing side.
    fn end(&mut self) {
        self.to = None;
    }
}
