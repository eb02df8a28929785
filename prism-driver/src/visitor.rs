//! [`Visitor`]: who has come to a server, until its request is answered.

use std::net::SocketAddr;

use prism_core::Request;

use crate::{
    greet::{Turned, greet},
    input::Input,
    lobby::Guest,
    runtime::Network,
    seat::Seat,
    stats::Unopened,
};

/// A peer in its handshake.
pub(crate) struct Visitor<N: Network> {
    // In this order they are dropped: when a seat is free, so is its socket, and who is no guest any
    // more has no seat, unless it has got in.
    pub(crate) stream: N::Stream,
    pub(crate) seat: Seat<N>,
    pub(crate) guest: Guest,
    pub(crate) peer_addr: SocketAddr,
}

impl<N: Network> Visitor<N> {
    /// Gives it what it asks for; a session goes on in a task of its own.
    pub(crate) fn welcome(mut self) -> impl Future<Output = ()> + Send {
        let mut input = Input::new();
        // No `async fn`: it would hold the visitor twice.
        async move {
            let house = self.seat.house();
            let decide = |request: Request<'_>| house.router.decide(request, &house.options);
            let greeted =
                greet(&house.network, &mut self.stream, &mut input, &house.options, decide);
            match self.guest.stay(greeted).await {
                Some(Ok(upgrade)) => {
                    let Self { stream, seat, guest: _guest, peer_addr } = self;
                    let (session, endpoint) =
                        upgrade.begin(stream, Some(peer_addr), input, seat.options());
                    seat.sit(&session.connection);
                    endpoint.start(session, seat);
                }
                Some(Err(turned)) => {
                    house.stats.unopened(turned.why());
                    if let Turned::Away(answer) = turned {
                        drop(input); // it may take long to send the answer
                        let telling = answer.tell(&house.network, &mut self.stream);
                        self.guest.stay(telling).await;
                    }
                }
                None => house.stats.unopened(Unopened::Evicted),
            }
        }
    }
}
