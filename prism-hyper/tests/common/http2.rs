//! A server and a client of HTTP/2 with prior knowledge, on tokio.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
};

use bytes::{Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    client::{Builder, SendRequest},
    ext::Protocol,
};
use http::{Request, Response};
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prism_driver::{Handler, WebSockets};
use prism_tokio::Tokio;
use tokio::net::{TcpListener, TcpStream};

use crate::common::{Answer, answer, call, listen};

/// Starts a server, and returns its address.
pub(crate) fn serve(answer: Answer) -> SocketAddr {
    let (listener, address) = listen();
    let listener = TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request| call(&answer, request, peer));
            let mut http = http2::Builder::new(TokioExecutor::new());
            http.enable_connect_protocol().max_concurrent_streams(1000);
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// Answers with a WebSocket, for which the connections share a handler.
pub(crate) fn with_handler(websockets: &WebSockets<Tokio>, handler: impl Handler) -> Answer {
    let service = prism_hyper::service(websockets, handler);
    answer(move |request| {
        let answering = hyper::service::Service::call(&service, request);
        async { answering.await.unwrap_or_else(|never| match never {}) }
    })
}

/// A connection of HTTP/2, whose streams may be WebSockets.
pub(crate) struct Client {
    requests: SendRequest<Bytes>,
    address: SocketAddr,
}

/// A WebSocket on a stream. Its messages are short.
pub(crate) struct Stream {
    pub(crate) send: SendStream<Bytes>,
    pub(crate) recv: RecvStream,
    received: BytesMut,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::connect_until(Arc::default(), &Builder::new(), address).await
    }

    /// Connects, and neither reads nor writes any more once `stopped` is set.
    pub(crate) async fn connect_until(
        stopped: Arc<AtomicBool>,
        builder: &Builder,
        address: SocketAddr,
    ) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (requests, connection) = builder.handshake(stream).await.unwrap();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let poll = poll_fn(|cx| match stopped.load(Relaxed) {
                true => Poll::Pending,
                false => connection.as_mut().poll(cx),
            });
            poll.await
        });
        let mut client = Self { requests, address };
        // With the first answer, the settings of the server have arrived.
        assert_eq!(client.get().await.status(), 405);
        assert!(client.requests.is_extended_connect_protocol_enabled());
        client
    }

    async fn get(&mut self) -> Response<RecvStream> {
        let request = Request::get(format!("http://{}/", self.address)).body(()).unwrap();
        self.requests = self.requests.clone().ready().await.unwrap();
        self.requests.send_request(request, true).unwrap().0.await.unwrap()
    }

    /// Sends an extended CONNECT with these fields.
    pub(crate) async fn request(
        &mut self,
        protocol: &'static str,
        fields: &[(&'static str, &'static str)],
    ) -> (Response<RecvStream>, SendStream<Bytes>) {
        let uri = format!("http://{}/chat?x=1", self.address);
        let mut request = Request::builder().method("CONNECT").uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        request.extensions_mut().insert(Protocol::from_static(protocol));
        self.requests = self.requests.clone().ready().await.unwrap();
        let (response, send) = self.requests.send_request(request, false).unwrap();
        (response.await.unwrap(), send)
    }

    /// Opens a WebSocket.
    pub(crate) async fn open(&mut self) -> Stream {
        let (response, send) = self.request("websocket", &[("sec-websocket-version", "13")]).await;
        assert_eq!(response.status(), 200);
        Stream { send, recv: response.into_body(), received: BytesMut::new() }
    }
}

impl Stream {
    /// Sends a frame, masked with zeros.
    pub(crate) fn send(&mut self, opcode: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        let frame = [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], payload].concat();
        self.send.send_data(frame.into(), false).unwrap();
    }

    /// Ends this side of the stream.
    pub(crate) fn end(&mut self) {
        self.send.send_data(Bytes::new(), true).unwrap();
    }

    /// Receives a frame. Returns its opcode and its payload; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<(u8, Bytes)> {
        loop {
            if let Some((head, length)) = header(&self.received)
                && self.received.len() >= head + length
            {
                let mut frame = self.received.split_to(head + length);
                return Some((frame[0] & 0xf, frame.split_off(head).freeze()));
            }
            let data = self.recv.data().await?.ok()?;
            self.recv.flow_control().release_capacity(data.len()).unwrap();
            self.received.extend_from_slice(&data);
        }
    }
}

/// Returns the length of a frame's header, and that of its payload.
fn header(received: &[u8]) -> Option<(usize, usize)> {
    let length = *received.get(1)?;
    let extended = match length {
        126 => 2,
        127 => 8,
        length => return Some((2, length.into())),
    };
    let bytes = received.get(2..2 + extended)?;
    Some((2 + extended, bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))))
}
