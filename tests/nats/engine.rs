//! The message broker of the scenarios that are shared with `redis/`, which has another one.

use std::path::PathBuf;

use prism_driver::tls::TlsClient;
use prism_rooms::Backplane;
use prism_rooms_nats::Nats;
pub(crate) use prism_tests::nats_server::NatsServer as Broker;

use crate::{authority::Authority, node::Net};

/// Starts a server that takes the longest messages.
pub(crate) fn start(program: PathBuf) -> Broker {
    Broker::start(program, "max_payload: 2MB")
}

/// Starts a server that requires TLS, with a certificate of this authority.
pub(crate) fn start_with_tls(program: PathBuf, authority: &Authority) -> Broker {
    let (certificate, key) = authority.save("nats", &authority.issue("127.0.0.1"));
    let files = format!("cert_file: {certificate:?}, key_file: {key:?}");
    Broker::start(program, &format!("max_payload: 2MB, tls {{ {files} }}"))
}

pub(crate) fn backplane<N: Net>(broker: &Broker, prefix: &str) -> impl Backplane + use<N> {
    nats_at::<N>(&broker.url("")).prefix(prefix).expect("a prefix")
}

/// Returns the backplane for a server with TLS.
pub(crate) fn tls_backplane<N: Net>(broker: &Broker, tls: TlsClient) -> impl Backplane + use<N> {
    nats_at::<N>(&broker.tls_url()).tls(tls)
}

/// Returns the backplane with a URL.
pub(crate) fn nats_at<N: Net>(url: &str) -> Nats<N> {
    Nats::new(N::default(), url).expect("a URL")
}
