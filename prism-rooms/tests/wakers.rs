//! A waker is not ours: where a message to a room, or a change of presence, wakes the task of a member,
//! no room is locked.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
    task::{Context, Poll, Wake},
    thread,
    time::Duration,
};

use futures_io::{AsyncRead, AsyncWrite};
use prism_driver::{Connection, Handler, Message, Options, WhenSlow, serve_upgraded};
use prism_rooms::{Presence, Rooms};
use prism_tokio::Tokio;

/// How long anything may take before it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A peer that says nothing.
struct Silent {
    takes: Takes,
}

/// What becomes of what it is sent.
enum Takes {
    All,
    Nothing,
    /// What is small; it panics at the rest.
    Small,
}

impl AsyncRead for Silent {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Silent {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.takes {
            Takes::Nothing => Poll::Pending,
            Takes::Small => {
                assert!(bytes.len() < 1000, "on purpose");
                Poll::Ready(Ok(bytes.len()))
            }
            Takes::All => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Joins a room, and watches it.
struct Join {
    rooms: Rooms,
    presence: Presence<()>,
    when_slow: WhenSlow,
}

impl Handler for Join {
    fn when_slow(&self, _: &Connection) -> WhenSlow {
        self.when_slow
    }

    async fn on_connect(&self, connection: &Connection) {
        assert!(self.rooms.join(connection, "tea").unwrap());
        assert!(self.presence.watch(connection, "tea").unwrap());
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Wants to know all about the room when it wakes its task.
struct Curious {
    rooms: Rooms,
    presence: Presence<()>,
    woken: AtomicUsize,
}

impl Wake for Curious {
    fn wake(self: Arc<Self>) {
        assert_eq!(self.rooms.len("tea"), 1);
        assert_eq!(self.presence.count("tea"), 0);
        self.woken.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs `act` while a member sleeps; how often it was woken. Panics if that hangs.
#[track_caller]
fn woken_by(
    takes: Takes,
    when_slow: WhenSlow,
    act: impl FnOnce(&Rooms, &Presence<()>) + Send + 'static,
) -> usize {
    let (done, outcome) = channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _context = runtime.enter();
        let (rooms, presence) = (Rooms::new(), Presence::new(Tokio));
        let handler = Join { rooms: rooms.clone(), presence: presence.clone(), when_slow };
        let (options, io) = (Options::default(), Silent { takes });
        let mut session = Box::pin(serve_upgraded(Tokio, io, "/", &options, &handler));
        let woken = AtomicUsize::new(0);
        let curious = Arc::new(Curious { rooms, presence, woken });
        let waker = curious.clone().into();
        assert!(session.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        act(&curious.rooms, &curious.presence);
        let _ = done.send(curious.woken.load(Ordering::Relaxed));
    });
    outcome.recv_timeout(PATIENCE).expect("it hangs, or has panicked")
}

#[test]
fn a_message_to_a_room_wakes_its_members_when_the_room_is_free_again() {
    let to_one = |rooms: &Rooms, _: &Presence<()>| _ = rooms.to("tea").send("hello");
    let to_two = |rooms: &Rooms, _: &Presence<()>| _ = rooms.to("tea").and("milk").send("hello");
    let to_all = |rooms: &Rooms, _: &Presence<()>| _ = rooms.everyone().send("hello");
    assert_eq!(woken_by(Takes::All, WhenSlow::Wait, to_one), 1);
    assert_eq!(woken_by(Takes::All, WhenSlow::Wait, to_two), 1);
    assert_eq!(woken_by(Takes::All, WhenSlow::Wait, to_all), 1);
}

#[test]
fn a_member_that_is_too_slow_is_closed_and_woken_when_the_room_is_free_again() {
    let fill = |rooms: &Rooms, _: &Presence<()>| {
        for _ in 0..3 {
            let _ = rooms.to("tea").send(&[7; 60_000]);
        }
    };
    assert!(woken_by(Takes::Nothing, WhenSlow::Close, fill) > 0);
}

#[test]
fn a_state_that_is_told_wakes_its_watcher_when_the_room_is_free_again() {
    let watch = |rooms: &Rooms, presence: &Presence<()>| {
        let member = rooms.one(rooms.members("tea")[0]).unwrap();
        assert!(presence.unwatch(member.id(), "tea"));
        assert!(presence.watch(&member, "tea").unwrap());
    };
    assert_eq!(woken_by(Takes::All, WhenSlow::Wait, watch), 1);
}

/// The panic hook still prints the panic. The first message fills the outbox; for the second, the sender
/// writes to the transport while the room is locked.
#[test]
fn a_transport_that_panics_in_a_send_to_its_room_is_a_failed_write_of_its_own_connection() {
    let fill = |rooms: &Rooms, presence: &Presence<()>| {
        let delivered = [(); 3].map(|()| rooms.to("tea").send(&[7; 80_000]).delivered);
        assert_eq!(delivered, [1, 0, 0]);
        let member = rooms.one(rooms.members("tea")[0]).unwrap();
        assert!(!member.is_open());
        assert!(presence.unwatch(member.id(), "tea") && rooms.leave(member.id(), "tea"));
        assert!(rooms.is_empty("tea"));
    };
    assert!(woken_by(Takes::Small, WhenSlow::Wait, fill) > 0);
}
