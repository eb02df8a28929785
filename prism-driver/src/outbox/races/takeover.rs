//! Messages that refer to earlier ones enter the outbox in the order in which they were compressed.

use std::sync::Arc;

use loom::thread::{self, JoinHandle};
use prism_core::{
    CloseCode, Config, Role, WebSocket,
    deflate::{Deflate, DeflateParams, Deflater, Engine, Inflater, Settings},
};

use super::{Sink, write_until};
use crate::{
    connection::{Connection, compression::Compression, request_info::RequestInfo},
    options::{Options, when_slow::WhenSlow},
    outbox::Outbox,
};

/// "Compresses" a message to its first byte and the last one of its history.
#[derive(Debug)]
struct Naming;

impl Engine for Naming {
    fn inflater(&self) -> Box<dyn Inflater> {
        unreachable!("nothing is received")
    }

    fn deflater(&self, _: Settings) -> Option<Box<dyn Deflater>> {
        Some(Box::new(Self))
    }
}

impl Deflater for Naming {
    fn deflate(&mut self, history: &[u8], plain: &[u8], out: &mut [u8]) -> Option<usize> {
        out[..2].copy_from_slice(&[plain[0], history.last().copied().unwrap_or(b'-')]);
        Some(2)
    }
}

fn connection(sink: &Sink) -> Connection {
    let (deflate, params) = (Deflate::new(&Naming).threshold(0), DeflateParams::default());
    let websocket = WebSocket::server(&Config::default()).with_deflate(Arc::new(deflate), params);
    let (_, outbound, compressor) = websocket.split();
    let compression = compressor.map(|it| Compression::new(params, Role::Server, it));
    let info = RequestInfo::new("/", None, std::iter::empty(), None).with_compression(compression);
    let options = Options::default();
    let outbox = Outbox::new(Box::new(sink.clone()), outbound, None, None, true, &options);
    Connection::new(None, Arc::new(info), outbox)
}

/// Runs a function with the connection in a thread of its own.
fn sender<T: 'static>(
    connection: &Connection,
    run: impl FnOnce(&Connection) -> T + 'static,
) -> JoinHandle<T> {
    let connection = connection.clone();
    thread::spawn(move || run(&connection))
}

/// Returns what the compressed messages, and only those, were compressed to.
fn names(sink: &Sink) -> Vec<String> {
    let bytes = sink.bytes();
    let frames = bytes.chunks_exact(4).filter(|frame| frame[0] == 0xc1);
    frames.map(|frame| String::from_utf8(frame[2..].to_vec()).unwrap()).collect()
}

#[test]
fn each_message_refers_to_those_before_it() {
    loom::model(|| {
        let sink = Sink::with_room(usize::MAX);
        let connection = connection(&sink);
        let sender = sender(&connection, |connection| connection.try_send("aaa").unwrap());
        connection.try_send("bbb").unwrap();
        sender.join().unwrap();
        write_until(&connection, || sink.bytes().len() == 8);
        let names = names(&sink);
        assert!(names == ["a-", "ba"] || names == ["b-", "ab"], "{names:?}");
    });
}

#[test]
fn no_message_refers_to_one_that_a_close_has_refused() {
    loom::model(|| {
        let sink = Sink::with_room(usize::MAX);
        let connection = connection(&sink);
        let sender = sender(&connection, |connection| {
            connection.try_send("aaa").is_ok() && connection.try_send("ccc").is_ok()
        });
        connection.close(CloseCode::NORMAL, "");
        let both = sender.join().unwrap();
        write_until(&connection, || sink.bytes().ends_with(&[0x88, 2, 0x03, 0xe8]));
        let names = names(&sink);
        assert!(both == (names == ["a-", "ca"]) && (names.is_empty() || names[0] == "a-"));
    });
}

#[test]
fn once_messages_may_be_dropped_none_refers_to_another() {
    loom::model(|| {
        let sink = Sink::with_room(usize::MAX);
        let connection = connection(&sink);
        let sender = sender(&connection, |connection| connection.try_send("aaa").unwrap());
        connection.set_when_slow(WhenSlow::DropOldest);
        connection.try_send("bbb").unwrap();
        connection.set_when_slow(WhenSlow::Wait);
        connection.try_send("ccc").unwrap();
        sender.join().unwrap();
        write_until(&connection, || sink.bytes().len() == 12);
        let mut names = names(&sink);
        names.sort_unstable();
        assert_eq!(names, ["a-", "b-", "c-"]);
    });
}
