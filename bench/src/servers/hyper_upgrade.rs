//! HTTP in front of the libraries that leave it to hyper.

use std::{error::Error, future::ready, io};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;

use super::on_tokio;

/// The response to a request, and the session that then runs on the connection.
pub(super) type Upgrade<F, E> = Result<(Response<Empty<Bytes>>, F), E>;

/// Runs a server whose connections begin as hyper's.
pub(super) fn serve<F, E>(
    address: &str,
    threads: usize,
    upgrade: impl Fn(&mut Request<Incoming>) -> Upgrade<F, E> + Clone + Send + 'static,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    on_tokio::serve(address, threads, move |stream| {
        let upgrade = upgrade.clone();
        let service = service_fn(move |mut request| {
            let response = upgrade(&mut request).map(|(response, session)| {
                // Unconstrained, as in fastwebsockets' own example.
                tokio::spawn(tokio::task::unconstrained(session));
                response
            });
            ready(response)
        });
        async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = connection.with_upgrades().await;
        }
    })
}
