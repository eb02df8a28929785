//! Connecting to a host name: which address is tried when, which attempt wins, and how failures are
//! reported (RFC 8305, "Happy Eyeballs").

use std::{io, net::SocketAddr, time::Duration};

use prism_driver::{
    Client, ClientOptions, ConnectError, Connection, Disconnect, Handler, Message, Options,
    Runtime, Socket, serve_stream,
};
use prism_test::Sim;

use crate::common::{
    ms,
    net::{
        Net,
        Reach::{self, After, Never, RefusedAfter},
    },
    s,
    sockets::owned,
};

const AT_ONCE: Duration = Duration::ZERO;

/// Connects to `host`, which has these addresses. Returns the network, which has recorded what happened,
/// and the outcome.
fn dial(host: &str, addresses: &[(&str, Reach)]) -> (Sim, Net, Result<Socket, ConnectError>) {
    let sim = Sim::default();
    let net = Net::new(&sim);
    net.name(host, addresses);
    let outcome = connect(&sim, &net, &format!("ws://{host}/"), Options::default());
    (sim, net, outcome)
}

fn connect(
    sim: &Sim,
    net: &Net,
    url: &str,
    options: impl Into<ClientOptions>,
) -> Result<Socket, ConnectError> {
    sim.spawn(welcome(net.clone()));
    sim.run(Client::new_on(net.clone(), url).unwrap().options(options).connect())
}

/// Sends its own address as the first message.
struct Welcome(SocketAddr);

impl Handler for Welcome {
    async fn on_connect(&self, connection: &Connection) {
        connection.send(&self.0.to_string()).await.unwrap();
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Serves [`Welcome`] at each address.
async fn welcome(net: Net) {
    loop {
        let (address, io, _) = net.arrival().await;
        let runtime = net.clone();
        net.spawn(async move {
            // The client may not stay.
            let _ = serve_stream(runtime, io, &Options::default(), Welcome(address)).await;
        });
    }
}

#[track_caller]
fn assert_reached(sim: &Sim, outcome: Result<Socket, ConnectError>, address: &str) {
    let socket = outcome.unwrap();
    let first = sim.run(async { socket.recv().await.unwrap() });
    assert_eq!(first, owned(address));
}

#[track_caller]
fn unreachable(outcome: Result<Socket, ConnectError>) -> io::Error {
    match outcome {
        Err(ConnectError::Unreachable(error)) => error,
        other => panic!("{other:?}"),
    }
}

// ---- which address is tried

#[test]
fn an_ip_address_is_not_looked_up() {
    for (url, address) in [
        ("ws://127.0.0.1:9000/chat", "127.0.0.1:9000"),
        ("ws://[::1]:9000/chat", "[::1]:9000"),
        ("ws://127.0.0.1", "127.0.0.1:80"),
        ("ws://[::1]", "[::1]:80"),
        ("ws://[fe80::1%253]", "[fe80::1%3]:80"),
        ("ws://[fe80::1%3]:9000", "[fe80::1%3]:9000"),
    ] {
        let sim = Sim::default();
        let net = Net::new(&sim);
        net.address(address, After(AT_ONCE));
        let outcome = connect(&sim, &net, url, Options::default());
        assert_reached(&sim, outcome, address);
        assert!(net.lookups().is_empty(), "{url}");
    }
}

#[test]
fn a_host_name_is_looked_up_once() {
    let (sim, net, outcome) = dial("example.org", &[("[::1]:80", After(AT_ONCE))]);
    assert_reached(&sim, outcome, "[::1]:80");
    assert_eq!(net.lookups(), ["example.org"]);
}

#[test]
fn an_address_with_an_interface_name_is_looked_up() {
    for url in ["ws://[fe80::1%25eth0]/", "ws://[FE80:0::1%eth0]/"] {
        let sim = Sim::default();
        let net = Net::new(&sim);
        net.name("fe80::1%eth0", &[("[fe80::1%7]:80", After(AT_ONCE))]);
        let outcome = connect(&sim, &net, url, Options::default());
        assert_reached(&sim, outcome, "[fe80::1%7]:80");
    }
    let sim = Sim::default();
    let outcome = connect(&sim, &Net::new(&sim), "ws://[fe80::1%25no]/", Options::default());
    assert_eq!(unreachable(outcome).to_string(), "fe80::1%no: no such name");
}

#[test]
fn only_the_winning_connection_sets_nodelay() {
    let addresses = [("[::1]:80", RefusedAfter(ms(1))), ("[::2]:80", After(AT_ONCE))];
    let (sim, net, outcome) = dial("example.org", &addresses);
    assert_reached(&sim, outcome, "[::2]:80");
    assert_eq!(net.nodelay_count(), 1);
}

#[test]
fn address_families_alternate_starting_with_the_first() {
    let refused = RefusedAfter(ms(1));
    let (_, net, _) = dial(
        "six.first",
        &[
            ("[::1]:80", refused),
            ("[::2]:80", refused),
            ("[::3]:80", refused),
            ("127.0.0.1:80", refused),
            ("127.0.0.2:80", refused),
        ],
    );
    let turns = ["[::1]:80", "127.0.0.1:80", "[::2]:80", "127.0.0.2:80", "[::3]:80"];
    assert_eq!(net.attempts(), [0, 1, 2, 3, 4].map(|n| format!("{n} ms: {}", turns[n])));

    let (_, net, _) = dial(
        "four.first",
        &[("127.0.0.1:80", refused), ("127.0.0.2:80", refused), ("[::1]:80", refused)],
    );
    let turns = ["127.0.0.1:80", "[::1]:80", "127.0.0.2:80"];
    assert_eq!(net.attempts(), [0, 1, 2].map(|n| format!("{n} ms: {}", turns[n])));
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_wss_url_is_refused_before_any_lookup() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let outcome = connect(&sim, &net, "wss://example.org/", Options::default());
    let Err(ConnectError::InvalidUrl(error)) = outcome else { panic!("{outcome:?}") };
    assert!(error.to_string().contains("needs the feature `tls`"), "{error}");
    assert!(net.lookups().is_empty() && net.attempts().is_empty());
}

// ---- when it is tried

#[test]
fn another_address_is_tried_every_250_ms() {
    let (sim, net, outcome) = dial(
        "example.org",
        &[("[::1]:80", Never), ("127.0.0.1:80", Never), ("[::2]:80", After(ms(100)))],
    );
    assert_reached(&sim, outcome, "[::2]:80");
    let attempts = ["0 ms: [::1]:80", "250 ms: 127.0.0.1:80", "500 ms: [::2]:80"];
    assert_eq!((&net.attempts()[..], sim.now()), (&attempts.map(String::from)[..], ms(600)));
}

#[test]
fn no_other_address_is_tried_within_250_ms() {
    let (sim, net, outcome) =
        dial("example.org", &[("[::1]:80", After(ms(249))), ("127.0.0.1:80", After(AT_ONCE))]);
    assert_reached(&sim, outcome, "[::1]:80");
    assert_eq!(net.attempts(), ["0 ms: [::1]:80"]);
}

#[test]
fn after_a_failure_the_next_address_is_tried_at_once() {
    let (sim, net, outcome) =
        dial("example.org", &[("[::1]:80", RefusedAfter(ms(10))), ("127.0.0.1:80", After(ms(1)))]);
    assert_reached(&sim, outcome, "127.0.0.1:80");
    assert_eq!(net.attempts(), ["0 ms: [::1]:80", "10 ms: 127.0.0.1:80"]);
}

#[test]
fn after_a_late_failure_the_next_address_is_tried_at_once() {
    let (sim, net, outcome) = dial(
        "example.org",
        &[
            ("[::1]:80", RefusedAfter(ms(300))),
            ("127.0.0.1:80", Never),
            ("[::2]:80", After(AT_ONCE)),
        ],
    );
    assert_reached(&sim, outcome, "[::2]:80");
    let attempts = ["0 ms: [::1]:80", "250 ms: 127.0.0.1:80", "300 ms: [::2]:80"];
    assert_eq!(net.attempts(), attempts);
}

// ---- which attempt wins

#[test]
fn an_earlier_attempt_can_still_win() {
    let (sim, net, outcome) = dial(
        "example.org",
        &[("[::1]:80", After(ms(510))), ("127.0.0.1:80", After(s(1))), ("[::2]:80", Never)],
    );
    assert_reached(&sim, outcome, "[::1]:80");
    assert_eq!((net.attempts().len(), sim.now()), (3, ms(510)));
    assert_eq!(net.abandoned(), ["127.0.0.1:80", "[::2]:80"], "the later ones are dropped");
}

#[test]
fn a_later_attempt_can_win() {
    let (sim, net, outcome) =
        dial("example.org", &[("[::1]:80", After(ms(260))), ("127.0.0.1:80", After(ms(5)))]);
    assert_reached(&sim, outcome, "127.0.0.1:80");
    assert_eq!(sim.now(), ms(255));
    assert_eq!(net.abandoned(), ["[::1]:80"]);
}

#[test]
fn the_last_remaining_attempt_wins() {
    let (sim, _, outcome) = dial(
        "example.org",
        &[("[::1]:80", RefusedAfter(ms(600))), ("127.0.0.1:80", After(ms(700)))],
    );
    assert_reached(&sim, outcome, "127.0.0.1:80");
    assert_eq!(sim.now(), ms(950));
}

#[test]
fn a_handler_runs_on_the_winning_connection() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    net.name("example.org", &[("[::1]:80", RefusedAfter(AT_ONCE)), ("[::2]:80", After(AT_ONCE))]);
    sim.spawn(welcome(net.clone()));
    let client = Client::new_on(net, "ws://example.org/").unwrap();
    let ended = sim.run(client.run(CloseWith)).unwrap();
    assert!(matches!(&ended, Disconnect::Local { reason, .. } if reason == "[::2]:80"), "{ended}");
}

/// Closes with the first message as the reason.
struct CloseWith;

impl Handler for CloseWith {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let reason = message.as_text().unwrap();
        assert!(
            connection.close(prism_driver::CloseCode::NORMAL, reason),
            "the connection is open"
        );
    }
}

// ---- every attempt fails

#[test]
fn the_error_names_each_address_and_its_failure() {
    let (sim, _, outcome) = dial(
        "example.org",
        &[("[::1]:80", RefusedAfter(ms(300))), ("127.0.0.1:80", RefusedAfter(ms(10)))],
    );
    let error = unreachable(outcome);
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(error.to_string(), "[::1]:80: refused; 127.0.0.1:80: refused");
    assert_eq!(sim.now(), ms(300), "there is no further wait");
}

#[test]
fn a_host_name_without_addresses_is_unreachable() {
    let (_, _, outcome) = dial("example.org", &[]);
    assert_eq!(unreachable(outcome).to_string(), "example.org has no address");
}

#[test]
fn an_unknown_host_name_is_unreachable_and_named() {
    let sim = Sim::default();
    let outcome = connect(&sim, &Net::new(&sim), "ws://example.org/", Options::default());
    let error = unreachable(outcome);
    assert_eq!(error.to_string(), "example.org: no such name");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn the_connect_timeout_names_each_address_tried() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    net.name(
        "example.org",
        &[("[::1]:80", Never), ("127.0.0.1:80", Never), ("[::2]:80", RefusedAfter(ms(100)))],
    );
    let mut options = ClientOptions::default();
    options.connect_timeout = s(3);
    let error = unreachable(connect(&sim, &net, "ws://example.org/", options));
    assert_eq!((error.kind(), sim.now()), (io::ErrorKind::TimedOut, s(3)));
    let each = "[::1]:80: no answer in time; 127.0.0.1:80: no answer in time; [::2]:80: refused";
    assert_eq!(error.to_string(), each);
    assert_eq!(net.abandoned(), ["127.0.0.1:80", "[::1]:80"], "no attempt is left running");
}

#[test]
fn the_connect_timeout_ends_a_slow_lookup() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    net.silent_name("example.org");
    let error = unreachable(connect(&sim, &net, "ws://example.org/", Options::default()));
    assert_eq!((error.kind(), sim.now()), (io::ErrorKind::TimedOut, s(10)));
    assert_eq!(error.to_string(), "example.org: no answer in time");
}

#[test]
fn the_handshake_timeout_starts_after_the_connect() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    net.address("127.0.0.1:80", After(s(2)));
    let mut options = ClientOptions::default();
    options.connect_timeout = s(4);
    options.connection.handshake_timeout = s(5);
    let client = Client::new_on(net.clone(), "ws://127.0.0.1/").unwrap().options(options);
    let outcome = sim.run(client.connect());
    assert!(matches!(outcome, Err(ConnectError::TimedOut)), "{outcome:?}");
    assert_eq!(sim.now(), s(7));
    let (_, _silent_server, faults) = sim.run(net.arrival());
    assert!(faults.dropped_by_client(), "the transport is closed");
}
