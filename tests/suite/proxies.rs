//! Clients behind proxies: HTTP and SOCKS5, with and without a password, for `ws:` and `wss:`.

use std::{
    env,
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use super::support::{
    authority::Authority,
    block_on,
    forward_proxy::{FORBIDDEN_PORT, ForwardProxy, PASSWORD, Protocol, USER},
    handlers::{Echo, recorder},
    own_process::rerun,
    resolver::FixedResolver,
    server::{TestServer, closed_port, serve, serve_echo},
};
use crate::{
    prism::{
        Client, CloseCode, ConnectError, Connection, Handler, Message, Options, OwnedMessage,
        Proxy, ProxyFailure, Socket,
        tls::{TlsClient, TlsServer},
    },
    runtime,
};

/// A name that nobody can resolve but a proxy, or a client with a [`FixedResolver`].
const NAME: &str = "feed.test";

const PROTOCOLS: [Protocol; 2] = [Protocol::Http, Protocol::Socks];

/// Returns the proxy's URL, without a password.
fn url(protocol: Protocol, proxy: &ForwardProxy) -> String {
    let scheme = match protocol {
        Protocol::Http => "http",
        Protocol::Socks => "socks5h",
    };
    format!("{scheme}://{}", proxy.address())
}

fn with_password(protocol: Protocol, proxy: &ForwardProxy, password: &str) -> Proxy {
    let proxy = Proxy::new(&url(protocol, proxy)).expect("a good address");
    proxy.credentials(USER, password).expect("good credentials")
}

/// Returns how a proxy refused, and what the error says.
#[track_caller]
fn failure(
    proxy: &ForwardProxy,
    outcome: Result<impl Sized, ConnectError>,
) -> (ProxyFailure, String) {
    let error = outcome.map(drop).expect_err("the proxy refuses");
    let shown = format!("{error} {error:?}");
    assert!(shown.contains(&format!("the proxy {} ", proxy.address())), "{shown}");
    assert!(
        !shown.contains(USER) && !shown.contains("wrong") && !shown.contains("horse"),
        "{shown}"
    );
    match error {
        ConnectError::Proxy(error) => (error.failure, shown),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_echoes(socket: &Socket) {
    for len in [0, 125, 4_000, 70_000] {
        let text = "x".repeat(len);
        block_on(async {
            socket.send(&text).await.expect("an open connection");
            let echoed = socket.recv().await.expect("an echo");
            assert!(echoed == OwnedMessage::Text(text), "{len} bytes");
        });
    }
}

// ---- connections

#[test]
fn messages_pass_through_each_kind_of_proxy() {
    let server = serve_echo(Options::default());
    for protocol in PROTOCOLS {
        for requires_password in [false, true] {
            let proxy = ForwardProxy::start(protocol, requires_password, server.address());
            let client = Client::new(&format!("ws://{NAME}:4711/")).expect("a good address");
            let client = client.proxy(with_password(protocol, &proxy, PASSWORD));
            let socket = block_on(client.connect()).expect("a tunnel");
            assert_echoes(&socket);
            assert_eq!(proxy.asked(), [format!("{NAME}:4711")]);
            block_on(socket.close(CloseCode::NORMAL, ""));
        }
    }
    assert_eq!(server.stop().failed, 0);
}

/// Runs an echo server with a certificate for [`NAME`].
fn serve_tls(authority: &Authority) -> TestServer {
    let pair = authority.issue(NAME);
    let tls = TlsServer::from_pem(&pair.certificate, &pair.key).expect("a good pair");
    serve(|server| server.tls(tls).websocket("/", Echo))
}

#[test]
fn tls_runs_between_the_client_and_the_server() {
    let authority = Authority::new();
    let server = serve_tls(&authority);
    let trust = TlsClient::trusting_pem_file(authority.file()).expect("a certificate");
    for protocol in PROTOCOLS {
        let proxy = ForwardProxy::start(protocol, true, server.address());
        let connect = |name| {
            let client = Client::new(&format!("wss://{name}/")).expect("a good address");
            let proxy = with_password(protocol, &proxy, PASSWORD);
            block_on(client.tls(trust.clone()).proxy(proxy).connect())
        };
        assert_echoes(&connect(NAME).expect("a tunnel"));
        // The certificate has to be for the server, and not for the proxy.
        let outcome = connect("other.test").map(drop);
        assert!(matches!(outcome, Err(ConnectError::Tls(_))), "{outcome:?}");
        assert_eq!(proxy.asked(), ["feed.test:443", "other.test:443"]);
    }
}

#[test]
fn this_machine_resolves_the_name_with_socks5() {
    let server = serve_echo(Options::default());
    let proxy = ForwardProxy::start(Protocol::Socks, false, server.address());
    let resolver = FixedResolver::<runtime::Network>::new(vec![server.address()]);
    let client = prism_driver::Client::new_on(resolver, &format!("ws://{NAME}/")).expect("a URL");
    let url = format!("socks5://{}", proxy.address());
    let client = client.proxy(Proxy::new(&url).expect("a good address"));
    assert_echoes(&block_on(client.connect()).expect("a tunnel"));
    assert_eq!(proxy.asked(), [server.address().to_string()]);
}

struct CloseAtOnce;

impl Handler for CloseAtOnce {
    async fn on_connect(&self, connection: &Connection) {
        connection.close(CloseCode::NORMAL, "");
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

#[test]
fn handlers_run_through_a_proxy_as_well() {
    let server = serve_echo(Options::default());
    for protocol in PROTOCOLS {
        let proxy = ForwardProxy::start(protocol, true, server.address());
        let client = || {
            let client = Client::new(&format!("ws://{NAME}/")).expect("a good address");
            client.proxy(with_password(protocol, &proxy, PASSWORD))
        };
        let (recorder, events) = recorder();
        let task = block_on(client().spawn(recorder)).expect("a tunnel");
        events.connected();
        task.connection().close(CloseCode::NORMAL, "");
        assert_eq!(block_on(task).code(), 1000);
        events.ended();
        // A client that closes as soon as it is connected.
        let end = block_on(client().run(CloseAtOnce)).expect("a tunnel");
        assert_eq!(end.code(), 1000);
    }
}

#[test]
fn a_listed_server_is_connected_to_directly() {
    let server = serve_echo(Options::default());
    let (nobody, _reserved) = closed_port("127.0.0.1");
    let proxy = Proxy::new(&format!("http://{nobody}")).expect("a good address");
    let client = server.client("/").proxy(proxy.no_proxy("127.0.0.0/8"));
    assert_echoes(&block_on(client.connect()).expect("a direct connection"));
}

// ---- refusals

#[test]
fn a_wrong_password_is_named_but_not_shown() {
    let server = serve_echo(Options::default());
    for protocol in PROTOCOLS {
        let proxy = ForwardProxy::start(protocol, true, server.address());
        let connect = |setting| {
            let client = Client::new(&format!("ws://{NAME}/")).expect("a good address");
            block_on(client.proxy(setting).connect())
        };
        let outcome = connect(with_password(protocol, &proxy, "wrong"));
        let (reason, _) = failure(&proxy, outcome);
        assert!(matches!(reason, ProxyFailure::CredentialsRejected), "{reason:?}");
        let outcome = connect(Proxy::new(&url(protocol, &proxy)).expect("a good address"));
        let (reason, _) = failure(&proxy, outcome);
        assert!(matches!(reason, ProxyFailure::CredentialsRequired), "{reason:?}");
        assert!(proxy.asked().is_empty());
    }
}

#[test]
fn a_refusal_is_the_proxys_and_not_the_servers() {
    let server = serve_echo(Options::default());
    for (protocol, said) in [(Protocol::Http, "status 403"), (Protocol::Socks, "its rules")] {
        let proxy = ForwardProxy::start(protocol, false, server.address());
        let client = Client::new(&format!("ws://{NAME}:{FORBIDDEN_PORT}/")).expect("a URL");
        let setting = Proxy::new(&url(protocol, &proxy)).expect("a good address");
        let (_, shown) = failure(&proxy, block_on(client.proxy(setting).connect()));
        assert!(shown.contains(said), "{shown}");
    }
}

#[test]
fn an_unreachable_proxy_is_named() {
    let (nobody, _reserved) = closed_port("127.0.0.1");
    for scheme in ["http", "socks5h"] {
        let proxy = Proxy::new(&format!("{scheme}://{USER}:secret@{nobody}")).expect("a URL");
        let client = Client::new(&format!("ws://{NAME}/")).expect("a good address").proxy(proxy);
        let error = block_on(client.connect()).map(drop).expect_err("nobody listens");
        let shown = format!("{error} {error:?}");
        assert!(shown.starts_with(&format!("the proxy {nobody} cannot be reached: ")), "{shown}");
        assert!(!shown.contains(USER) && !shown.contains("secret"), "{shown}");
    }
}

/// The protocols are mixed up: the HTTP proxy gets SOCKS, and the other way round.
#[test]
fn a_proxy_of_another_kind_is_no_tunnel() {
    let server = serve_echo(Options::default());
    let client = || Client::new(&format!("ws://{NAME}/")).expect("a good address");
    // The server speaks HTTP, but is no proxy.
    let proxy = Proxy::new(&format!("http://{}", server.address())).expect("a good address");
    let error = block_on(client().proxy(proxy).connect()).map(drop).expect_err("no proxy");
    assert!(error.to_string().contains("refused with status 4"), "{error}");
    let proxy = Proxy::new(&format!("socks5h://{}", server.address())).expect("a good address");
    let error = block_on(client().proxy(proxy).connect()).map(drop).expect_err("no proxy");
    assert!(matches!(error, ConnectError::Proxy(_)), "{error:?}");
}

/// A server of WebSockets does not speak first, so more than the answer cannot be the server's.
#[test]
fn a_proxy_that_sends_more_than_its_answer_is_an_error() {
    let answers: [&[&[u8]]; 2] =
        [&[b"HTTP/1.1 200 OK\r\n\r\nx"], &[&[5, 0], &[5, 0, 0, 1, 127, 0, 0, 1, 0, 80, b'x']]];
    for (scheme, answers) in ["http", "socks5h"].into_iter().zip(answers) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let answering = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            for answer in answers {
                let read = stream.read(&mut [0; 1 << 14]).expect("what the client asks");
                assert!(read > 0, "the client has ended");
                stream.write_all(answer).expect("the client reads");
            }
            let _ = stream.read_to_end(&mut Vec::new()); // may be reset
        });
        let proxy = Proxy::new(&format!("{scheme}://{address}")).expect("a good address");
        let client = Client::new(&format!("ws://{NAME}/")).expect("a good address").proxy(proxy);
        match block_on(client.connect()).map(drop) {
            Err(ConnectError::Proxy(error)) => {
                assert!(matches!(error.failure, ProxyFailure::UnexpectedBytes), "{error}");
            }
            other => panic!("{scheme}: {other:?}"),
        }
        answering.join().expect("the proxy does not panic");
    }
}

// ---- the environment

/// Says that this is the process whose environment names the proxy.
const CHILD: &str = "PRISM_TESTS_BEHIND_A_PROXY";

#[test]
fn the_environment_names_the_proxy_when_it_is_asked() {
    if env::var_os(CHILD).is_some() {
        return connect_as_the_environment_says();
    }
    let server = serve_echo(Options::default());
    for protocol in PROTOCOLS {
        let proxy = ForwardProxy::start(protocol, false, server.address());
        let mut child = rerun(&the_environment_names_the_proxy_when_it_is_asked);
        for name in ["WS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"] {
            child.env_remove(name).env_remove(name.to_lowercase());
        }
        child.env(CHILD, server.address().to_string());
        child.env("ALL_PROXY", url(protocol, &proxy)).env("no_proxy", "127.0.0.1");
        let output = child.output().expect("this program starts");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("1 passed"), "{output:?}");
        assert_eq!(proxy.asked(), [format!("{NAME}:80")]);
    }
}

fn connect_as_the_environment_says() {
    let client = || Client::new(&format!("ws://{NAME}/")).expect("a good address");
    let direct = block_on(client().connect()).map(drop);
    assert!(matches!(direct, Err(ConnectError::Unreachable(_))), "not asked: {direct:?}");
    let proxy = Proxy::from_env().expect("a good address");
    assert_echoes(&block_on(client().proxy(proxy.clone()).connect()).expect("a tunnel"));
    let server = env::var(CHILD).expect("the server's address");
    let listed = Client::new(&format!("ws://{server}/")).expect("a good address");
    assert_echoes(&block_on(listed.proxy(proxy).connect()).expect("a direct connection"));
}
