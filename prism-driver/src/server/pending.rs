//! [`Visitor`]: who has come to a server, until its request is answered.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use futures_lite::future::or;
use prism_core::Request;

use crate::{
    handshake::{Turned, greet},
    runtime::{Network, until},
    server::{
        admission::Guest,
        plain_answer::{PlainAnswer, linger},
        slot::Seat,
        stats::Unopened,
    },
    session::read_buffer::Input,
};

/// A peer in its handshake, or one that gets a page.
pub(crate) struct Visitor<N: Network> {
    // In this order they are dropped: when a seat is free, so is its socket, and who is no guest any
    // more has no seat, unless it has got in.
    pub(crate) stream: N::Stream,
    pub(crate) seat: Seat<N>,
    pub(crate) guest: Guest,
    pub(crate) peer_addr: SocketAddr,
    /// When it came.
    pub(crate) since: Duration,
}

/// What comes first while an answer is sent from its handshake's place.
enum First {
    Sent(io::Result<()>),
    /// There is a place among the pages; none if that took too long.
    Place(Option<Guest>),
}

impl<N: Network> Visitor<N> {
    /// Gives it what it asks for; a session goes on in a task of its own.
    pub(crate) fn welcome(mut self) -> impl Future<Output = ()> + Send {
        let mut input = Input::new();
        // No `async fn`: it would hold the visitor twice.
        async move {
            let house = self.seat.house();
            let decide =
                |request: Request<'_>| house.router.decide(request, &house.options.connection);
            let greeted = greet(
                &house.network,
                &mut self.stream,
                &mut input,
                &house.options.connection,
                decide,
            );
            match self.guest.stay(greeted).await {
                Some(Ok(upgrade)) => {
                    let Self { stream, seat, guest: _guest, peer_addr, .. } = self;
                    let (session, endpoint) =
                        upgrade.begin(stream, Some(peer_addr), input, seat.options());
                    seat.sit(&session.connection);
                    endpoint.start(session, seat);
                }
                Some(Err(turned)) => {
                    house.stats.unopened(turned.why());
                    if let Turned::Away(answer) = turned {
                        drop(input); // it may take long to send the answer
                        self.answer(answer).await;
                    }
                }
                None => house.stats.unopened(Unopened::Evicted),
            }
        }
    }

    /// Sends it an answer, and gives it time to read that.
    async fn answer(&mut self, answer: PlainAnswer) {
        // Boxed, so that a handshake's task is no larger for it.
        if Box::pin(self.send(answer)).await {
            let network = self.seat.network();
            self.guest.stay(linger(network, &mut self.stream)).await;
        } else {
            self.seat.house().stats.incomplete();
        }
    }

    /// Sends it an answer; whether all of it was taken. What the transport does not take at once needs
    /// a place among the pages; until it has one, it goes on in its handshake's, for what is left of
    /// its time.
    async fn send(&mut self, answer: PlainAnswer) -> bool {
        let Self { stream, seat, guest, since, .. } = self;
        let (network, options, pages) = (seat.network(), seat.options(), &seat.house().pages);
        let mut sending = pin!(answer.send(network, stream, options.write_limits()));
        let deadline = since.saturating_add(options.handshake_timeout);
        let sent = async { First::Sent(sending.as_mut().await) };
        let place =
            async { First::Place(until(network, deadline, pages.enter_in_turn(network)).await) };
        let sent = match guest.stay(or(sent, place)).await {
            Some(First::Sent(sent)) => Some(sent),
            Some(First::Place(Some(page))) => {
                *guest = page;
                guest.stay(sending).await
            }
            Some(First::Place(None)) | None => None,
        };
        matches!(sent, Some(Ok(())))
    }
}
