//! WebSocket (RFC 6455) as a pure state machine: bytes in, events out.
//!
//! The crate does no I/O and has no clock, no randomness and no runtime. Bytes, time and random
//! numbers are arguments, so it works with any transport, blocking or not, and every test can be
//! deterministic. To run a server or a client on an async runtime, use one of Prism's adapters,
//! such as `prism-tokio`. Use this crate directly for a transport of your own, or for fuzzing.
//!
//! # The pieces
//!
//! ```text
//!                 ┌───────────────── your loop ─────────────────┐
//!   transport ──► RecvBuffer ──► receive() ──► Event            │
//!                                   │  answers to ping, close   │
//!   transport ◄── BytesMut  ◄───────┴── send() ping() close() ◄─┘
//! ```
//!
//! - [`RecvBuffer`] is your receive buffer. An [`Event`] borrows it and nothing else, so you can
//!   send while you hold one. A message that the peer sent as one frame is borrowed directly from
//!   the buffer: nothing is copied or allocated.
//! - Output is appended to a buffer that you supply: a [`BytesMut`](bytes::BytesMut), or your own
//!   [`Output`].
//! - [`ServerHandshake`] and [`ClientHandshake`] read the HTTP head (the first line and the
//!   headers). [`Offer::accept`] and [`Accepted::into_websocket`] then return the [`WebSocket`],
//!   which does everything after that: messages, fragments, masks, UTF-8, ping and pong, keepalive,
//!   and the close handshake.
//! - [`Header`], [`apply_mask`] and [`accept_key`] are useful on their own. [`Inbound`] and
//!   [`Outbound`] are the two halves of a [`WebSocket`], for programs in which one task reads while
//!   others send.
//!
//! [Embedding the core](docs::embedding) explains how to choose a loop for your program, and has one
//! for an event loop. [Two threads](docs::two_threads) has one in which one thread reads while
//! others send. The example [`embed`] has both ends over a transport that is not a socket.
//!
//! [`embed`]: https://github.com/prism-rs/prism/blob/main/prism-core/examples/embed.rs
//!
//! # The whole loop
//!
//! An echo server over blocking TCP. Copy it, and replace `TcpStream` with your transport.
//!
//! ```
//! use std::io::{self, ErrorKind, Read, Write};
//! use std::net::{Shutdown, TcpListener, TcpStream};
//! use std::time::{Duration, Instant};
//!
//! use bytes::BytesMut;
//! use prism_core::{Accept, Config, Event, RecvBuffer, ServerHandshake, WebSocket};
//!
//! fn serve(mut stream: TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//!     let config = Config::default();
//!     let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
//!
//!     stream.set_write_timeout(Some(Duration::from_secs(30)))?; // for a peer that does not read
//!
//!     // The handshake: read until the request is complete, for at most ten seconds, and accept it.
//!     let start = Instant::now();
//!     let mut handshake = ServerHandshake::new(&config);
//!     let mut ws: WebSocket = loop {
//!         let left = Duration::from_secs(10).saturating_sub(start.elapsed());
//!         stream.set_read_timeout(Some(left))?; // fails if no time is left
//!         match stream.read(input.spare(4096)) {
//!             Ok(0) => return Ok(()),
//!             Ok(count) => input.received(count),
//!             Err(error) if error.kind() == ErrorKind::Interrupted => {}
//!             Err(error) => return Err(error.into()),
//!         }
//!         match handshake.receive(&mut input) {
//!             Ok(Some(offer)) => break offer.accept(&Accept::new(), &config, &mut out),
//!             Ok(None) => {}
//!             Err(error) => {
//!                 error.reply().write(&mut out, false); // 400, 426 ..., with the reason
//!                 stream.write_all(&out)?;
//!                 let _ = drain(stream); // fails if the client takes too long
//!                 return Err(error.into());
//!             }
//!         }
//!     };
//!
//!     let mut shut = false;
//!     loop {
//!         // 1. Handle what has arrived. After a protocol error, the close frame that reports it is
//!         // in `out`, and `receive_eof` below returns the error again.
//!         while let Ok(Some(event)) = ws.receive(&mut input, &mut out) {
//!             if let Event::Message(message) = event {
//!                 let _ = ws.send(message, &mut out); // fails only once the connection is closing
//!             }
//!         }
//!         // 2. Pass the time, for keepalive pings, dead peers and closes that take too long. Not before
//!         // 1, because what has just arrived shows that the peer is alive, however long the thread
//!         // could not look. After an error, `wants_read` returns `false` within the close timeout.
//!         let _ = ws.handle_timeout(start.elapsed(), &mut out);
//!         // 3. Send the output, and shut down the write side when the protocol says so.
//!         if stream.write_all(&out.split()).is_err() {
//!             ws.handle_write_error(); // what the peer sent can still be read
//!         }
//!         if ws.wants_shutdown() && !shut {
//!             let _ = stream.shutdown(Shutdown::Write); // fails if the peer has reset it
//!             shut = true;
//!         }
//!         if !ws.wants_read() {
//!             return Ok(());
//!         }
//!         // 4. Read, and wait until the next deadline at most.
//!         let wait = ws.poll_timeout().map(|due| due.saturating_sub(start.elapsed()));
//!         // A failure is ignored: the peer has reset the connection, but what it sent can be read.
//!         let _ = stream.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))));
//!         match stream.read(input.spare(4096)) {
//!             Ok(0) => ws.receive_eof()?,
//!             Ok(count) => input.received(count),
//!             Err(error) => match error.kind() {
//!                 ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
//!                 _ => ws.receive_eof().map_err(|_| error)?, // `Ok` after a close frame
//!             },
//!         }
//!     }
//! }
//!
//! /// Waits a second for a refused client to end. To close while bytes are unread would reset the
//! /// connection, and the client might lose the reply.
//! fn drain(mut stream: TcpStream) -> io::Result<()> {
//!     stream.shutdown(Shutdown::Write)?;
//!     let end = Instant::now() + Duration::from_secs(1);
//!     loop {
//!         let left = end.saturating_duration_since(Instant::now());
//!         stream.set_read_timeout(Some(left))?; // fails if no time is left
//!         if stream.read(&mut [0; 4096])? == 0 {
//!             return Ok(());
//!         }
//!     }
//! }
//! #
//! # // The other end: a client, also driven by hand.
//! # use prism_core::{Answer, ClientHandshake, ClientRequest, CloseCode, MaskKeys, Message};
//! # let listener = TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?;
//! # let server = std::thread::spawn(move || serve(listener.accept().unwrap().0).unwrap());
//! # let config = Config::default();
//! # let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
//! # let mut stream = TcpStream::connect(address)?;
//! # let request = ClientRequest::new(&address.to_string(), "/")?;
//! # let mut handshake = ClientHandshake::start(&config, &request, [7; 16], &mut out);
//! # stream.write_all(&out.split())?;
//! # let mut ws = loop {
//! #     let count = stream.read(input.spare(4096))?;
//! #     input.received(count);
//! #     match handshake.receive(&mut input)? {
//! #         None => {}
//! #         Some(Answer::Accepted(accepted)) => {
//! #             break accepted.into_websocket(&config, MaskKeys::new(|bytes| bytes.fill(3)));
//! #         }
//! #         Some(Answer::Refused(response)) => panic!("{response:?}"),
//! #     }
//! # };
//! # let mut seen = Vec::new();
//! # ws.send("hello", &mut out)?;
//! # ws.ping(b"?", &mut out)?;
//! # loop {
//! #     while let Some(event) = ws.receive(&mut input, &mut out)? {
//! #         seen.push(format!("{event:?}"));
//! #         if let Event::Pong(_) = event {
//! #             ws.close(CloseCode::NORMAL, "done", &mut out);
//! #         }
//! #     }
//! #     stream.write_all(&out.split())?;
//! #     match stream.read(input.spare(4096))? {
//! #         0 => break ws.receive_eof()?,
//! #         count => input.received(count),
//! #     }
//! # }
//! # assert_eq!(seen[0], r#"Message(Text("hello"))"#);
//! # assert_eq!(seen[1], "Pong([63])");
//! # assert!(seen[2].starts_with("Close(CloseFrame { code: 1000"), "{}", seen[2]);
//! # server.join().unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - **No input from the network causes a panic**, or work that is more than linear in its length.
//!   Nothing is allocated for a length that is only declared: memory grows as bytes arrive, to
//!   about twice their number at most ([`RecvBuffer`] gives the figures), and the [limits](Config)
//!   bound the size of a message and of an HTTP head.
//! - **Errors say who is at fault**: the peer ([`ProtocolError`], [`HandshakeError`]) or the caller
//!   ([`SendError`], [`HandshakeError::Finished`]). A peer's error is final: every later `receive`
//!   returns it again. A [`WebSocket`] has already appended the close frame that reports it. For a
//!   [`HandshakeError`], a server sends the [`reply`](HandshakeError::reply).
//! - **It does not matter how the input is split into reads**: the events and the output are the
//!   same, even if it arrives one byte at a time.
//! - **Text is checked as it arrives**, across fragments too, and the connection fails at the first
//!   byte that is not UTF-8. (Compressed text is checked at its end.)
//!
//! # Features
//!
//! The crate is `no_std` and needs `alloc`. The feature `std`, on by default, enables the detection
//! of the CPU's SIMD extensions at run time, for masking and for checking UTF-8. It changes nothing
//! else.
//!
//! The feature `deflate` adds `deflate::ZlibRs`, which compresses messages if
//! [`Config::deflate`] is set, and requires `std`. Without the feature, [`deflate`] needs an
//! [`Engine`](deflate::Engine) of your own.
#![no_std]
#![warn(clippy::alloc_instead_of_core, clippy::std_instead_of_alloc, clippy::std_instead_of_core)]

extern crate alloc;

mod buffer;
mod close_code;
mod close_frame;
mod close_timer;
mod config;
mod deadline;
pub mod deflate;
pub mod docs;
mod error;
mod frame;
mod handshake;
mod inbound;
mod keepalive;
mod latency;
mod message;
mod outbound;
mod output;
mod phase;
mod pongs;
mod prepared;
mod state;
mod websocket;

pub use buffer::RecvBuffer;
pub use close_code::CloseCode;
pub use close_frame::CloseFrame;
pub use config::Config;
pub use error::{ProtocolError, SendError};
pub use frame::{
    header::{Header, OpCode},
    mask::apply_mask,
    mask_keys::MaskKeys,
};
pub use handshake::{
    Accept, AcceptKey, Accepted, Answer, BasicCredentials, ClientHandshake, ClientRequest,
    DeflateAnswer, HandshakeError, Headers, HeadersIter, IntoReply, InvalidHeader, InvalidPath,
    InvalidRequest, Offer, OwnedHeaders, OwnedOffer, OwnedRequest, Reply, Request, RequestParts,
    Response, ResponseHead, ServerHandshake, TunnelHandshake, accept_key, normalize_path,
    percent_decode,
};
pub use inbound::Inbound;
pub use latency::Latency;
pub use message::{Event, Message, OwnedMessage};
pub use outbound::Outbound;
pub use output::Output;
pub use prepared::PreparedMessage;
pub use state::{Role, State};
pub use websocket::WebSocket;

/// The examples in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
