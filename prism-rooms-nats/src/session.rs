//! [`serve`]: a session of a cluster over a connection to NATS.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use prism_driver::Network;
use prism_rooms::{Command, Session};

use crate::{
    connection::Connection,
    endpoint::{Endpoint, Opened},
    error::SessionError,
    exchange::Exchange,
    subject::Prefix,
    url::Server,
};

/// Serves a session until its connection is lost. Returns why it was, and at which server.
pub(crate) async fn serve<N: Network>(
    endpoint: &Endpoint<N>,
    prefix: &Prefix,
    session: &Session,
) -> String {
    let Opened { server, connection, info } = match endpoint.open_any().await {
        Ok(opened) => opened,
        Err(reasons) => return reasons,
    };
    session.connected();
    let serving = Serving {
        endpoint,
        session,
        server: &server,
        connection,
        exchange: Exchange::new(prefix, session, &info),
        commands: Box::pin(session.next()),
    };
    format!("{}: {}", server.address, serving.await)
}

/// A session whose connection is open. Ready when that is lost.
struct Serving<'a, N> {
    endpoint: &'a Endpoint<N>,
    session: &'a Session,
    server: &'a Server,
    connection: Connection,
    exchange: Exchange<'a>,
    commands: Pin<Box<dyn Future<Output = Vec<Command>> + Send + 'a>>,
}

impl<N: Network> Serving<'_, N> {
    fn write(&mut self, cx: &mut Context<'_>) {
        self.connection.write(cx);
        // Otherwise a server that asks, but does not read, could fill the memory.
        if self.connection.out().is_empty() && self.exchange.owes_pong() {
            self.exchange.answer(self.connection.out());
            self.connection.write(cx);
        }
    }

    /// Reads as much as belongs to a turn. Ready when the connection is lost.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<SessionError> {
        self.connection.start_turn();
        loop {
            let handled = match self.connection.poll_item(cx) {
                Poll::Ready(Ok(operation)) => self.exchange.handle(operation),
                Poll::Ready(Err(error)) => Err(error.into()),
                Poll::Pending => return Poll::Pending,
            };
            match handled {
                Ok(Some(info)) => self.endpoint.discover(&info, self.server),
                Ok(None) => {}
                Err(error) => return Poll::Ready(error),
            }
        }
    }
}

impl<N: Network> Future for Serving<'_, N> {
    type Output = SessionError;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SessionError> {
        let this = &mut *self;
        while let Poll::Ready(commands) = this.commands.as_mut().poll(cx) {
            this.exchange.carry_out(commands, this.connection.out());
            this.commands = Box::pin(this.session.next());
        }
        this.write(cx);
        if let Poll::Ready(error) = this.poll_read(cx) {
            return Poll::Ready(error);
        }
        let can_answer = this.exchange.owes_pong() && this.connection.out().is_empty();
        if this.connection.used_up_turn() || can_answer {
            this.endpoint.runtime.yield_to_others(cx.waker());
        }
        Poll::Pending
    }
}
