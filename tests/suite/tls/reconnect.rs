//! Clients that reconnect over TLS.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener},
    sync::{Arc, mpsc::channel},
    thread,
};

use super::{tls_of, trust};
use crate::{
    prism::{Client, ConnectError, Ended, OwnedMessage},
    suite::{
        reconnect::{Restarting, echoes, ended, reconnect_with, run},
        support::{authority::Authority, handlers::recorder, server::serve},
    },
};

#[test]
fn a_client_reconnects_over_tls_unless_it_does_not_trust_the_server() {
    let (authority, other) = (Authority::new(), Authority::new());
    let tls = tls_of(&authority.issue("127.0.0.1"));
    let server = serve(|server| server.tls(tls).websocket("/", Restarting(Arc::default())));
    let client = |authority: &Authority| {
        let url = format!("wss://{}/", server.address());
        reconnect_with(Client::new(&url).expect("a good address").tls(trust(authority)))
    };
    assert_eq!(echoes(client(&authority)), vec![OwnedMessage::Text("hello".into()); 3]);
    let (recorder, events) = recorder();
    let told = run(client(&other), recorder);
    assert!(matches!(ended(&told), Ended::Attempt(ConnectError::Tls(_))));
    events.nothing_more();
    server.stop();
}

/// What a client may meet while a server restarts: a load balancer without TLS, `internal_error`, `handshake_failure`
/// (RFC 8446 §6), and ends within a record and before one. Then an alert about its certificate: `certificate_required`.
const ANSWERS: [&[u8]; 6] = [
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    &[21, 3, 3, 0, 2, 2, 80],
    &[21, 3, 3, 0, 2, 2, 40],
    &[22, 3, 3, 0, 100, 2],
    &[],
    &[21, 3, 3, 0, 2, 2, 116],
];

#[test]
fn a_client_reconnects_over_tls_unless_what_it_meets_is_about_trust() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let answering = thread::spawn(move || {
        for answer in ANSWERS {
            let (mut stream, _) = listener.accept().expect("a client");
            let read = stream.read(&mut [0; 1 << 14]).expect("a ClientHello");
            assert!(read > 0, "the client has ended");
            stream.write_all(answer).expect("the client reads");
            stream.shutdown(Shutdown::Write).expect("a connected socket");
            let _ = stream.read_to_end(&mut Vec::new()); // may be reset
        }
    });
    let authority = Authority::new();
    let client = Client::new(&format!("wss://{address}/")).expect("a good address");
    let client = client.tls(trust(&authority));
    let (tell, retries) = channel();
    let reconnect = reconnect_with(client).on_retry(move |retry| {
        let _ = tell.send(retry.reason.to_string()); // fails if the scenario is over
    });
    let (recorder, events) = recorder();
    let reason = ended(&run(reconnect, recorder)).to_string();
    let reasons: Vec<_> = retries.iter().collect();
    assert_eq!(reasons.len(), ANSWERS.len() - 1, "{reasons:?}, and then {reason}");
    for (met, said) in reasons.iter().zip(["TLS", "InternalError", "HandshakeFailure", "", ""]) {
        assert!(met.contains(said), "{met}");
    }
    assert!(reason.contains("CertificateRequired"), "{reason}");
    events.nothing_more();
    answering.join().expect("the server does not panic");
}
