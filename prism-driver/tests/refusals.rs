//! A client whose server refuses the handshake: it returns the refusal at most a second after the status
//! line, whatever happens to the body, the request and the transport.

use std::io::ErrorKind;

use async_channel::{Receiver, bounded};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future::or};
use prism_driver::{ConnectError, HandshakeError, Options, Refusal, Runtime, Socket};
use prism_test::{Faults, PipeEnd, Sim, pipe};

use crate::common::{
    http::{read_head, read_to_end},
    ms, s,
    sockets::client,
};

const UNAUTHORIZED: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n";
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

/// A client that talks to a server driven by hand, and the outcome.
struct Exchange {
    sim: Sim,
    server: PipeEnd,
    faults: Faults,
    outcome: Receiver<Result<Socket, ConnectError>>,
}

fn start(options: Options) -> Exchange {
    start_after(options, |_| {})
}

/// Starts a client whose transport is first prepared by `prepare`.
fn start_after(options: Options, prepare: impl FnOnce(&Faults)) -> Exchange {
    let sim = Sim::default();
    let (server, io, faults) = pipe();
    prepare(&faults);
    let (tell, outcome) = bounded(1);
    let client = client(&sim).options(options);
    sim.spawn(async move { tell.send(client.connect_stream(io).await).await.unwrap() });
    Exchange { sim, server, faults, outcome }
}

impl Exchange {
    async fn error(&self) -> ConnectError {
        self.outcome.recv().await.unwrap().unwrap_err()
    }

    async fn refusal(&self) -> Refusal {
        match self.error().await {
            ConnectError::Refused(refusal) => refusal,
            other => panic!("{other}"),
        }
    }
}

#[test]
fn an_endless_body_is_abandoned_after_a_second() {
    let mut exchange = start(Options::default());
    exchange.sim.clone().run(async {
        read_head(&mut exchange.server).await;
        exchange.sim.pass(s(3)).await;
        exchange.server.write_all(UNAUTHORIZED).await.unwrap();
        exchange.server.write_all(b"who are").await.unwrap();
        let refusal = exchange.refusal().await;
        assert_eq!((refusal.status, &refusal.body[..]), (401, &b"who are"[..]));
        assert_eq!(refusal.header("www-authenticate").as_deref(), Some("Basic"));
        assert_eq!(exchange.sim.now(), s(4), "one second after the head");
        assert_eq!(read_to_end(&mut exchange.server).await, "", "the transport is closed");
    });
}

#[test]
fn a_trickling_body_is_abandoned_after_a_second() {
    let head = b"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n";
    let mut exchange = start(Options::default());
    exchange.sim.clone().run(async {
        read_head(&mut exchange.server).await;
        exchange.server.write_all(head).await.unwrap();
        let Exchange { sim, server, outcome, .. } = &mut exchange;
        let trickle = async {
            for byte in b"abcdefghi\r\n9\r\n" {
                sim.pass(ms(300)).await;
                if server.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
            panic!("the client is still waiting")
        };
        let error = or(async { outcome.recv().await.unwrap().unwrap_err() }, trickle).await;
        assert_eq!(exchange.sim.now(), s(1));
        let ConnectError::Refused(refusal) = error else { panic!("{error}") };
        assert_eq!((refusal.status, &refusal.body[..]), (502, &b"abc"[..]));
    });
}

#[test]
fn a_trickling_head_is_abandoned_a_second_after_its_status() {
    let mut exchange = start(Options::default());
    exchange.sim.clone().run(async {
        read_head(&mut exchange.server).await;
        let Exchange { sim, server, outcome, .. } = &mut exchange;
        let trickle = async {
            for byte in UNAUTHORIZED {
                sim.pass(ms(300)).await;
                if server.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
            panic!("the client is still waiting")
        };
        let error = or(async { outcome.recv().await.unwrap().unwrap_err() }, trickle).await;
        assert_eq!(exchange.sim.now(), ms(300) * "HTTP/1.1 401 ".len() as u32 + s(1));
        let ConnectError::Refused(refusal) = error else { panic!("{error}") };
        assert_eq!((refusal.status, refusal.header("WWW-Authenticate")), (401, None));
    });
}

#[test]
fn an_earlier_handshake_timeout_still_returns_the_refusal() {
    for (timeout, head_at, told_at) in [(ms(500), ms(0), ms(500)), (s(10), ms(9_400), s(10))] {
        let mut options = Options::default();
        options.handshake_timeout = timeout;
        let mut exchange = start(options);
        exchange.sim.clone().run(async {
            read_head(&mut exchange.server).await;
            exchange.sim.pass(head_at).await;
            exchange.server.write_all(UNAUTHORIZED).await.unwrap();
            assert_eq!(exchange.refusal().await.status, 401);
            assert_eq!(exchange.sim.now(), told_at);
        });
    }
}

#[test]
fn a_truncated_body_is_a_refusal_at_once() {
    let head = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 100\r\n\r\nsor";
    for cut in [
        (|exchange: Exchange| drop(exchange.server)) as fn(Exchange),
        |exchange| exchange.faults.to_client().fail(ErrorKind::ConnectionReset),
        |exchange| exchange.faults.to_client().fail(ErrorKind::TimedOut),
    ] {
        let mut exchange = start(Options::default());
        let (sim, outcome) = (exchange.sim.clone(), exchange.outcome.clone());
        sim.clone().run(async move {
            read_head(&mut exchange.server).await;
            exchange.server.write_all(head).await.unwrap();
            sim.settle().await;
            cut(exchange);
            let error = outcome.recv().await.unwrap().unwrap_err();
            let ConnectError::Refused(refusal) = error else { panic!("{error}") };
            assert_eq!((refusal.status, &refusal.body[..]), (502, &b"sor"[..]));
            assert_eq!(sim.now(), s(0));
        });
    }
}

#[test]
fn malformed_chunks_end_the_body_at_once() {
    let answer =
        b"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsor\r\nry\r\n";
    let mut exchange = start(Options::default());
    exchange.sim.clone().run(async {
        read_head(&mut exchange.server).await;
        exchange.server.write_all(answer).await.unwrap();
        assert_eq!(exchange.refusal().await.body, b"sor");
        assert_eq!(exchange.sim.now(), s(0));
    });
}

#[test]
fn a_truncated_head_is_a_refusal_without_headers() {
    for (reset, decided_at) in [(true, s(0)), (false, s(1))] {
        let mut exchange = start(Options::default());
        exchange.sim.clone().run(async {
            read_head(&mut exchange.server).await;
            exchange.server.write_all(&UNAUTHORIZED[..UNAUTHORIZED.len() - 1]).await.unwrap();
            exchange.sim.settle().await;
            if reset {
                exchange.faults.to_client().fail(ErrorKind::ConnectionReset);
            }
            let refusal = exchange.refusal().await;
            assert_eq!((refusal.status, refusal.header("WWW-Authenticate")), (401, None));
            assert_eq!(exchange.sim.now(), decided_at);
        });
    }
}

#[test]
fn a_malformed_head_after_the_status_is_a_refusal_at_once() {
    let mut exchange = start(Options::default());
    exchange.sim.clone().run(async {
        read_head(&mut exchange.server).await;
        exchange.server.write_all(b"HTTP/1.1 503 Busy\r\nRetry After: 5\r\n\r\n").await.unwrap();
        let refusal = exchange.refusal().await;
        assert_eq!((refusal.status, &refusal.body[..]), (503, &b""[..]));
        assert_eq!(exchange.sim.now(), s(0));
    });
}

#[test]
fn an_invalid_101_is_rejected_by_its_head() {
    let mut exchange = start(Options::default());
    exchange.sim.clone().run(async {
        read_head(&mut exchange.server).await;
        let answer = b"HTTP/1.1 101 x\r\nUpgrade: h2c\r\nContent-Length: 9\r\n\r\n";
        exchange.server.write_all(answer).await.unwrap();
        let error = exchange.error().await;
        let expected = HandshakeError::MissingUpgrade;
        assert!(matches!(error, ConnectError::Handshake(e) if e == expected), "{error}");
        assert_eq!(exchange.sim.now(), s(0));
    });
}

#[test]
fn another_http_version_is_rejected_before_the_line_ends() {
    let mut exchange = start(Options::default());
    exchange.sim.clone().run(async {
        exchange.server.write_all(b"HTTP/2.0").await.unwrap();
        let error = exchange.error().await;
        let expected = HandshakeError::UnsupportedHttpVersion;
        assert!(matches!(error, ConnectError::Handshake(e) if e == expected), "{error}");
        assert_eq!(exchange.sim.now(), s(0));
    });
}

// ---- a request that cannot be sent

#[test]
fn a_failed_request_does_not_hide_an_answer() {
    let exchange = start_after(Options::default(), |faults| {
        faults.to_client().insert(BUSY);
        faults.to_server().fail(ErrorKind::BrokenPipe);
    });
    exchange.sim.clone().run(async {
        let refusal = exchange.refusal().await;
        assert_eq!((refusal.status, &refusal.body[..]), (503, &b"busy"[..]));
        assert_eq!(exchange.sim.now(), s(0));
    });
}

#[test]
fn after_a_failed_request_the_answer_has_a_second() {
    let broken = |faults: &Faults| faults.to_server().fail(ErrorKind::BrokenPipe);
    let mut answering = start_after(Options::default(), broken);
    answering.sim.clone().run(async {
        answering.sim.pass(ms(900)).await;
        answering.server.write_all(UNAUTHORIZED).await.unwrap();
        assert_eq!(answering.refusal().await.status, 401);
        assert_eq!(answering.sim.now(), s(1), "the body gets no extra time");
    });

    let silent = start_after(Options::default(), broken);
    silent.sim.clone().run(async {
        let error = silent.error().await;
        assert!(matches!(&error, ConnectError::Io(e) if e.kind() == ErrorKind::BrokenPipe));
        assert_eq!(silent.sim.now(), s(1));
        assert!(silent.faults.dropped_by_client());
    });
}

#[test]
fn a_failed_request_without_an_answer_is_the_error() {
    for cut in [true, false] {
        let mut exchange = start_after(Options::default(), |faults| {
            faults.to_server().fail(ErrorKind::BrokenPipe);
            if cut {
                faults.to_client().fail(ErrorKind::ConnectionReset);
            }
        });
        exchange.sim.clone().run(async {
            if !cut {
                exchange.server.close().await.unwrap();
            }
            let error = exchange.error().await;
            assert!(matches!(&error, ConnectError::Io(e) if e.kind() == ErrorKind::BrokenPipe));
            assert_eq!(exchange.sim.now(), s(0), "there is nothing to wait for");
        });
    }
}

#[test]
fn an_answer_may_arrive_before_the_request_is_sent() {
    let mut exchange = start_after(Options::default(), |faults| faults.to_server().allow(10));
    exchange.sim.clone().run(async {
        exchange.server.write_all(BUSY).await.unwrap();
        assert_eq!(exchange.refusal().await.status, 503);
        assert_eq!(exchange.sim.now(), s(0));
    });
}

/// Starts a client whose server has received all but the end of the request, and accepts it already.
fn accepted_early() -> Exchange {
    let mut exchange = start_after(Options::default(), |faults| faults.to_server().allow(150));
    exchange.sim.clone().run(async {
        let mut request = [0; 150];
        exchange.server.read_exact(&mut request).await.unwrap();
        let request = str::from_utf8(&request).unwrap();
        let (_, key) = request.split_once("Sec-WebSocket-Key: ").unwrap();
        let accept = prism_core::accept_key(key.lines().next().unwrap());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            accept.as_str()
        );
        exchange.server.write_all(answer.as_bytes()).await.unwrap();
        exchange.sim.settle().await;
        assert!(exchange.outcome.is_empty(), "the request is not sent");
    });
    exchange
}

#[test]
fn an_early_101_sends_the_rest_of_the_request_first() {
    let mut exchange = accepted_early();
    exchange.sim.clone().run(async {
        exchange.faults.to_server().allow(usize::MAX);
        let socket = exchange.outcome.recv().await.unwrap().unwrap();
        socket.send("hello").await.unwrap();
        assert!(read_head(&mut exchange.server).await.ends_with("\r\n\r\n"));
        let mut frame = [0; 2];
        exchange.server.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame, [0x81, 0x85]);
    });
}

#[test]
fn an_early_101_without_the_whole_request_fails() {
    let exchange = accepted_early();
    exchange.faults.to_server().fail(ErrorKind::BrokenPipe);
    let error = exchange.sim.run(exchange.error());
    assert!(matches!(&error, ConnectError::Io(e) if e.kind() == ErrorKind::BrokenPipe), "{error}");

    let exchange = accepted_early();
    let error = exchange.sim.run(exchange.error());
    assert!(matches!(error, ConnectError::TimedOut), "{error}");
}
