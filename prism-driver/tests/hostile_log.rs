//! A log of hostile peers: they can neither forge a line or a field in it, nor fill it with their text.

use std::collections::BTreeSet;

use fastrand::Rng;
use prism_driver::{Origins, Reply, ServerOptions, shared};
use prism_test::Sim;

use crate::common::{
    events::{Event, Events},
    handlers::Fragile,
    hostile::{self, LETTERS},
    net::Net,
    s, site,
};

/// Returns the events of a server that hostile peers have visited.
fn log_of_hostile_peers(seed: u64) -> Vec<Event> {
    let (sim, events) = (Sim::default(), Events::default());
    events.collect(|| {
        let net = Net::new(&sim);
        let mut options = ServerOptions::default();
        options.max_handshakes = 4;
        net.serve(|server| {
            let own = Origins::these(["https://example.org"]).unwrap();
            server
                .options(options)
                .websocket("/open", shared(Fragile).origins(Origins::any()))
                .websocket("/own/{*rest}", shared(Fragile).origins(own).subprotocols(["chat"]))
                .get("/page/{name}", |_| Reply::new(204))
        });
        sim.run(async {
            let mut rng = Rng::with_seed(seed);
            for _ in 0..30 {
                hostile::request(&net, &sim, &mut rng, &["/open", "/own/a", "/page/b", "/c"]).await;
                hostile::connection(&net, &sim, &mut rng, &site::request("/open")).await;
            }
            sim.pass(s(60)).await;
        });
    });
    events.all()
}

/// Returns the text without what is in quotes.
fn unquoted(text: &str) -> String {
    let (mut left, mut is_quoted) = (String::new(), false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => drop(letters.next()),
            _ if !is_quoted => left.push(letter),
            _ => {}
        }
    }
    left
}

/// Returns the length of the longest run of the peers' letters.
fn longest_run(text: &str) -> usize {
    text.split(|letter| !LETTERS.contains(&letter))
        .map(|run| run.chars().count())
        .max()
        .unwrap_or(0)
}

#[test]
fn no_control_character_no_forged_line_or_field_and_no_long_text_of_a_peer_is_in_a_log() {
    let logs: Vec<_> = (0..20).map(log_of_hostile_peers).collect();

    let values: Vec<_> = logs
        .iter()
        .flatten()
        .flat_map(|event| event.fields.values().chain([&event.message, &event.kind]))
        .collect();
    assert!(values.iter().any(|value| longest_run(value) > 0), "the peers left no trace at all");
    for value in values {
        let forged =
            |letter: char| letter.is_control() || "\u{202e}\u{2028}\u{2029}".contains(letter);
        assert!(!value.contains(forged), "{value:?}");
        assert!(longest_run(value) <= 64, "{value:?}");
        if longest_run(value) > 0 {
            assert!(value.chars().count() <= 64 + 2, "{value:?}");
        }
    }
    for event in logs.iter().flatten() {
        let line = unquoted(&event.line);
        let names = line.split_whitespace().filter_map(|it| Some(it.split_once('=')?.0));
        let names: Vec<_> = names.collect();
        let unique: BTreeSet<_> = names.iter().copied().collect();
        assert!(names.len() == unique.len(), "{}", event.line);
        assert!(unique.into_iter().eq(event.fields.keys().copied()), "{}", event.line);
        assert!(longest_run(&line) == 0, "{}", event.line);
    }
    let messages = ["opened", "ended", "refused", "panicked"];
    for message in messages {
        assert!(logs.iter().flatten().any(|event| event.message == message), "{message}");
    }
}
