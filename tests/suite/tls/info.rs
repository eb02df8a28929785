//! What servers and clients see of TLS.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
};

use super::{client, client_with, tls_of};
use crate::{
    prism::{
        Client, Connection, Deflate, Handler, Message, Options, Reply, Request, Socket, shared,
        socket,
        tls::{
            TlsInfo,
            rustls::{ProtocolVersion, version::TLS12},
        },
    },
    suite::support::{
        TIMEOUT,
        authority::Authority,
        block_on,
        handlers::Echo,
        server::serve,
        tls_peer::{TlsPeer, VERSIONS, config},
        wait_until,
    },
};

fn describe(tls: &TlsInfo) -> String {
    fn debug(it: &impl Debug) -> String {
        format!("{it:?}")
    }
    let alpn = tls.alpn().map(|alpn| alpn.escape_ascii().to_string());
    [
        tls.server_name().unwrap_or("-").to_owned(),
        alpn.unwrap_or_else(|| "-".to_owned()),
        debug(&tls.version()),
        debug(&tls.cipher_suite()),
        tls.peer_certificates().len().to_string(),
        tls.is_resumed().to_string(),
    ]
    .join(" ")
}

#[test]
fn a_page_sees_what_the_handshake_has_agreed_on() {
    let authority = Authority::new();
    let tls = tls_of(&authority.issue("localhost"));
    let page =
        |request: Request| Reply::text(200, request.tls().map_or_else(|| "no".into(), describe));
    let server = serve(|server| server.tls(tls).get("/", page));
    for (version, expected) in VERSIONS.into_iter().zip([
        "localhost http/1.1 TLSv1_2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 0 false",
        "localhost http/1.1 TLSv1_3 TLS13_AES_256_GCM_SHA384 0 false",
    ]) {
        let mut config = config(&authority, version);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut peer = TlsPeer::open(server.address(), config);
        peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let page = peer.read_to_end().expect("a page");
        assert!(page.ends_with(expected.as_bytes()), "{}", page.escape_ascii());
    }
    // Without TLS there is nothing to see.
    let plain = serve(|server| server.get("/", page));
    let mut peer = plain.dial();
    peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(peer.response().1.ends_with("no"));
}

#[test]
fn authorizations_and_compression_see_tls() {
    let authority = Authority::new();
    let tls = tls_of(&authority.issue("localhost"));
    let (sender, seen) = channel();
    let compress_sender = sender.clone();
    let authorize = move |request: Request| {
        let sent = sender.send(request.tls().map(|tls| tls.version()));
        async move { sent.map_err(|_| Reply::new(500)) }
    };
    let options = Options::default().compression(Deflate::default());
    let server = serve(|server| {
        let compressed = shared(Echo).compress_for(move |request| {
            compress_sender.send(request.tls().map(|tls| tls.version())).is_ok()
        });
        server
            .options(options.clone())
            .tls(tls)
            .websocket("/compressed", compressed)
            .websocket("/", shared(Echo).authorize(authorize))
    });
    for path in ["", "compressed"] {
        let url = format!("wss://localhost:{}/{path}", server.address().port());
        let client = Client::new(&url).expect("a good address").tls(super::trust(&authority));
        block_on(client.options(options.clone()).connect()).expect("it trusts");
        let version = seen.recv_timeout(TIMEOUT).expect("it is asked");
        assert_eq!(version, Some(ProtocolVersion::TLSv1_3), "{path}");
    }
}

/// Reports what it sees of TLS in each call.
struct Watcher(Sender<Option<Arc<TlsInfo>>>);

impl Handler for Watcher {
    async fn on_connect(&self, connection: &Connection) {
        self.0.send(connection.tls()).expect("the scenario waits");
    }

    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        self.0.send(connection.tls()).expect("the scenario waits");
    }
}

#[test]
fn a_handler_sees_tls_until_on_connect_has_returned() {
    let authority = Authority::new();
    let tls = tls_of(&authority.issue("localhost"));
    let (sender, seen) = channel();
    let server = serve(|server| server.tls(tls).websocket("/", Watcher(sender)));
    block_on(async {
        let socket = client(&server, "localhost", &authority).connect().await.expect("it trusts");
        socket.send("hello").await.expect("the connection is open");
        let first = seen.recv_timeout(TIMEOUT).expect("it is called").expect("it speaks TLS");
        assert_eq!(first.server_name(), Some("localhost"));
        assert_eq!(seen.recv_timeout(TIMEOUT).expect("it is called"), None);
    });
}

#[test]
fn a_client_sees_the_certificates_of_its_server() {
    let authority = Authority::new();
    let tls = tls_of(&authority.issue("localhost"));
    let names = |socket: Socket| async move {
        let name = socket.tls().and_then(|tls| tls.server_name().map(str::to_owned));
        let _ = socket.send(name.unwrap_or_default()).await; // the client waits for it
        let _ = socket.recv().await;
    };
    let server = serve(|server| server.tls(tls).websocket("/", socket(names)));
    block_on(async {
        let client = client_with(&server, "localhost", config(&authority, &TLS12));
        let connected = client.connect().await.expect("it trusts");
        let tls = connected.tls().expect("it speaks TLS");
        assert_eq!((tls.peer_certificates().len(), tls.server_name()), (1, Some("localhost")));
        assert_eq!(tls.version(), ProtocolVersion::TLSv1_2);
        assert_eq!(connected.connection().tls(), None);
        // The name is in lower case, however the URL has it.
        let shouted = client_with(&server, "LOCALHOST", config(&authority, &TLS12));
        let shouted = shouted.connect().await.expect("it trusts");
        assert_eq!(shouted.tls().expect("it speaks TLS").server_name(), Some("localhost"));
        // The function of a route sees it, too.
        let named = connected.recv().await.expect("the name");
        assert_eq!(named.as_message().as_text(), Some("localhost"));
    });
    // A handler of a client sees it in `on_connect`.
    let (sender, seen) = channel();
    block_on(async {
        let client = client(&server, "localhost", &authority);
        let task = client.spawn(Watcher(sender)).await.expect("it trusts");
        wait_until("on_connect has run", || {
            seen.try_recv().is_ok_and(|tls| tls.expect("TLS").peer_certificates().len() == 1)
        });
        drop(task);
    });
}
