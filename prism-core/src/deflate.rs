//! Compression: permessage-deflate (RFC 7692).
//!
//! The extension is off unless [`Config::deflate`](crate::Config::deflate) is set. Then a server
//! accepts the offers of clients, a client makes offers, and a [`WebSocket`](crate::WebSocket) whose
//! peer has agreed compresses what it sends.
//!
//! ```
//! # #[cfg(feature = "deflate")] {
//! use std::sync::Arc;
//!
//! use prism_core::{Config, deflate::Deflate};
//!
//! let config = Config::default().deflate(Some(Arc::new(Deflate::default())));
//! # }
//! ```
//!
//! # How it works
//!
//! A connection keeps no codec, because a deflater takes a few hundred kilobytes. It keeps at most a
//! *window*: the last bytes of its compressed messages, before compression. And it keeps that only if
//! the peers have agreed on *context takeover* (RFC 7692 §7.1.1), which lets a message refer to the
//! ones before it. The codecs are in [`Codecs`]. One per thread is enough; each message starts with the
//! window as its history.
//!
//! So a message may be sent uncompressed at any time, and one that is not sent after all does no
//! harm: the window grows when a frame is appended to the output, and not before.
//!
//! A received message is decompressed when it is complete. Until then it takes the memory of the bytes
//! that have arrived. It is decompressed into the [`RecvBuffer`](crate::RecvBuffer), behind its payload, and
//! never to more than [`Config::max_message_size`](crate::Config::max_message_size) bytes. The payload may
//! exceed that by an eighth, because what cannot be compressed grows. So a message takes at most
//! 2.2 times that size, and one that is small on the wire takes little more than once that size.
//!
//! | RFC 7692 | what | where |
//! |---|---|---|
//! | §5, §7.1 | offers, responses and their parameters | [`Deflate::accept_offer`], [`Deflate::offer`], [`Deflate::check_answer`] |
//! | §6.1, §7.2.1 | compression, and the bit RSV1 | [`Compressor`], [`Outbound::send_compressed`](crate::Outbound::send_compressed) |
//! | §6.2, §7.2.2 | decompression | [`Inbound::receive`](crate::Inbound::receive) |
//!
//! # Security
//!
//! The length of a compressed message depends on its content. If a message has a secret and also text
//! that an attacker chose, the attacker can find out the secret from the lengths (CRIME, BREACH).
//! With context takeover, this applies to all messages of a connection together. Send secrets with
//! [`WebSocket::send_plain`](crate::WebSocket::send_plain).

pub(crate) mod codecs;
mod compressor;
mod decompressor;
mod engine;
mod inflate;
pub(crate) mod params;
pub(crate) mod settings;
mod window;
#[cfg(feature = "deflate")]
mod zlib;

pub use codecs::{Codecs, SharedCodecs};
pub use compressor::{Compressed, Compressor};
pub(crate) use decompressor::{Decompressor, max_compressed};
pub use engine::{Corrupt, Deflater, Engine, Inflater, Settings, Step};
pub use params::{DeflateParams, WindowBits};
pub use settings::Deflate;
#[cfg(feature = "deflate")]
pub use zlib::ZlibRs;
