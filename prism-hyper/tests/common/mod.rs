//! Servers of hyper on each runtime, and a handler.

mod futures_io;
#[cfg(feature = "http2")]
pub(crate) mod http2;

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use prism_async_std::AsyncStd;
use prism_driver::{CloseWrite, Connection, Handler, Message, Network};
use prism_smol::Smol;
use prism_tokio::Tokio;

use self::futures_io::FuturesIo;

/// Sends each message back.
pub(crate) struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let _ = connection.send(message).await; // fails only if the connection is closing
    }
}

/// Answers the requests of a server.
pub(crate) type Answer = Arc<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>;

type Answering = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;

/// Erases the type of a function that answers requests.
pub(crate) fn answer<F>(answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static) -> Answer
where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    Arc::new(move |request| Box::pin(answer(request)))
}

/// A runtime on which hyper serves HTTP/1.1.
pub(crate) trait TestRuntime: Network + Default {
    /// Runs a test to its end.
    fn run(test: impl Future<Output = ()>);

    /// Starts a server, and returns its address.
    fn serve(answer: Answer) -> SocketAddr;
}

impl TestRuntime for Tokio {
    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test);
    }

    fn serve(answer: Answer) -> SocketAddr {
        let (listener, address) = listen();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                tokio::spawn(serve_http1(TokioIo::new(stream), peer, answer.clone()));
            }
        });
        address
    }
}

impl TestRuntime for Smol {
    fn run(test: impl Future<Output = ()>) {
        smol::block_on(test);
    }

    fn serve(answer: Answer) -> SocketAddr {
        let (listener, address) = listen();
        let listener = smol::net::TcpListener::try_from(listener).unwrap();
        let accepting = async move {
            while let Ok((stream, peer)) = listener.accept().await {
                smol::spawn(serve_http1(FuturesIo(stream), peer, answer.clone())).detach();
            }
        };
        smol::spawn(accepting).detach();
        address
    }
}

impl TestRuntime for AsyncStd {
    fn run(test: impl Future<Output = ()>) {
        async_std::task::block_on(test);
    }

    fn serve(answer: Answer) -> SocketAddr {
        let (listener, address) = listen();
        let listener = async_std::net::TcpListener::from(listener);
        async_std::task::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let stream = FuturesIo(CloseWrite(stream));
                async_std::task::spawn(serve_http1(stream, peer, answer.clone()));
            }
        });
        address
    }
}

pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn serve_http1(
    stream: impl Read + Write + Unpin + Send + 'static,
    peer: SocketAddr,
    answer: Answer,
) {
    let service = service_fn(move |request| call(&answer, request, peer));
    // An error is the client's.
    let _ = http1::Builder::new().serve_connection(stream, service).with_upgrades().await;
}

/// Answers a request, which gets its peer's address.
pub(crate) fn call(
    answer: &Answer,
    mut request: Request<Incoming>,
    peer: SocketAddr,
) -> impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + use<> {
    request.extensions_mut().insert(peer);
    let answering = answer(request);
    async { Ok(answering.await) }
}
