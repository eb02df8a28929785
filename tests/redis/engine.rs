//! The message broker of the scenarios that are shared with `nats/`, which has another one.

use std::path::PathBuf;

use prism_rooms::Backplane;
use prism_rooms_redis::Redis;
pub(crate) use prism_tests::redis_server::RedisServer as Broker;

use crate::node::Net;

pub(crate) fn start(program: PathBuf) -> Broker {
    Broker::start(program, &[])
}

pub(crate) fn backplane<N: Net>(broker: &Broker, prefix: &str) -> impl Backplane + use<N> {
    redis_at::<N>(&broker.url("")).prefix(prefix)
}

/// Returns the backplane with a URL.
pub(crate) fn redis_at<N: Net>(url: &str) -> Redis<N> {
    Redis::new(N::default(), url).expect("a URL")
}
