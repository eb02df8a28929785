//! The functions of the application that a client calls.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use async_channel::bounded;
use prism_driver::{Backoff, Client, CloseCode, Disconnect, Ended};
use prism_test::Sim;

use super::{Counting, Retries, accept, accept_and_drop, network, refuse, run};
use crate::common::{handlers::Log, ms, net::Net, s};

#[test]
fn before_each_attempt_the_client_gets_fresh_credentials() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let mut calls = 0;
    let reconnect = reconnect.before_each(move |client| {
        calls += 1;
        let token = format!("token {calls}");
        async move { client.header("Authorization", &token) }
    });
    run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        for n in [1, 2, 4, 5] {
            if n == 4 {
                accept_and_drop(&sim, &net).await;
            }
            let request = refuse(&net, 503, "").await;
            let lines: Vec<_> =
                request.lines().filter(|line| line.starts_with("Authorization")).collect();
            assert_eq!(lines, [format!("Authorization: token {n}")], "no earlier one");
        }
    });
}

#[test]
fn an_attempt_waits_for_its_credentials() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (grant, granted) = bounded::<()>(1);
    let reconnect = reconnect.before_each(move |client| {
        let granted = granted.clone();
        async move { granted.recv().await.map(|()| client) }
    });
    run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        sim.pass(s(100)).await;
        assert!(net.attempts().is_empty());
        grant.send(()).await.unwrap();
        accept(&sim, &net).await;
    });
}

#[test]
fn without_credentials_there_is_another_attempt_later() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let (reconnect, retries) = Retries::of(reconnect);
    let mut calls = 0;
    let reconnect = reconnect.before_each(move |client| {
        calls += 1;
        let outcome = if calls < 3 { Err("no token") } else { Ok(client) };
        async move { outcome }
    });
    run(&sim, reconnect, Counting::new().0);
    sim.run(accept(&sim, &net));
    assert_eq!(retries.attempts(), [1, 2]);
    assert_eq!(retries.reasons(), ["the attempt could not be prepared: no token"; 2]);
    assert_eq!(net.attempts().len(), 1);
}

#[test]
fn attempts_that_fail_at_once_let_others_run_even_without_a_backoff() {
    let sim = Sim::default();
    let (_net, reconnect) = network(&sim);
    let (reconnect, retries) = Retries::of(reconnect);
    let backoff = Backoff::default().first(s(0)).most(s(0));
    let mut calls = 0;
    let reconnect = reconnect.backoff(backoff).before_each(move |_| {
        calls += 1;
        assert!(calls < 1_000, "one poll never returns");
        async { Err("no token") }
    });
    run(&sim, reconnect, Counting::new().0);
    sim.run(sim.pass(ms(10)));
    assert!((5..=11).contains(&retries.attempts().len()), "{:?}", retries.attempts());
}

#[test]
fn credentials_that_no_header_can_hold_are_final() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    // Whatever the type of the function's errors.
    async fn add(
        client: Client<Net>,
    ) -> Result<Client<Net>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(client.header("Authorization", "two\r\nlines")?)
    }
    let ended = run(&sim, reconnect.before_each(add), Counting::new().0);
    let ended = sim.run(ended.recv()).unwrap();
    assert!(matches!(ended, Ended::Attempt(_)), "{ended:?}");
    assert!(net.attempts().is_empty());
}

#[test]
fn the_application_can_go_on_after_any_end() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let reconnect =
        reconnect.retry_if(|ended| ended.status() == Some(401) || ended.close_code() == Some(1000));
    let ended = run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        refuse(&net, 401, "").await;
        // Closed by the server, and by us.
        assert!(accept(&sim, &net).await.connection.close(CloseCode::NORMAL, ""));
        accept(&sim, &net).await.connection.send("close").await.unwrap();
        accept(&sim, &net).await;
        assert!(ended.is_empty());
    });
}

#[test]
fn the_application_can_give_up_at_any_end() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let ended = run(&sim, reconnect.retry_if(|_| false), Counting::new().0);
    sim.run(async {
        refuse(&net, 503, "").await;
        assert_eq!(ended.recv().await.unwrap().status(), Some(503));
    });
}

#[test]
fn each_hook_is_called_once_for_what_it_is_about() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let log = Log::default();
    let [before, judged, retried, over] = [(); 4].map(|()| log.clone());
    let reconnect = reconnect
        .before_each(move |client| {
            before.add("before");
            async { Ok::<_, String>(client) }
        })
        .retry_if(move |ended| {
            let number = ended.status().or_else(|| ended.close_code());
            judged.add(format!("judge {}", number.unwrap()));
            ended.is_transient()
        })
        .on_retry(move |retry| retried.add(format!("retry {}", retry.attempt)))
        .on_giving_up(move |ended| over.add(format!("over {:?}", ended.status())));
    let ended = run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        refuse(&net, 503, "").await;
        accept_and_drop(&sim, &net).await;
        refuse(&net, 403, "").await;
        ended.recv().await.unwrap();
    });
    let expected = [
        "before",
        "judge 503",
        "retry 1",
        "before",
        "judge 1006",
        "retry 2",
        "before",
        "judge 403",
    ];
    assert_eq!(log.lines()[..8], expected);
    assert_eq!(log.lines()[8..], ["over Some(403)"]);
}

#[test]
fn a_close_by_the_handle_is_final_without_asking() {
    let sim = Sim::default();
    let (net, reconnect) = network(&sim);
    let judged = Arc::new(AtomicUsize::new(0));
    let ours = judged.clone();
    let log = Log::default();
    let over = log.clone();
    let reconnect = reconnect
        .retry_if(move |_| {
            ours.fetch_add(1, Relaxed);
            true
        })
        .on_giving_up(move |ended| over.add(ended.to_string()));
    let (reconnect, retries) = Retries::of(reconnect);
    let handle = reconnect.handle();
    let ended = run(&sim, reconnect, Counting::new().0);
    sim.run(async {
        accept(&sim, &net).await;
        handle.connected().await.unwrap();
        handle.close(CloseCode::NORMAL, "bye");
        let ended = ended.recv().await.unwrap();
        assert!(matches!(ended, Ended::Closed(Some(Disconnect::Local { .. }))), "{ended:?}");
    });
    assert_eq!((judged.load(Relaxed), retries.attempts().len()), (0, 0));
    assert_eq!(log.lines(), ["closed by us with 1000 (bye)"]);
}
