//! Clients that follow redirects, over real sockets and with TLS.

use std::sync::{Arc, Mutex};

use super::support::{
    authority::Authority,
    block_on,
    handlers::{Echo, recorder},
    resolver::FixedResolver,
    server::{TestServer, serve},
};
use crate::{
    prism::{
        CloseCode, ConnectError, Deflate, InvalidRedirect, Options, Reply, Request, Server,
        tls::{TlsClient, TlsServer},
    },
    runtime,
};

/// Redirects requests for `/old` with this status to `location`, and echoes on `/new`.
fn redirecting(server: Server, status: u16, location: String) -> Server {
    let authorize = move |request: Request| {
        let is_old = request.path() == "/old";
        let location = location.clone();
        async move {
            if !is_old {
                return Ok(());
            }
            Err(Reply::new(status).header("Location", &location).expect("a good header"))
        }
    };
    server
        .subprotocols(["chat"])
        .authorize(authorize)
        .websocket("/old", Echo)
        .websocket("/new", Echo)
}

fn serve_redirect(status: u16, location: impl Into<String>) -> TestServer {
    let location = location.into();
    serve(|server| redirecting(server, status, location))
}

#[test]
fn a_client_ends_where_the_last_redirect_leads() {
    for status in [301, 302, 303, 307, 308] {
        let server = serve_redirect(status, "/new?a=b");
        let socket = block_on(server.client("/old").redirects(1).connect()).expect("it accepts");
        let connection = socket.connection();
        assert_eq!((connection.path(), connection.query()), ("/new", Some("a=b")));
        block_on(socket.close(CloseCode::NORMAL, ""));
    }
}

#[test]
fn handlers_follow_redirects_too() {
    let server = serve_redirect(302, "new");
    let (recorder, events) = recorder();
    let task = block_on(server.client("/old").redirects(1).spawn(recorder)).expect("it accepts");
    assert_eq!(events.connected().path(), "/new");
    task.connection().close(CloseCode::NORMAL, "");
    assert_eq!(block_on(task).code(), 1000);
}

#[test]
fn an_endless_redirect_ends_after_as_many_as_are_allowed() {
    let server = serve_redirect(307, "/old");
    for most in [0, 1, 20] {
        let outcome = block_on(server.client("/old").redirects(most).connect()).map(drop);
        let Err(ConnectError::Refused(refusal)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((refusal.status, refusal.redirects), (307, most));
    }
    assert_eq!(server.stats().counts().refused.unauthorized, 1 + 2 + 21);
}

#[test]
fn subprotocols_and_compression_go_along_and_secrets_do_not() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recording = seen.clone();
    let elsewhere = serve(|server| {
        let record = move |request: Request| {
            let names = ["Authorization", "Cookie", "X-Api-Key", "Origin", "User-Agent"];
            let sent = names.map(|name| request.header(name).map(|value| value.into_owned()));
            recording.lock().expect("no panic").push(sent);
            async { Ok::<_, Reply>(()) }
        };
        let options = Options::default().compression(Deflate::default());
        let server = server.options(options).subprotocols(["chat"]);
        server.authorize(record).websocket("/new", Echo)
    });
    let server = serve_redirect(302, format!("http://{}/new", elsewhere.address()));
    let client = [
        ("Authorization", "Bearer secret"),
        ("Cookie", "session=secret"),
        ("X-Api-Key", "secret"),
        ("Origin", "https://page.example"),
        ("User-Agent", "prism"),
    ]
    .into_iter()
    .fold(server.client("/old").redirects(1), |client, (name, value)| {
        client.header(name, value).expect("a good header")
    });
    let client = client.subprotocol("chat").expect("a token");
    let client = client.options(Options::default().compression(Deflate::default()));
    let socket = block_on(client.connect()).expect("it accepts");
    assert_eq!(socket.connection().subprotocol(), Some("chat"));
    assert!(socket.connection().compression().is_some());
    let kept = [None, None, None, None, Some("prism")];
    assert_eq!(*seen.lock().expect("no panic"), [kept.map(|value| value.map(String::from))]);
}

// ---- TLS

type TestClient = prism_driver::Client<FixedResolver<runtime::Network>>;

fn serve_tls(authority: &Authority, status: u16, location: impl Into<String>) -> TestServer {
    let pair = authority.issue("localhost");
    let tls = TlsServer::from_pem(&pair.certificate, &pair.key).expect("a good pair");
    let location = location.into();
    serve(|server| redirecting(server.tls(tls), status, location))
}

/// Returns a client for a server, which resolves every name to the address of `resolved`.
fn client(url: &str, resolved: &TestServer, authority: &Authority) -> TestClient {
    let trust = TlsClient::trusting_pem_file(authority.file()).expect("a certificate");
    let resolver = FixedResolver::new(vec![resolved.address()]);
    let client = prism_driver::Client::new_on(resolver, url).expect("a good address");
    client.tls(trust).redirects(1)
}

#[test]
fn a_redirect_may_lead_to_wss_and_stay_there() {
    let authority = Authority::new();
    let secure = serve_tls(&authority, 308, "/new");
    let port = secure.address().port();
    let url = format!("wss://localhost:{port}/old");
    let socket = block_on(client(&url, &secure, &authority).connect()).expect("it accepts");
    assert_eq!(socket.connection().path(), "/new");
    // From an address without TLS to a name with it.
    let plain = serve_redirect(301, format!("https://localhost:{port}/new"));
    let client = client(&plain.url("/old"), &secure, &authority);
    let socket = block_on(client.connect()).expect("it accepts");
    assert_eq!(socket.connection().path(), "/new");
}

#[test]
fn a_redirect_from_wss_to_ws_is_not_followed() {
    let authority = Authority::new();
    let plain = serve_redirect(302, "/");
    for scheme in ["ws", "http"] {
        let location = format!("{scheme}://{}/new", plain.address());
        let secure = serve_tls(&authority, 302, location);
        let url = format!("wss://localhost:{}/old", secure.address().port());
        let outcome = block_on(client(&url, &secure, &authority).connect()).map(drop);
        let Err(error @ ConnectError::Redirect(InvalidRedirect::Insecure)) = outcome else {
            panic!("{outcome:?}")
        };
        let expected = "the server redirects, but it leads from \"wss://\" to \"ws://\"";
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(plain.stats().counts().accepted, 0);
}
