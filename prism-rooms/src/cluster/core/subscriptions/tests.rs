//! Which rooms are subscribed to, and when that is over.

use std::{sync::Arc, time::Duration};

use async_channel::Receiver;

use super::{Channel, Command, LINGER, MAX_BATCH, MAX_NAME, Subscriptions, TicketKind};

const NOW: Duration = Duration::from_secs(1);

fn with_session() -> Subscriptions {
    let mut subscriptions = Subscriptions::new(Channel::Room, TicketKind::Subscribe);
    subscriptions.session_started();
    subscriptions
}

/// Returns all commands, such as `+tea +milk`, and confirms the subscriptions if they are to be.
fn commands(subscriptions: &mut Subscriptions, confirms: bool) -> Vec<String> {
    let mut commands = Vec::new();
    while let Some(command) = subscriptions.next_command() {
        let (sign, channels) = match &command {
            Command::Subscribe { channels, .. } => ('+', channels),
            Command::Unsubscribe { channels } => ('-', channels),
            _ => panic!("{command:?}"),
        };
        commands.extend(channels.iter().map(|channel| format!("{sign}{channel}")));
        if let Command::Subscribe { ticket, .. } = command
            && let TicketKind::Subscribe(batch) = ticket.0
            && confirms
        {
            subscriptions.confirmed(batch, 0);
        }
    }
    commands
}

fn question(subscriptions: &mut Subscriptions, room: &str) -> Receiver<bool> {
    let (sender, answer) = async_channel::bounded(1);
    subscriptions.when_reached(room, sender);
    answer
}

fn tea() -> Arc<str> {
    "tea".into()
}

/// Returns after how many arrivals "tea" was subscribed to for the first time.
fn followed_since(subscriptions: &Subscriptions) -> Option<u64> {
    subscriptions.followed("tea")?.1
}

#[test]
fn a_room_is_reached_when_its_subscription_is_confirmed() {
    let mut subscriptions = with_session();
    assert_eq!(question(&mut subscriptions, "tea").try_recv(), Ok(false), "it has no members");
    subscriptions.appeared(tea());
    let early = question(&mut subscriptions, "tea");
    assert_eq!(commands(&mut subscriptions, false), ["+r:tea"]);
    assert!(early.try_recv().is_err() && followed_since(&subscriptions).is_none());
    subscriptions.confirmed(1, 7);
    assert_eq!(followed_since(&subscriptions), Some(7));
    assert_eq!(early.try_recv(), Ok(true));
    assert_eq!(question(&mut subscriptions, "tea").try_recv(), Ok(true));
}

#[test]
fn a_vacant_room_is_kept_for_a_moment_and_may_come_back() {
    let mut subscriptions = with_session();
    subscriptions.appeared(tea());
    commands(&mut subscriptions, true);
    subscriptions.vanished(&tea(), NOW);
    assert_eq!(question(&mut subscriptions, "tea").try_recv(), Ok(false));
    subscriptions.appeared(tea());
    assert_eq!(subscriptions.next_expiry(), None);
    subscriptions.vanished(&tea(), NOW + LINGER / 2);
    assert!(subscriptions.expire(NOW + LINGER).is_empty());
    assert_eq!(commands(&mut subscriptions, true), [""; 0]);
    assert_eq!(subscriptions.expire(NOW + LINGER / 2 + LINGER), [tea()]);
    subscriptions.appeared(tea());
    assert_eq!(commands(&mut subscriptions, true), ["-r:tea", "+r:tea"]);
    assert!(followed_since(&subscriptions).is_some());
}

#[test]
fn a_room_that_comes_and_goes_before_the_session_has_it_costs_nothing() {
    let mut subscriptions = with_session();
    subscriptions.appeared(tea());
    subscriptions.vanished(&tea(), NOW);
    subscriptions.expire(NOW + LINGER);
    assert_eq!(commands(&mut subscriptions, true), [""; 0]);
}

#[test]
fn a_new_session_has_all_rooms_and_an_old_one_confirms_nothing() {
    let mut subscriptions = with_session();
    subscriptions.appeared(tea());
    assert_eq!(commands(&mut subscriptions, false), ["+r:tea"]);
    subscriptions.session_ended();
    subscriptions.appeared("milk".into());
    assert_eq!(commands(&mut subscriptions, false), [""; 0]);
    let answer = question(&mut subscriptions, "tea");
    subscriptions.session_started();
    let mut all = commands(&mut subscriptions, false);
    all.sort();
    assert_eq!(all, ["+r:milk", "+r:tea"]);
    subscriptions.confirmed(1, 0);
    assert!(answer.try_recv().is_err(), "the first batch was the old session's");
    subscriptions.confirmed(2, 0);
    assert_eq!(answer.try_recv(), Ok(true));
}

#[test]
fn an_active_room_can_be_subscribed_to_again() {
    let mut subscriptions = with_session();
    subscriptions.repeat("tea");
    subscriptions.appeared(tea());
    subscriptions.repeat("tea");
    assert_eq!(commands(&mut subscriptions, true), ["+r:tea"]);
    subscriptions.repeat("tea");
    assert_eq!(commands(&mut subscriptions, false), ["+r:tea"]);
    assert!(followed_since(&subscriptions).is_some(), "it stays active");
}

#[test]
fn those_who_have_given_up_waiting_do_not_accumulate() {
    let mut subscriptions = with_session();
    subscriptions.appeared(tea());
    let patient = question(&mut subscriptions, "tea");
    for _ in 0..10_000 {
        drop(question(&mut subscriptions, "tea"));
    }
    assert!(subscriptions.rooms["tea"].waiting.len() < 10);
    assert_eq!(commands(&mut subscriptions, true), ["+r:tea"]);
    assert_eq!(patient.try_recv(), Ok(true));
}

#[test]
fn many_rooms_come_in_batches() {
    let mut subscriptions = with_session();
    for n in 0..MAX_BATCH + 1 {
        subscriptions.appeared(n.to_string().into());
    }
    let sizes: Vec<usize> = std::iter::from_fn(|| match subscriptions.next_command()? {
        Command::Subscribe { channels, .. } => Some(channels.len()),
        other => panic!("{other:?}"),
    })
    .collect();
    assert_eq!(sizes, [MAX_BATCH, 1]);
}

#[test]
fn a_room_with_a_name_that_no_envelope_can_have_is_not_subscribed_to() {
    let mut subscriptions = with_session();
    subscriptions.appeared("x".repeat(MAX_NAME + 1).into());
    assert_eq!(commands(&mut subscriptions, true), [""; 0]);
}
