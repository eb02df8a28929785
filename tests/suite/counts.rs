//! A server's counters of what its connections carry, over real sockets.

use std::time::Duration;

use super::support::{block_on, handlers::Echo, server::serve, wait_until};
use crate::prism::{CloseCode, Options};

#[test]
fn a_server_counts_what_its_connections_carry_and_how_they_end() {
    let options = Options::default().ping_interval(Some(Duration::from_millis(20)));
    let server = serve(|server| server.options(options).websocket("/", Echo));
    let counts = || server.stats().counts();
    let socket = block_on(server.client("/").connect()).expect("a connection");
    block_on(async {
        for message in ["one", "two", "three"] {
            socket.send(message).await.expect("the connection is open");
            socket.recv().await.expect("it is echoed");
        }
    });
    wait_until("all is counted", || counts().received.messages == 3 && counts().sent.messages == 3);
    wait_until("a round trip is counted", || counts().round_trips.count() > 0);
    let carried = counts();
    // Three frames each way with a header of two bytes; those of the client are masked. There are pings as well.
    let payload = "onetwothree".len() as u64;
    assert!(carried.received.bytes >= payload + 3 * 6, "{carried:?}");
    assert!(carried.sent.bytes >= payload + 3 * 2, "{carried:?}");

    block_on(socket.close(CloseCode::GOING_AWAY, ""));
    wait_until("the end is counted", || counts().ends.total() == 1);
    assert_eq!((counts().ends.by_peer.going_away, counts().closed), (1, 1));
    let metrics = counts().to_openmetrics();
    let line = "prism_connections_ended_total{by=\"peer\",how=\"going_away\"} 1";
    assert!(metrics.lines().any(|it| it == line), "{metrics}");
}
