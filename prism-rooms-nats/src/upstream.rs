//! [`Upstream`]: a server that a session uses.

use std::task::{Context, Poll};

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

pub(crate) struct Upstream<'a> {
    server: Server,
    connection: Connection,
    exchange: Exchange<'a>,
    /// Whether the server is about to shut down.
    is_lame_duck: bool,
}

impl<'a> Upstream<'a> {
    pub(crate) fn new(opened: Opened, prefix: &'a Prefix, session: &'a Session) -> Self {
        let exchange = Exchange::new(prefix, session, &opened.info);
        Self::with_exchange(opened, exchange)
    }

    /// Creates one that takes over from this one: it subscribes to the same channels, and delivers nothing until
    /// [`release`](Self::release).
    pub(crate) fn successor(&self, mut opened: Opened) -> Self {
        let exchange = self.exchange.successor(&opened.info, opened.connection.out());
        Self::with_exchange(opened, exchange)
    }

    fn with_exchange(opened: Opened, exchange: Exchange<'a>) -> Self {
        let Opened { server, connection, info } = opened;
        Self { server, connection, exchange, is_lame_duck: info.is_lame_duck }
    }

    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) const fn is_lame_duck(&self) -> bool {
        self.is_lame_duck
    }

    /// Adds what carries out the commands. It is written in the next turn.
    pub(crate) fn carry_out(&mut self, commands: Vec<Command>) {
        self.exchange.carry_out(commands, self.connection.out());
    }

    /// Returns whether the server has done all that it was told.
    pub(crate) fn is_idle(&self) -> bool {
        self.exchange.is_idle()
    }

    /// Asks whether the server has done all, and has sent all that it had for this session.
    pub(crate) fn ask(&mut self, cx: &mut Context<'_>) {
        self.exchange.ask(Vec::new(), self.connection.out());
        self.write(cx);
    }

    /// Delivers what has arrived, and from now on what arrives.
    pub(crate) fn release(&mut self) {
        self.exchange.release();
    }

    /// Returns whether more waits for another server than there is room for.
    pub(crate) const fn withholds_too_much(&self) -> bool {
        self.exchange.withholds_too_much()
    }

    /// Writes, and reads as much as belongs to a turn. Ready when the connection is lost.
    pub(crate) fn poll_turn<N: Network>(
        &mut self,
        endpoint: &Endpoint<N>,
        cx: &mut Context<'_>,
    ) -> Poll<SessionError> {
        self.write(cx);
        self.connection.start_turn();
        loop {
            let handled = match self.connection.poll_item(cx) {
                Poll::Ready(Ok(operation)) => self.exchange.handle(operation),
                Poll::Ready(Err(error)) => Err(error.into()),
                Poll::Pending => break,
            };
            match handled {
                Ok(Some(info)) => {
                    self.is_lame_duck |= info.is_lame_duck;
                    endpoint.discover(&info, &self.server);
                }
                Ok(None) => {}
                Err(error) => return Poll::Ready(error),
            }
        }
        let can_answer = self.exchange.owes_pong() && self.connection.out().is_empty();
        if self.connection.used_up_turn() || can_answer {
            endpoint.runtime.yield_to_others(cx.waker());
        }
        Poll::Pending
    }

    fn write(&mut self, cx: &mut Context<'_>) {
        self.connection.write(cx);
        // Otherwise a server that asks, but does not read, could fill the memory.
        if self.connection.out().is_empty() && self.exchange.owes_pong() {
            self.exchange.answer(self.connection.out());
            self.connection.write(cx);
        }
    }
}
