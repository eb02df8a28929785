//! Bytes with an owner, which an outbox keeps: the owner is dropped where its code may do anything.

use std::{io::ErrorKind, sync::mpsc, thread, time::Duration};

use bytes::Bytes;
use futures_lite::future::poll_once;
use prism_driver::{Connection, Options, WhenSlow, hold_wakeups, serve_upgraded};
use prism_test::{Faults, Sim, pipe};

use crate::common::{handed_out, handlers::HandOut, serve, stuck};

/// Long enough to be kept.
const LARGE: usize = 50_000;

/// The owner of bytes that are sent. When it is dropped, another thread uses the connection, and reports that it could.
struct Owner {
    bytes: Vec<u8>,
    connection: Connection,
    dropped: mpsc::Sender<bool>,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let (connection, (used, could)) = (self.connection.clone(), mpsc::channel());
        thread::spawn(move || used.send(connection.buffered()));
        let _ = self.dropped.send(could.recv_timeout(Duration::from_secs(10)).is_ok());
    }
}

#[test]
fn the_owner_of_bytes_is_dropped_under_no_lock() {
    type End = fn(&Connection, &Faults);
    let ends: [(WhenSlow, End); 4] = [
        (WhenSlow::Wait, |_, faults| faults.to_client().set_capacity(usize::MAX)),
        (WhenSlow::Wait, |connection, _| connection.abort()),
        (WhenSlow::Wait, |_, faults| faults.to_client().fail(ErrorKind::BrokenPipe)),
        (WhenSlow::DropOldest, |connection, _| connection.try_send(vec![7; 4 * LARGE]).unwrap()),
    ];
    for (when_slow, end) in ends {
        let sim = Sim::default();
        let mut options = Options::default();
        options.high_water_mark = 2 * LARGE;
        let (handler, out) = HandOut::when_slow(when_slow);
        let (_peer, faults, _) = serve(&sim, handler, options);
        let (dropped, drops) = mpsc::channel();
        let connection = sim.run(async { out.recv().await.unwrap() });
        sim.run(sim.settle());
        faults.to_client().set_capacity(0);
        connection.try_send("first").unwrap();
        let owner = |len| Owner {
            bytes: vec![7; len],
            connection: connection.clone(),
            dropped: dropped.clone(),
        };
        connection.try_send(Bytes::from_owner(owner(LARGE))).unwrap();
        connection.try_send(Bytes::from_owner(owner(2 * LARGE))).unwrap();
        assert!(drops.try_recv().is_err(), "they are kept");
        end(&connection, &faults);
        sim.run(sim.settle());
        assert_eq!([drops.try_recv(), drops.try_recv()], [Ok(true), Ok(true)], "{when_slow:?}");
    }
}

#[test]
fn held_wakeups_delay_the_drop_of_owners() {
    let sim = Sim::default();
    let (_peer, _, _, connection) = stuck(&sim, 1 << 20);
    let (dropped, drops) = mpsc::channel();
    let owner = Owner { bytes: vec![7; LARGE], connection: connection.clone(), dropped };
    connection.try_send(Bytes::from_owner(owner)).unwrap();
    let wakeups = hold_wakeups();
    connection.abort();
    assert!(drops.try_recv().is_err());
    drop(wakeups);
    assert_eq!(drops.try_recv(), Ok(true));
}

#[test]
fn the_owner_of_bytes_is_dropped_with_an_abandoned_connection() {
    let sim = Sim::default();
    let (_, _, _, other) = handed_out(&sim, Options::default());
    let (server, _client, faults) = pipe();
    let (handler, out) = HandOut::new();
    let options = Options::default();
    let mut serving = Box::pin(serve_upgraded(sim.clone(), server, "/", &options, handler));
    assert!(sim.run(poll_once(&mut serving)).is_none());
    let connection = sim.run(async { out.recv().await.unwrap() });
    faults.to_client().set_capacity(0);
    let (dropped, drops) = mpsc::channel();
    let owner = Owner { bytes: vec![7; LARGE], connection: other, dropped };
    connection.try_send(Bytes::from_owner(owner)).unwrap();
    drop(serving);
    drop(connection);
    assert_eq!(drops.try_recv(), Ok(true));
}
