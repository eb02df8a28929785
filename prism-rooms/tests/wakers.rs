//! A waker is application code: when a message to a room or a change of presence wakes a member's task, no room
//! is locked.

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

/// How long a scenario may take before it counts as hanging.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The transport of a peer that sends nothing.
struct SilentPeer {
    accepts: Accepts,
}

/// What the transport accepts.
enum Accepts {
    All,
    Nothing,
    /// Small writes. Larger ones panic.
    Small,
}

impl AsyncRead for SilentPeer {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for SilentPeer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.accepts {
            Accepts::Nothing => Poll::Pending,
            Accepts::Small => {
                assert!(bytes.len() < 1000, "on purpose");
                Poll::Ready(Ok(bytes.len()))
            }
            Accepts::All => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Lets each connection join a room and watch it.
struct JoinAndWatch {
    rooms: Rooms,
    presence: Presence<()>,
    when_slow: WhenSlow,
}

impl Handler for JoinAndWatch {
    async fn on_connect(&self, connection: &Connection) {
        connection.set_when_slow(self.when_slow);
        assert!(self.rooms.join(connection, "tea").unwrap());
        assert!(self.presence.watch(connection, "tea").unwrap());
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Calls rooms and presence when it is woken.
struct ReentrantWaker {
    rooms: Rooms,
    presence: Presence<()>,
    woken: AtomicUsize,
}

impl Wake for ReentrantWaker {
    fn wake(self: Arc<Self>) {
        assert_eq!(self.rooms.len("tea"), 1);
        assert_eq!(self.presence.count("tea"), 0);
        self.woken.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs `act` while a member's task sleeps. Returns how often that was woken. Panics if `act` hangs.
#[track_caller]
fn woken_by(
    accepts: Accepts,
    when_slow: WhenSlow,
    act: impl FnOnce(&Rooms, &Presence<()>) + Send + 'static,
) -> usize {
    let (done, outcome) = channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _context = runtime.enter();
        let (rooms, presence) = (Rooms::new(), Presence::new(Tokio));
        let handler = JoinAndWatch { rooms: rooms.clone(), presence: presence.clone(), when_slow };
        let (options, io) = (Options::default(), SilentPeer { accepts });
        let mut session = Box::pin(serve_upgraded(Tokio, io, "/", &options, handler));
        let woken = AtomicUsize::new(0);
        let waker = Arc::new(ReentrantWaker { rooms, presence, woken });
        let std_waker = waker.clone().into();
        assert!(session.as_mut().poll(&mut Context::from_waker(&std_waker)).is_pending());
        act(&waker.rooms, &waker.presence);
        let _ = done.send(waker.woken.load(Ordering::Relaxed));
    });
    outcome.recv_timeout(TIMEOUT).expect("it hangs or has panicked")
}

#[test]
fn a_message_wakes_members_after_the_room_is_unlocked() {
    let to_one = |rooms: &Rooms, _: &Presence<()>| _ = rooms.to("tea").send("hello");
    let to_two = |rooms: &Rooms, _: &Presence<()>| _ = rooms.to("tea").and("milk").send("hello");
    let to_all = |rooms: &Rooms, _: &Presence<()>| _ = rooms.everyone().send("hello");
    assert_eq!(woken_by(Accepts::All, WhenSlow::Wait, to_one), 1);
    assert_eq!(woken_by(Accepts::All, WhenSlow::Wait, to_two), 1);
    assert_eq!(woken_by(Accepts::All, WhenSlow::Wait, to_all), 1);
}

#[test]
fn a_member_closed_as_too_slow_is_woken_after_the_unlock() {
    let fill = |rooms: &Rooms, _: &Presence<()>| {
        for _ in 0..3 {
            let _ = rooms.to("tea").send([7; 60_000]);
        }
    };
    assert!(woken_by(Accepts::Nothing, WhenSlow::Close, fill) > 0);
}

#[test]
fn a_state_wakes_its_watcher_after_the_room_is_unlocked() {
    let watch = |rooms: &Rooms, presence: &Presence<()>| {
        let member = rooms.one(rooms.members("tea")[0]).unwrap();
        assert!(presence.unwatch(member.id(), "tea"));
        assert!(presence.watch(&member, "tea").unwrap());
    };
    assert_eq!(woken_by(Accepts::All, WhenSlow::Wait, watch), 1);
}

/// The first message fills the outbox. For the second, the sender writes to the transport while the room is
/// locked. (The panic hook prints the panic.)
#[test]
fn a_transport_panic_in_a_broadcast_fails_only_its_connection() {
    let fill = |rooms: &Rooms, presence: &Presence<()>| {
        let delivered = [(); 3].map(|()| rooms.to("tea").send([7; 80_000]).delivered);
        assert_eq!(delivered, [1, 0, 0]);
        let member = rooms.one(rooms.members("tea")[0]).unwrap();
        assert!(!member.is_open());
        assert!(presence.unwatch(member.id(), "tea") && rooms.leave(member.id(), "tea"));
        assert!(rooms.is_empty("tea"));
    };
    assert!(woken_by(Accepts::Small, WhenSlow::Wait, fill) > 0);
}
