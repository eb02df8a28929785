//! HTTP in front of the libraries that leave it to hyper.

use std::{error::Error, future::ready, io};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::on_tokio;

/// The response to a request, and the session that then runs on the connection.
pub(super) type Upgrade<F, E> = Result<(Response<Empty<Bytes>>, F), E>;

/// What is below HTTP.
#[derive(Clone, Copy)]
pub(super) enum Transport {
    Tcp,
    Tls,
}

/// Runs a server whose connections begin as hyper's.
pub(super) fn serve<F, E>(
    address: &str,
    threads: usize,
    transport: Transport,
    upgrade: impl Fn(&mut Request<Incoming>) -> Upgrade<F, E> + Clone + Send + 'static,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    match transport {
        Transport::Tcp => {
            on_tokio::serve(address, threads, move |stream| connection(stream, upgrade.clone()))
        }
        Transport::Tls => {
            on_tokio::serve_tls(address, threads, move |stream| connection(stream, upgrade.clone()))
        }
    }
}

async fn connection<F, E>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    upgrade: impl Fn(&mut Request<Incoming>) -> Upgrade<F, E>,
) where
    F: Future<Output = ()> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    let service = service_fn(move |mut request| {
        let response = upgrade(&mut request).map(|(response, session)| {
            // Unconstrained, as in fastwebsockets' own example.
            tokio::spawn(tokio::task::unconstrained(session));
            response
        });
        ready(response)
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = connection.with_upgrades().await;
}
