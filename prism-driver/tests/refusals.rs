//! A client whose server has refused: that is what it hears, a second after its status at the latest,
//! whatever becomes of the body, of the request, and of the transport.

mod common;

use std::io::ErrorKind;

use async_channel::{Receiver, bounded};
use common::{
    http::{read_head, read_to_end},
    ms,
    pipe::{End, Script, pipe},
    s,
    sim::Sim,
    sockets::client,
};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future::or};
use prism_driver::{ConnectError, HandshakeError, Options, Refusal, Runtime, Socket};

const UNAUTHORIZED: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n";
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

/// A client that talks to a server driven by hand; and what comes of it.
struct Scene {
    sim: Sim,
    server: End,
    script: Script,
    outcome: Receiver<Result<Socket, ConnectError>>,
}

fn scene(options: Options) -> Scene {
    scene_after(options, |_| {})
}

/// A scene whose transport is already in a state when the client gets it.
fn scene_after(options: Options, prepare: impl FnOnce(&Script)) -> Scene {
    let sim = Sim::default();
    let (server, io, script) = pipe();
    prepare(&script);
    let (tell, outcome) = bounded(1);
    let client = client(&sim).options(options);
    sim.spawn(async move { tell.send(client.connect_stream(io).await).await.unwrap() });
    Scene { sim, server, script, outcome }
}

impl Scene {
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
fn a_body_that_never_ends_is_left_after_a_second() {
    let mut scene = scene(Options::default());
    scene.sim.clone().run(async {
        read_head(&mut scene.server).await;
        scene.sim.pass(s(3)).await;
        scene.server.write_all(UNAUTHORIZED).await.unwrap();
        scene.server.write_all(b"who are").await.unwrap();
        let refusal = scene.refusal().await;
        assert_eq!((refusal.status, &refusal.body[..]), (401, &b"who are"[..]));
        assert_eq!(refusal.header("www-authenticate").as_deref(), Some("Basic"));
        assert_eq!(scene.sim.now(), s(4), "three, and one");
        assert_eq!(read_to_end(&mut scene.server).await, "", "the transport is closed");
    });
}

#[test]
fn a_body_that_trickles_is_left_after_a_second_too() {
    let head = b"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n";
    let mut scene = scene(Options::default());
    scene.sim.clone().run(async {
        read_head(&mut scene.server).await;
        scene.server.write_all(head).await.unwrap();
        let Scene { sim, server, outcome, .. } = &mut scene;
        let trickle = async {
            for byte in b"abcdefghi\r\n9\r\n" {
                sim.pass(ms(300)).await;
                if server.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
            panic!("nobody took notice")
        };
        let error = or(async { outcome.recv().await.unwrap().unwrap_err() }, trickle).await;
        assert_eq!(scene.sim.now(), s(1));
        let ConnectError::Refused(refusal) = error else { panic!("{error}") };
        assert_eq!((refusal.status, &refusal.body[..]), (502, &b"abc"[..]));
    });
}

#[test]
fn a_head_that_trickles_is_left_a_second_after_its_status() {
    let mut scene = scene(Options::default());
    scene.sim.clone().run(async {
        read_head(&mut scene.server).await;
        let Scene { sim, server, outcome, .. } = &mut scene;
        let trickle = async {
            for byte in UNAUTHORIZED {
                sim.pass(ms(300)).await;
                if server.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
            panic!("nobody took notice")
        };
        let error = or(async { outcome.recv().await.unwrap().unwrap_err() }, trickle).await;
        assert_eq!(scene.sim.now(), ms(300) * "HTTP/1.1 401 ".len() as u32 + s(1));
        let ConnectError::Refused(refusal) = error else { panic!("{error}") };
        assert_eq!((refusal.status, refusal.header("WWW-Authenticate")), (401, None));
    });
}

#[test]
fn a_handshake_timeout_that_comes_first_ends_the_wait_and_hides_nothing() {
    for (timeout, head_at, told_at) in [(ms(500), ms(0), ms(500)), (s(10), ms(9_400), s(10))] {
        let mut options = Options::default();
        options.handshake_timeout = timeout;
        let mut scene = scene(options);
        scene.sim.clone().run(async {
            read_head(&mut scene.server).await;
            scene.sim.pass(head_at).await;
            scene.server.write_all(UNAUTHORIZED).await.unwrap();
            assert_eq!(scene.refusal().await.status, 401);
            assert_eq!(scene.sim.now(), told_at);
        });
    }
}

#[test]
fn a_body_that_is_cut_off_is_a_refusal_at_once() {
    let head = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 100\r\n\r\nsor";
    for cut in [
        (|scene: Scene| drop(scene.server)) as fn(Scene),
        |scene| scene.script.break_to_client(ErrorKind::ConnectionReset),
        |scene| scene.script.break_to_client(ErrorKind::TimedOut),
    ] {
        let mut scene = scene(Options::default());
        let (sim, outcome) = (scene.sim.clone(), scene.outcome.clone());
        sim.clone().run(async move {
            read_head(&mut scene.server).await;
            scene.server.write_all(head).await.unwrap();
            sim.settle().await;
            cut(scene);
            let error = outcome.recv().await.unwrap().unwrap_err();
            let ConnectError::Refused(refusal) = error else { panic!("{error}") };
            assert_eq!((refusal.status, &refusal.body[..]), (502, &b"sor"[..]));
            assert_eq!(sim.now(), s(0));
        });
    }
}

#[test]
fn chunks_that_are_malformed_end_the_body_at_once() {
    let answer =
        b"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsor\r\nry\r\n";
    let mut scene = scene(Options::default());
    scene.sim.clone().run(async {
        read_head(&mut scene.server).await;
        scene.server.write_all(answer).await.unwrap();
        assert_eq!(scene.refusal().await.body, b"sor");
        assert_eq!(scene.sim.now(), s(0));
    });
}

#[test]
fn a_head_that_is_cut_off_behind_its_status_is_a_refusal_without_headers() {
    for (reset, decided_at) in [(true, s(0)), (false, s(1))] {
        let mut scene = scene(Options::default());
        scene.sim.clone().run(async {
            read_head(&mut scene.server).await;
            scene.server.write_all(&UNAUTHORIZED[..UNAUTHORIZED.len() - 1]).await.unwrap();
            scene.sim.settle().await;
            if reset {
                scene.script.break_to_client(ErrorKind::ConnectionReset);
            }
            let refusal = scene.refusal().await;
            assert_eq!((refusal.status, refusal.header("WWW-Authenticate")), (401, None));
            assert_eq!(scene.sim.now(), decided_at);
        });
    }
}

#[test]
fn a_head_that_is_malformed_behind_its_status_is_a_refusal_at_once() {
    let mut scene = scene(Options::default());
    scene.sim.clone().run(async {
        read_head(&mut scene.server).await;
        scene.server.write_all(b"HTTP/1.1 503 Busy\r\nRetry After: 5\r\n\r\n").await.unwrap();
        let refusal = scene.refusal().await;
        assert_eq!((refusal.status, &refusal.body[..]), (503, &b""[..]));
        assert_eq!(scene.sim.now(), s(0));
    });
}

#[test]
fn an_invalid_101_is_decided_by_its_head() {
    let mut scene = scene(Options::default());
    scene.sim.clone().run(async {
        read_head(&mut scene.server).await;
        let answer = b"HTTP/1.1 101 x\r\nUpgrade: h2c\r\nContent-Length: 9\r\n\r\n";
        scene.server.write_all(answer).await.unwrap();
        let error = scene.error().await;
        let expected = HandshakeError::MissingUpgrade;
        assert!(matches!(error, ConnectError::Handshake(e) if e == expected), "{error}");
        assert_eq!(scene.sim.now(), s(0));
    });
}

#[test]
fn an_answer_in_another_http_is_decided_before_its_line_ends() {
    let mut scene = scene(Options::default());
    scene.sim.clone().run(async {
        scene.server.write_all(b"HTTP/2.0").await.unwrap();
        let error = scene.error().await;
        let expected = HandshakeError::UnsupportedHttpVersion;
        assert!(matches!(error, ConnectError::Handshake(e) if e == expected), "{error}");
        assert_eq!(scene.sim.now(), s(0));
    });
}

// ---- a request that cannot be sent

#[test]
fn a_request_that_fails_to_be_sent_does_not_hide_an_answer_that_is_there() {
    let scene = scene_after(Options::default(), |script| {
        script.send_to_client(BUSY);
        script.break_to_server(ErrorKind::BrokenPipe);
    });
    scene.sim.clone().run(async {
        let refusal = scene.refusal().await;
        assert_eq!((refusal.status, &refusal.body[..]), (503, &b"busy"[..]));
        assert_eq!(scene.sim.now(), s(0));
    });
}

#[test]
fn after_a_request_that_fails_to_be_sent_the_answer_has_a_second_to_come() {
    let broken = |script: &Script| script.break_to_server(ErrorKind::BrokenPipe);
    let mut answering = scene_after(Options::default(), broken);
    answering.sim.clone().run(async {
        answering.sim.pass(ms(900)).await;
        answering.server.write_all(UNAUTHORIZED).await.unwrap();
        assert_eq!(answering.refusal().await.status, 401);
        assert_eq!(answering.sim.now(), s(1), "and its body no other one");
    });

    let silent = scene_after(Options::default(), broken);
    silent.sim.clone().run(async {
        let error = silent.error().await;
        assert!(matches!(&error, ConnectError::Io(e) if e.kind() == ErrorKind::BrokenPipe));
        assert_eq!(silent.sim.now(), s(1));
        assert!(silent.script.dropped_by_client());
    });
}

#[test]
fn a_request_that_fails_to_be_sent_and_is_not_answered_is_what_failed() {
    for cut in [true, false] {
        let mut scene = scene_after(Options::default(), |script| {
            script.break_to_server(ErrorKind::BrokenPipe);
            if cut {
                script.break_to_client(ErrorKind::ConnectionReset);
            }
        });
        scene.sim.clone().run(async {
            if !cut {
                scene.server.close().await.unwrap();
            }
            let error = scene.error().await;
            assert!(matches!(&error, ConnectError::Io(e) if e.kind() == ErrorKind::BrokenPipe));
            assert_eq!(scene.sim.now(), s(0), "an end is not waited for");
        });
    }
}

#[test]
fn an_answer_is_read_before_the_request_is_sent() {
    let mut scene = scene_after(Options::default(), |script| script.allow_to_server(10));
    scene.sim.clone().run(async {
        scene.server.write_all(BUSY).await.unwrap();
        assert_eq!(scene.refusal().await.status, 503);
        assert_eq!(scene.sim.now(), s(0));
    });
}

/// A scene in which the server has had all of the request but its last bytes, and accepts it.
fn accepted_early() -> Scene {
    let mut scene = scene_after(Options::default(), |script| script.allow_to_server(150));
    scene.sim.clone().run(async {
        let mut request = [0; 150];
        scene.server.read_exact(&mut request).await.unwrap();
        let request = str::from_utf8(&request).unwrap();
        let (_, key) = request.split_once("Sec-WebSocket-Key: ").unwrap();
        let accept = prism_core::accept_key(key.lines().next().unwrap());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            accept.as_str()
        );
        scene.server.write_all(answer.as_bytes()).await.unwrap();
        scene.sim.settle().await;
        assert!(scene.outcome.is_empty(), "the request is not sent");
    });
    scene
}

#[test]
fn a_request_that_is_accepted_early_is_sent_before_any_frame() {
    let mut scene = accepted_early();
    scene.sim.clone().run(async {
        scene.script.allow_to_server(usize::MAX);
        let socket = scene.outcome.recv().await.unwrap().unwrap();
        socket.send("hello").await.unwrap();
        assert!(read_head(&mut scene.server).await.ends_with("\r\n\r\n"));
        let mut frame = [0; 2];
        scene.server.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame, [0x81, 0x85]);
    });
}

#[test]
fn a_request_that_is_accepted_early_and_never_sent_is_no_connection() {
    let scene = accepted_early();
    scene.script.break_to_server(ErrorKind::BrokenPipe);
    let error = scene.sim.run(scene.error());
    assert!(matches!(&error, ConnectError::Io(e) if e.kind() == ErrorKind::BrokenPipe), "{error}");

    let scene = accepted_early();
    let error = scene.sim.run(scene.error());
    assert!(matches!(error, ConnectError::TimedOut), "{error}");
}
