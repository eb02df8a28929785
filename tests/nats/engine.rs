//! The message broker of the scenarios that are shared with `redis/`, which has another one.

use std::path::PathBuf;

use prism_rooms::Backplane;
use prism_rooms_nats::Nats;
pub(crate) use prism_tests::nats_server::NatsServer as Broker;

use crate::node::Net;

/// Starts a server that takes the longest messages.
pub(crate) fn start(program: PathBuf) -> Broker {
    Broker::start(program, "max_payload: 2MB")
}

pub(crate) fn backplane<N: Net>(broker: &Broker, prefix: &str) -> impl Backplane + use<N> {
    nats_at::<N>(&broker.url("")).prefix(prefix).expect("a prefix")
}

/// Returns the backplane with a URL.
pub(crate) fn nats_at<N: Net>(url: &str) -> Nats<N> {
    Nats::new(N::default(), url).expect("a URL")
}
