//! How long a client waits before the next attempt.

use std::time::Duration;

use prism_driver::{
    Backoff, Client, CloseCode, Connection, ConnectionHandler, Disconnect, Message, Proxy,
    Reconnect, Runtime,
};
use prism_test::Sim;

use super::{Counting, Retries, SERVER, accept, accept_and_drop, network, refuse, run};
use crate::common::{
    ms,
    net::{
        Net,
        Reach::{After, RefusedAfter},
    },
    s,
};

/// Runs a client whose handler does nothing of interest.
fn follow(sim: &Sim, reconnect: Reconnect<Net>) -> Retries {
    let (reconnect, retries) = Retries::of(reconnect);
    run(sim, reconnect, Counting::new().0);
    retries
}

#[test]
fn the_first_attempt_begins_at_once() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let retries = follow(&sim, reconnect);
    sim.run(async {
        accept(&sim, &net).await;
        assert_eq!((sim.now(), retries.attempts().len()), (s(0), 0));
    });
}

#[test]
fn while_the_server_is_down_the_limit_doubles_up_to_a_minute() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    net.address(SERVER, RefusedAfter(ms(10)));
    let retries = follow(&sim, reconnect);
    sim.run(sim.pass(s(600)));
    let mut due = Duration::ZERO;
    let limits = [5, 10, 20, 40].into_iter().chain(std::iter::repeat(60));
    for ((limit, delay), attempt) in limits.zip(retries.delays()).zip(net.attempts()) {
        assert_eq!(attempt, format!("{} ms: {SERVER}", due.as_millis()));
        assert!(delay < s(limit), "{delay:?}");
        due += ms(10) + delay;
    }
    let attempts = retries.attempts();
    assert!(attempts.len() > 10);
    assert_eq!(attempts, (1..=attempts.len() as u32).collect::<Vec<_>>());
    assert!(retries.reasons()[0].starts_with("the server cannot be reached"));
}

#[test]
fn a_delay_is_random() {
    let mut delays = Vec::new();
    for _ in 0..100 {
        let sim = Sim::default();
        let (net, reconnect) = network(&sim);
        net.address(SERVER, RefusedAfter(ms(0)));
        let retries = follow(&sim, reconnect);
        sim.run(sim.settle());
        delays.extend(retries.delays());
    }
    let early = delays.iter().filter(|delay| **delay < ms(2500)).count();
    // Each half of the range has 50 of them. More than 75 would be one case in two million.
    assert!((26..=74).contains(&early), "{delays:?}");
    assert!(delays.iter().all(|delay| *delay < s(5)));
}

#[test]
fn a_server_that_accepts_and_drops_sees_the_full_backoff() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let retries = follow(&sim, reconnect);
    sim.run(async {
        for _ in 0..20 {
            accept_and_drop(&sim, &net).await;
        }
        sim.settle().await;
    });
    assert_eq!(retries.attempts(), (1..=20).collect::<Vec<_>>());
}

/// Lets the next connection live for this long.
async fn live(sim: &Sim, net: &Net, span: Duration) {
    let server = accept(sim, net).await;
    sim.pass(span).await;
    server.connection.abort();
    sim.settle().await;
}

#[test]
fn a_connection_that_has_lived_resets_the_backoff() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let retries = follow(&sim, reconnect);
    sim.run(async {
        // Ten seconds at least.
        live(&sim, &net, ms(9_999)).await;
        live(&sim, &net, ms(9_999)).await;
        assert_eq!(retries.attempts(), [1, 2]);
        live(&sim, &net, s(10)).await;
        assert_eq!(retries.attempts(), [1, 2, 1]);
        // And as long as the last limit, which is 5 s, 10 s, 20 s, 40 s.
        for _ in 0..3 {
            refuse(&net, 503, "").await;
        }
        live(&sim, &net, ms(39_999)).await;
        assert_eq!(retries.attempts()[3..], [2, 3, 4, 5]);
        live(&sim, &net, s(60)).await;
        assert_eq!(retries.attempts()[7..], [1]);
    });
}

#[test]
fn what_follows_the_end_of_a_connection_does_not_count_as_its_life() {
    struct Slow(Sim);

    impl ConnectionHandler for Slow {
        async fn on_message(&mut self, _: &Connection, _: Message<'_>) {}

        async fn on_disconnect(&mut self, _: &Connection, _: Disconnect) {
            self.0.sleep(s(100)).await;
        }
    }

    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (reconnect, retries) = Retries::of(reconnect);
    run(&sim, reconnect, Slow(sim.clone()));
    sim.run(async {
        for _ in 0..3 {
            // The server keeps its transport open after its close frame, too.
            let server = accept(&sim, &net).await;
            server.faults.to_client().block_close();
            assert!(server.connection.close(CloseCode::GOING_AWAY, ""));
        }
        while retries.attempts().len() < 3 {
            sim.pass(s(1)).await;
        }
        assert_eq!(retries.attempts(), [1, 2, 3]);
    });
}

#[test]
fn the_backoff_can_be_set() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let backoff = Backoff::default().first(ms(10)).most(ms(40)).stable_after(s(1));
    let retries = follow(&sim, reconnect.backoff(backoff));
    sim.run(async {
        for limit in [10, 20, 40, 40, 40] {
            refuse(&net, 503, "").await;
            sim.settle().await;
            assert!(retries.delays().last().unwrap() < &ms(limit));
        }
        live(&sim, &net, s(1)).await;
        assert_eq!(retries.attempts().last(), Some(&1));
    });
}

// ---- what the server asks for

/// Returns the delay after a refusal with these headers.
fn delay_after(status: u16, headers: &str) -> Duration {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let retries = follow(&sim, reconnect);
    sim.run(async {
        refuse(&net, status, headers).await;
        sim.settle().await;
        let delay = retries.delays()[0];
        let began = sim.now();
        net.address(SERVER, After(Duration::ZERO));
        accept(&sim, &net).await;
        assert_eq!(sim.now() - began, delay);
        delay
    })
}

#[test]
fn a_retry_after_in_seconds_extends_the_delay() {
    for status in [429, 503] {
        let delay = delay_after(status, "Retry-After: 30\r\n");
        assert!((s(30)..s(35)).contains(&delay), "{delay:?}");
    }
    let delay = delay_after(503, "Retry-After: 0\r\n");
    assert!(delay < s(5), "{delay:?}");
}

#[test]
fn a_retry_after_with_a_date_extends_the_delay_by_the_clock_of_the_server() {
    let delay = delay_after(
        503,
        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:17 GMT\r\n",
    );
    assert!((s(40)..s(45)).contains(&delay), "{delay:?}");
    let past = delay_after(503, "Retry-After: Sun, 06 Nov 1994 08:50:17 GMT\r\n");
    assert!(past < s(5), "{past:?}");
}

#[test]
fn a_retry_after_counts_as_a_minute_at_most_and_the_random_part_comes_on_top() {
    let values = ["60", "3600", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"];
    let delays = values.map(|value| delay_after(503, &format!("Retry-After: {value}\r\n")));
    assert!(delays.iter().all(|delay| (s(60)..s(65)).contains(delay)), "{delays:?}");
    assert!(delays.iter().any(|delay| *delay != delays[0]), "they all come back at once");
}

#[test]
fn a_retry_after_of_a_proxy_extends_the_delay() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    net.address(SERVER, After(Duration::ZERO));
    let proxy = Proxy::new("http://127.0.0.1:80").unwrap();
    let client = Client::new_on(net.clone(), "ws://example.org/").unwrap().proxy(proxy);
    let retries = follow(&sim, Reconnect::new(client));
    sim.run(async {
        let request = refuse(&net, 503, "Retry-After: 30\r\n").await;
        assert!(request.starts_with("CONNECT "), "{request}");
        sim.settle().await;
    });
    let delay = retries.delays()[0];
    assert!((s(30)..s(35)).contains(&delay), "{delay:?}");
}

#[test]
fn a_retry_after_that_is_malformed_is_ignored() {
    for value in ["-1", "soon", ""] {
        let delay = delay_after(503, &format!("Retry-After: {value}\r\n"));
        assert!(delay < s(5), "{value:?}: {delay:?}");
    }
}
