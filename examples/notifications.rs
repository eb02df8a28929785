//! Notifications: what the program wants to tell a user reaches all connected devices of that user.
//!
//! ```text
//! notifications [ADDR]
//! ```
//!
//! A client opens `/notifications/NAME`. Each line on the standard input, such as `ada your parcel is here`, is a
//! notification.

use std::{
    collections::HashMap,
    io::{self, BufRead},
    sync::{Arc, Mutex},
    thread,
};

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::prism::{
    CloseCode, Connection, ConnectionId, Disconnect, Handler, Message, Server, hold_wakeups,
};

/// The connected devices of each user.
#[derive(Default)]
struct Notifier {
    devices: Mutex<HashMap<String, HashMap<ConnectionId, Connection>>>,
}

impl Notifier {
    /// Notifies all devices of a user, and returns how many were notified. Can be called from any task or thread.
    fn notify(&self, user: &str, text: &str) -> usize {
        let _wakeups = hold_wakeups(); // no task is woken while the lock is held
        let devices = self.devices.lock().unwrap();
        // `try_send` never waits: a device that does not keep up misses the notification.
        let notified = |device: &&Connection| device.try_send(text).is_ok();
        devices.get(user).map_or(0, |of_user| of_user.values().filter(notified).count())
    }
}

/// Returns the name of a connection's user. A real server authorizes its users: see the example `login`.
fn user(connection: &Connection) -> &str {
    connection.param("user").expect("it is part of the route")
}

impl Handler for Notifier {
    async fn on_connect(&self, connection: &Connection) {
        let mut devices = self.devices.lock().unwrap();
        let of_user = devices.entry(user(connection).into()).or_default();
        of_user.insert(connection.id(), connection.clone());
    }

    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        connection.close(CloseCode::POLICY_VIOLATION, "this server only notifies");
    }

    async fn on_disconnect(&self, connection: &Connection, _: Disconnect) {
        let mut devices = self.devices.lock().unwrap();
        if let Some(of_user) = devices.get_mut(user(connection)) {
            of_user.remove(&connection.id());
            if of_user.is_empty() {
                devices.remove(user(connection));
            }
        }
    }
}

/// Serves until `shutdown` completes and all connections are closed.
pub(crate) async fn serve(address: &str, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let notifier = Arc::new(Notifier::default());
    let server = Server::bind(address).await?.websocket("/notifications/{user}", notifier.clone());
    println!("listening on ws://{}/notifications/NAME", server.local_addr()?);
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if let Some((user, text)) = line.split_once(' ') {
                println!("notified {} device(s) of {user}", notifier.notify(user, text));
            }
        }
    });
    server.serve_until(shutdown).await;
    Ok(())
}
