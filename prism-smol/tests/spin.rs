//! Spinning: the thread parks later.

use std::{
    cell::Cell,
    future::poll_fn,
    io, net,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::AcqRel},
        mpsc::channel,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use prism_smol::spin;
use smol::{
    Async, Executor,
    io::{AsyncReadExt, AsyncWriteExt},
};

const SPAN: Duration = Duration::from_millis(5);

/// A thread in `block_on`: whether it was woken.
#[derive(Default)]
struct Thread(AtomicBool);

impl Thread {
    fn was_woken(&self) -> bool {
        self.0.swap(false, AcqRel)
    }
}

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.0.swap(true, AcqRel);
    }
}

#[test]
fn it_spins_for_a_while_after_each_wakeup() {
    let (polls, own_waker) = (Cell::new(0), Cell::new(None));
    let future = poll_fn(|cx| {
        polls.set(polls.get() + 1);
        own_waker.set(Some(cx.waker().clone()));
        Poll::<()>::Pending
    });
    let mut spinning = pin!(spin(SPAN, future));
    let thread = Arc::new(Thread::default());
    let waker = Waker::from(thread.clone());
    let cx = &mut Context::from_waker(&waker);
    for wakeups in 1..=3 {
        let start = Instant::now();
        loop {
            assert!(spinning.as_mut().poll(cx).is_pending());
            if !thread.was_woken() {
                break;
            }
            assert!(start.elapsed() < SPAN * 2000, "it still spins");
        }
        assert!(start.elapsed() >= SPAN);
        assert_eq!(polls.get(), wakeups, "spinning polls nothing");
        own_waker.take().expect("it was polled").wake();
        assert!(thread.was_woken());
    }
}

#[test]
fn a_wakeup_reaches_the_waker_of_the_last_poll() {
    let own_waker = Cell::new(None);
    let future = poll_fn(|cx| {
        own_waker.set(Some(cx.waker().clone()));
        Poll::<()>::Pending
    });
    let mut spinning = pin!(spin(Duration::ZERO, future));
    let threads = [Arc::new(Thread::default()), Arc::default()];
    for thread in &threads {
        let waker = Waker::from(thread.clone());
        assert!(spinning.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    own_waker.take().expect("it was polled").wake();
    assert_eq!(threads.map(|thread| thread.was_woken()), [false, true]);
}

/// A waker that wakes a future when it is dropped.
struct WakesOnDrop(Mutex<Option<Waker>>);

impl Wake for WakesOnDrop {
    fn wake(self: Arc<Self>) {}
}

impl Drop for WakesOnDrop {
    fn drop(&mut self) {
        self.0.get_mut().expect("no panic").take().expect("it is set").wake();
    }
}

#[test]
fn a_waker_that_is_replaced_may_wake_the_future() {
    let (done, is_done) = channel();
    // A deadlock would never end.
    thread::spawn(move || {
        let own_waker = Cell::new(None);
        let future = poll_fn(|cx| {
            own_waker.set(Some(cx.waker().clone()));
            Poll::<()>::Pending
        });
        let mut spinning = pin!(spin(Duration::ZERO, future));
        let first = Arc::new(WakesOnDrop(Mutex::default()));
        let waker = Waker::from(first.clone());
        assert!(spinning.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        *first.0.lock().expect("no panic") = own_waker.take();
        drop((first, waker));
        let second = Arc::new(Thread::default());
        let waker = Waker::from(second.clone());
        assert!(spinning.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        done.send(second.was_woken()).expect("the test waits");
    });
    assert_eq!(is_done.recv_timeout(Duration::from_secs(10)), Ok(true));
}

#[test]
fn io_arrives_while_it_spins() -> io::Result<()> {
    let listener = net::TcpListener::bind("127.0.0.1:0")?;
    let mut near = Async::new(net::TcpStream::connect(listener.local_addr()?)?)?;
    let mut far = Async::new(listener.accept()?.0)?;
    let executor = Executor::new();
    let echo = executor.spawn(async move {
        let mut byte = [0];
        while far.read_exact(&mut byte).await.is_ok() {
            far.write_all(&byte).await.expect("an open connection");
        }
    });
    let client = async move {
        for number in 0..100 {
            near.write_all(&[number]).await?;
            let mut byte = [0];
            near.read_exact(&mut byte).await?;
            assert_eq!(byte, [number]);
        }
        drop(near);
        echo.await;
        Ok(())
    };
    smol::block_on(spin(Duration::MAX, executor.run(client)))
}
