//! The message broker of the scenarios that are shared with `nats/`, which has another one.

use std::path::PathBuf;

use prism_driver::tls::TlsClient;
use prism_rooms::Backplane;
use prism_rooms_redis::Redis;
pub(crate) use prism_tests::redis_server::RedisServer as Broker;

use crate::{authority::Authority, node::Net};

pub(crate) fn start(program: PathBuf) -> Broker {
    Broker::start(program, &[])
}

/// Starts a server with a certificate of this authority.
pub(crate) fn start_with_tls(program: PathBuf, authority: &Authority) -> Broker {
    Broker::start(program, &tls_arguments(authority).split(' ').collect::<Vec<_>>())
}

/// Returns the arguments with which a server has a certificate, with spaces in between.
pub(crate) fn tls_arguments(authority: &Authority) -> String {
    let (certificate, key) = authority.save("redis", &authority.issue("127.0.0.1"));
    let [certificate, key, ca] =
        [certificate, key, authority.file()].map(|path| path.display().to_string());
    format!(
        "--tls-cert-file {certificate} --tls-key-file {key} --tls-ca-cert-file {ca} --tls-auth-clients no"
    )
}

pub(crate) fn backplane<N: Net>(broker: &Broker, prefix: &str) -> impl Backplane + use<N> {
    redis_at::<N>(&broker.url("")).prefix(prefix)
}

/// Returns the backplane for a server with TLS.
pub(crate) fn tls_backplane<N: Net>(broker: &Broker, tls: TlsClient) -> impl Backplane + use<N> {
    redis_at::<N>(&broker.tls_url()).tls(tls)
}

/// Returns the backplane with a URL.
pub(crate) fn redis_at<N: Net>(url: &str) -> Redis<N> {
    Redis::new(N::default(), url).expect("a URL")
}
