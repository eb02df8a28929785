//! HTTP/2 (RFC 8441), on tokio.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_channel::{Sender, unbounded};
use h2::Reason;
use prism_driver::{
    Connection, Disconnect, Failure, Handler, Message, Options, PreparedMessage, WebSockets,
};
use prism_tokio::Tokio;

use crate::common::{
    Echo, TestRuntime,
    http2::{Client, Stream, serve, with_handler},
};

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

/// Expects the close frame of a server that shuts down, and answers it.
async fn expect_going_away(stream: &mut Stream) {
    let (opcode, payload) = stream.next().await.expect("a close frame");
    assert_eq!((opcode, &payload[..2]), (CLOSE, &1001_u16.to_be_bytes()[..]));
    stream.send(CLOSE, &payload[..2]);
    stream.end();
    assert_eq!(stream.next().await, None);
}

#[test]
fn a_refusal_is_that_of_the_core() {
    Tokio::run(async {
        let websockets = WebSockets::new(Options::default());
        let mut client = Client::connect(serve(with_handler(&websockets, Echo))).await;
        const VERSION: (&str, &str) = ("sec-websocket-version", "13");
        for (protocol, fields, status) in [
            ("webtransport", &[VERSION][..], 501),
            ("websocket", &[], 426),
            ("websocket", &[("sec-websocket-version", "8")], 426),
            ("websocket", &[VERSION, ("sec-websocket-protocol", "a b")], 400),
        ] {
            let (response, _) = client.request(protocol, fields).await;
            assert_eq!(response.status(), status, "{protocol} {fields:?}");
            assert!(!response.headers().contains_key("upgrade"));
        }
        let counts = websockets.stats().counts();
        assert_eq!((counts.refused.bad_request, counts.open), (5, 0));
    });
}

#[test]
fn a_long_message_goes_both_ways() {
    struct Repeat;

    impl Handler for Repeat {
        async fn on_message(&self, connection: &Connection, message: Message<'_>) {
            assert_eq!((connection.path(), connection.query()), ("/chat", Some("x=1")));
            let Message::Text(text) = message else { panic!("a text is sent") };
            connection.send(text.repeat(100_000)).await.expect("it is open");
        }
    }

    Tokio::run(async {
        let websockets = WebSockets::new(Options::default());
        let mut client = Client::connect(serve(with_handler(&websockets, Repeat))).await;
        let mut stream = client.open().await;
        stream.send(TEXT, b"abc");
        let (opcode, payload) = stream.next().await.expect("it is open");
        assert_eq!(opcode, TEXT);
        assert!(payload == "abc".repeat(100_000), "{} bytes", payload.len());
    });
}

#[test]
fn a_connection_of_http_2_has_many_websockets_and_a_shutdown_closes_each() {
    Tokio::run(async {
        let websockets = WebSockets::new(Options::default());
        let mut client = Client::connect(serve(with_handler(&websockets, Echo))).await;
        let mut streams = Vec::new();
        for _ in 0..100 {
            streams.push(client.open().await);
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            stream.send(TEXT, number.to_string().as_bytes());
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            assert_eq!(stream.next().await, Some((TEXT, number.to_string().into())));
        }
        assert_eq!(websockets.stats().counts().open, 100);
        websockets.closing(std::future::ready(())).await;
        // The connections are closed in steps of 64.
        for stream in &mut streams {
            expect_going_away(stream).await;
        }
        let outcome = websockets.shut_down().await;
        assert_eq!((outcome.closed, outcome.failed, outcome.cut), (100, 0, 0));
    });
}

/// Reports the end of each connection.
struct Ends {
    ended: Sender<Disconnect>,
}

impl Handler for Ends {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }

    async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
        self.ended.send(reason).await.expect("the test waits");
    }
}

#[test]
fn a_stream_that_is_reset_ends_its_handler_once() {
    Tokio::run(async {
        let (ended, ends) = unbounded();
        let websockets = WebSockets::new(Options::default());
        let mut client = Client::connect(serve(with_handler(&websockets, Ends { ended }))).await;
        for reason in [Reason::CANCEL, Reason::INTERNAL_ERROR] {
            let (mut other, mut stream) = (client.open().await, client.open().await);
            stream.send(TEXT, b"a");
            assert_eq!(stream.next().await, Some((TEXT, "a".into())));
            stream.send.send_reset(reason);
            let end = ends.recv().await.expect("it ends");
            assert!(matches!(end, Disconnect::Failed(_)), "{reason}: {end:?}");
            // The other streams of the connection live on.
            other.send(TEXT, b"b");
            assert_eq!(other.next().await, Some((TEXT, "b".into())));
            other.send(CLOSE, &1000_u16.to_be_bytes());
            assert_eq!(other.next().await, Some((CLOSE, 1000_u16.to_be_bytes().to_vec().into())));
            other.end();
            assert_eq!(other.next().await, None);
            let end = ends.recv().await.expect("it ends");
            assert!(matches!(end, Disconnect::Peer { .. }), "{end:?}");
        }
        websockets.shut_down().await;
        assert!(ends.is_empty(), "each has ended once");
        assert_eq!(websockets.stats().counts().closed, 4);
    });
}

#[test]
fn a_reader_that_stops_costs_a_bounded_amount_of_memory_and_is_disconnected() {
    const MESSAGE: usize = 1_000;
    const MARK: usize = 100_000;
    // What hyper takes: the stream's window of 65,535 bytes, and three pieces of 16 KiB.
    const HYPER: usize = 65_535 + 3 * (16 << 10);

    struct Flood {
        sent: Arc<AtomicUsize>,
        ended: Sender<Disconnect>,
    }

    impl Handler for Flood {
        async fn on_connect(&self, connection: &Connection) {
            let message = PreparedMessage::new(Message::Binary(&[7; MESSAGE]));
            while connection.send(&message).await.is_ok() {
                self.sent.fetch_add(MESSAGE, Relaxed);
            }
        }

        async fn on_message(&self, _: &Connection, _: Message<'_>) {}

        async fn on_disconnect(&self, _: &Connection, reason: Disconnect) {
            self.ended.send(reason).await.expect("the test waits");
        }
    }

    Tokio::run(async {
        let ((ended, ends), sent) = (unbounded(), Arc::new(AtomicUsize::new(0)));
        let flood = Flood { sent: sent.clone(), ended };
        let options =
            Options::default().high_water_mark(MARK).write_timeout(Duration::from_millis(300));
        let websockets = WebSockets::new(options);
        let mut client = Client::connect(serve(with_handler(&websockets, flood))).await;
        let _stream = client.open().await; // which reads nothing
        let end = ends.recv().await.expect("it ends");
        assert!(matches!(end, Disconnect::Failed(Failure::WriteStalled)), "{end:?}");
        let sent = sent.load(Relaxed);
        assert!((MARK..=MARK + MESSAGE + HYPER).contains(&sent), "{sent} bytes");
    });
}
