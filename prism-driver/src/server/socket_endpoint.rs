//! [`SocketEndpoint`]: runs an async function of the application on each connection of a route.
//!
//! The function runs in the session's task, beside the session. In a task of its own it would take more memory, and
//! often each message would have to go to another thread. The session does not end before the function has returned,
//! because the session's handler waits for that in `on_disconnect`.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use async_channel::{Receiver, Sender};
use pin_project_lite::pin_project;
use prism_core::{CloseCode, Message};

use crate::{
    connection::{Connection, batch::InBatches},
    error::Disconnect,
    handler::{Handler, connection_handler::ConnectionHandler},
    runtime::{Runtime, contain::contain, notice::Deferring, wakeups::hold_wakeups},
    server::{
        endpoint::{Beside, Endpoint, fail, run},
        slot::Slot,
    },
    session::{Session, events},
    socket::{Inbox, Socket},
};

/// An endpoint that runs an async function on each connection.
pub(crate) struct SocketEndpoint<F>(pub(crate) F);

impl<R, F, P> Endpoint<R> for SocketEndpoint<F>
where
    R: Runtime,
    F: Fn(Socket) -> P + Send + Sync,
    P: Future<Output = ()> + Send + 'static,
{
    fn start(&self, session: Session, slot: Slot<R>) {
        start_socket(session, slot, &self.0);
    }
}

/// Runs an async function on a session, in a task of its own.
pub(crate) fn start_socket<R, F, P>(session: Session, slot: Slot<R>, run_socket: F)
where
    R: Runtime,
    F: FnOnce(Socket) -> P,
    P: Future<Output = ()> + Send + 'static,
{
    let connection = Connection::clone(&session.connection);
    let (socket, inbox) = Socket::new(connection.clone());
    let Some(future) = contain(|| run_socket(socket)) else { return fail(session, slot) };
    let (running, returned) = async_channel::bounded(1);
    let function = Function { future: Some(future), connection, running: Some(running) };
    run(session, slot, SocketHandler { inbox, returned }, Beside(InBatches::new(function)));
}

/// The handler that delivers messages to the socket, and finally waits for the function to return.
struct SocketHandler {
    inbox: Inbox,
    /// Closed when the function has returned.
    returned: Receiver<Infallible>,
}

impl ConnectionHandler for SocketHandler {
    async fn on_message(&mut self, connection: &Connection, message: Message<'_>) {
        self.inbox.on_message(connection, message).await;
    }

    async fn on_disconnect(&mut self, connection: &Connection, reason: Disconnect) {
        self.inbox.on_disconnect(connection, reason).await;
        let _ = Deferring::new(self.returned.recv()).await;
    }
}

pin_project! {
    /// The future of the application's function, whose panic ends only its own connection.
    struct Function<P> {
        #[pin]
        future: Option<P>,
        connection: Connection,
        // Set to `None` when the function has returned, which closes `returned` of the handler.
        running: Option<Sender<Infallible>>,
    }
}

impl<P: Future<Output = ()>> Future for Function<P> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(future) = this.future.as_mut().as_pin_mut() {
            match contain(|| future.poll(cx)) {
                Some(Poll::Pending) => return Poll::Pending,
                Some(Poll::Ready(())) => {}
                None => {
                    events::panicked(this.connection);
                    // Done before the future is dropped: if the future still owns the socket, the drop would close the
                    // connection with 1000.
                    this.connection.close(CloseCode::INTERNAL_ERROR, "internal error");
                }
            }
        }
        let _wakeups = hold_wakeups(); // the session may be waiting for the end
        contain(|| this.future.set(None));
        *this.running = None;
        Poll::Ready(())
    }
}
