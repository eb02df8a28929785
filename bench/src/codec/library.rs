//! [`Library`]: runs the items, after checking that its results are right.

use std::{fmt, hint::black_box, rc::Rc};

use bytes::Bytes;
use prism_core::{Header, Role, apply_mask};

#[cfg(feature = "peers")]
use super::{fastwebsockets, shiguredo, sockudo, tokio_websockets, tungstenite, yawc};
use super::{
    floor,
    item::{Item, Work},
    memory::Memory,
    prism, yardstick,
};

/// Runs an item's batch once.
pub type Batch = Box<dyn FnMut()>;

/// A library, or a yardstick.
pub struct Library {
    /// Its name in tables.
    pub name: &'static str,
    prepare: fn(&Item) -> Option<Batch>,
}

/// Everything that is measured, in the order of the tables.
pub const LIBRARIES: &[Library] = &[
    Library { name: "prism", prepare: prism::prepare },
    #[cfg(feature = "peers")]
    Library::new::<tungstenite::Reader, tungstenite::Writer>("tungstenite"),
    #[cfg(feature = "peers")]
    Library::new::<fastwebsockets::Reader, fastwebsockets::Writer>("fastwebsockets"),
    #[cfg(feature = "peers")]
    Library::new::<tokio_websockets::Reader, tokio_websockets::Writer>("tokio-websockets"),
    #[cfg(feature = "peers")]
    Library::new::<sockudo::Reader, sockudo::Writer>("sockudo-ws"),
    #[cfg(feature = "peers")]
    Library::new::<yawc::Reader, yawc::Writer>("yawc"),
    #[cfg(feature = "peers")]
    Library { name: "shiguredo", prepare: shiguredo::prepare },
    Library::new::<floor::Reader, floor::Writer>("floor"),
    Library { name: "copy", prepare: yardstick::copy },
    Library { name: "copy+xor", prepare: yardstick::copy_and_xor },
];

/// A server that decodes.
pub(super) trait Decode: 'static {
    /// Creates a server on a transport that returns an item's batch again and again.
    fn new(item: &Item, io: Memory) -> Self;

    /// Reads a batch, and passes the payload of each message to `see`.
    fn decode(&mut self, see: impl FnMut(&[u8]));
}

/// A server or client that encodes.
pub(super) trait Encode: 'static {
    /// Creates the `role` that will send an item's messages, all with this payload.
    fn new(item: &Item, role: Role, payload: Bytes, io: Memory) -> Self;

    /// Sends a batch, and flushes it.
    fn encode(&mut self);
}

impl Library {
    /// Returns the library with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        LIBRARIES.iter().find(|library| library.name == name)
    }

    /// Prepares an item, and checks its results; `None` if the library does not support it.
    ///
    /// # Panics
    /// If a result is wrong.
    #[must_use]
    pub fn prepare(&self, item: &Item) -> Option<Batch> {
        (self.prepare)(item)
    }

    const fn new<D: Decode, E: Encode>(name: &'static str) -> Self {
        Self { name, prepare: prepare::<D, E> }
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Library").field(&self.name).finish()
    }
}

/// Prepares an item for a library that decodes and encodes.
pub(super) fn prepare<D: Decode, E: Encode>(item: &Item) -> Option<Batch> {
    match item.work {
        Work::Decode => Some(decoding::<D>(item)),
        Work::Encode(role) => Some(encoding::<E>(item, role)),
        Work::Echo | Work::Handshake | Work::Deflate | Work::Inflate => None,
    }
}

fn decoding<D: Decode>(item: &Item) -> Batch {
    let payload = item.payload();
    let mut decoder = D::new(item, Memory::new(item.masked_wire()));
    // Twice, because a batch must not affect the next one.
    for _ in 0..2 {
        let mut seen = 0;
        decoder.decode(|message| {
            assert!(message == payload, "{}: message {seen} is wrong", item.name);
            seen += 1;
        });
        assert_eq!(seen, item.messages, "{}", item.name);
    }
    Box::new(move || {
        decoder.decode(|message| {
            black_box(message);
        });
    })
}

fn encoding<E: Encode>(item: &Item, role: Role) -> Batch {
    let payload = item.payload();
    let io = Memory::new(Bytes::new());
    let output = io.output();
    let mut encoder = E::new(item, role, payload.clone(), io);
    let mut batch = {
        let output = Rc::clone(&output);
        move || {
            output.borrow_mut().clear();
            encoder.encode();
        }
    };
    for _ in 0..2 {
        batch();
        check_frames(item, role, &payload, &output.borrow());
    }
    Box::new(batch)
}

fn check_frames(item: &Item, role: Role, payload: &[u8], mut wire: &[u8]) {
    for number in 0..item.messages {
        let (header, length) =
            Header::parse(wire).expect("the frame is valid").expect("the frame is whole");
        assert_eq!(header, item.header(header.mask), "{}: frame {number}", item.name);
        assert_eq!(header.mask.is_some(), role == Role::Client, "{}", item.name);
        let (frame, rest) = wire.split_at(length + item.len);
        let mut got = frame[length..].to_vec();
        apply_mask(&mut got, header.mask.unwrap_or_default());
        assert!(got == payload, "{}: message {number} is wrong", item.name);
        wire = rest;
    }
    assert!(wire.is_empty(), "{}: too much was sent", item.name);
}
