//! The runtime: its clock, its timers and its turns.

use std::{
    future::poll_fn,
    io::Write,
    net,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use prism_tokio::{Runtime, Tokio};
use tokio::{io::AsyncReadExt, net::TcpStream};

#[tokio::test]
async fn a_task_that_yields_lets_io_go_first() {
    let listener = net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let mut sender = net::TcpStream::connect(listener.local_addr().expect("bound")).unwrap();
    let (receiver, _) = listener.accept().expect("it connects");
    receiver.set_nonblocking(true).expect("a socket");
    let mut receiver = TcpStream::from_std(receiver).expect("a runtime");
    let reader = tokio::spawn(async move { receiver.read_u8().await });
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = polls.clone();
    let busy = tokio::spawn(poll_fn(move |cx| {
        if counted.fetch_add(1, Relaxed) == 10 {
            sender.write_all(&[1]).expect("a connection");
        }
        Tokio.yield_to_others(cx.waker());
        Poll::<()>::Pending
    }));
    assert_eq!(reader.await.expect("no panic").expect("no error"), 1);
    busy.abort();
    assert!(polls.load(Relaxed) < 20, "polled {polls:?} times");
}

#[tokio::test]
async fn a_deadline_may_be_as_far_as_can_be() {
    let far = Tokio.sleep(Duration::MAX);
    let near = Tokio.sleep(Duration::from_millis(1));
    tokio::select! {
        () = far => panic!("the end of time has come"),
        () = near => {}
    }
}

#[test]
fn a_paused_runtime_does_not_stop_the_clock_of_others() {
    let hour = Duration::from_secs(3600);
    let runtime = |paused| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(paused).build().unwrap()
    };
    let ahead = runtime(true).block_on(async {
        tokio::time::advance(hour).await;
        Tokio.now()
    });
    let others = runtime(false).block_on(async { Tokio.now() });
    assert!(others < ahead, "each has its own time");
    runtime(false).block_on(async {
        Tokio.sleep(Duration::from_millis(1)).await;
        assert!(Tokio.now() > others);
    });
}
