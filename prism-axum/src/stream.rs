//! [`Stream`]: the stream of a WebSocket, which is a TCP socket itself wherever that is possible.

use axum::http::Version;
use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use prism_tokio::Tcp;
use tokio::net::TcpStream;

/// The stream of an upgraded request.
pub(crate) enum Stream {
    /// The socket that axum has accepted, and the bytes that were read beyond the request. The socket is not used
    /// through hyper any more, which saves memory and calls.
    Tcp(Tcp, Bytes),
    /// A stream of HTTP/2, or one of another listener.
    Hyper(prism_hyper::Io),
}

impl Stream {
    /// Takes the stream of a request with this version of HTTP.
    pub(crate) fn of(upgraded: Upgraded, version: Version) -> Self {
        // `axum::serve` serves with hyper-util, which hides the socket in a type of its own.
        match downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => Self::of_tcp(parts.io, parts.read_buf),
            Err(upgraded) => match upgraded.downcast::<TokioIo<TcpStream>>() {
                Ok(parts) => Self::of_tcp(parts.io, parts.read_buf),
                Err(upgraded) => Self::Hyper(prism_hyper::Io::new(upgraded, version)),
            },
        }
    }

    fn of_tcp(io: TokioIo<TcpStream>, early: Bytes) -> Self {
        let socket = io.into_inner();
        // This fails only if the socket is dead, and then the next read or write reports it.
        let _ = socket.set_nodelay(true);
        Self::Tcp(socket.into(), early)
    }
}

#[cfg(test)]
mod tests {
    use async_channel::{Sender, bounded};
    use axum::{
        Router,
        extract::{Request, State},
        http::{StatusCode, header},
        response::IntoResponse,
        routing::get,
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::Stream;

    /// Upgrades a request, and reports the stream with the bytes that came with the request.
    async fn upgrade(
        State(upgraded): State<Sender<Stream>>,
        mut request: Request,
    ) -> impl IntoResponse {
        let (stream, version) = (hyper::upgrade::on(&mut request), request.version());
        tokio::spawn(async move {
            let stream = Stream::of(stream.await.expect("it is upgraded"), version);
            upgraded.send(stream).await.expect("the test waits");
        });
        (StatusCode::SWITCHING_PROTOCOLS, [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "x")])
    }

    #[tokio::test]
    async fn under_axum_serve_the_stream_is_the_socket_itself() {
        let (upgraded, streams) = bounded(1);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/", get(upgrade)).with_state(upgraded);
        tokio::spawn(async { axum::serve(listener, app).await });
        let mut client = TcpStream::connect(address).await.unwrap();
        let request =
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly";
        client.write_all(request).await.unwrap();
        let stream = streams.recv().await.expect("it is upgraded");
        let Stream::Tcp(tcp, early) = stream else { panic!("it is a TCP socket") };
        assert!(tcp.get_ref().nodelay().unwrap());
        assert_eq!(early, "early");
        drop(tcp);
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    }
}
