//! WebSockets on streams of HTTP/2 (RFC 8441), with prior knowledge: the memory that they hold.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::SendRequest, ext::Protocol};
use http::{Method, Request, StatusCode};
use tokio::{net::TcpStream, runtime, time::sleep};

use super::{
    Payload, Process,
    client::{AT_ONCE, PATIENCE},
};

/// How long a server may take to come to rest.
const SETTLE: Duration = Duration::from_millis(300);

/// Less growth than this is rest.
const REST: u64 = 64 << 10;

/// The memory that WebSockets over HTTP/2 hold.
#[derive(Clone, Copy, Debug)]
pub struct Http2 {
    /// How many WebSockets.
    pub websockets: usize,
    /// How many of them each connection has.
    pub streams: usize,
    /// What each sends once.
    pub payload: Payload,
    /// Whether they then read nothing, or the echo.
    pub stalled: bool,
}

/// A WebSocket.
struct Stream {
    send: SendStream<Bytes>,
    recv: RecvStream,
}

impl Http2 {
    /// Measures bytes per WebSocket: before each sends its message, and after.
    ///
    /// # Errors
    /// If the server fails a connection.
    pub fn run(&self, address: SocketAddr, server: Process) -> io::Result<(f64, f64)> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.measure(address, server))
    }

    async fn measure(&self, address: SocketAddr, server: Process) -> io::Result<(f64, f64)> {
        // What a server sets up once, or for many connections at once, does not count.
        let mut first = self.open(address, AT_ONCE).await?;
        self.talk(&mut first).await?;
        let each =
            |memory: u64, before: u64| (memory as f64 - before as f64) / self.websockets as f64;
        let before = at_rest(server).await?;
        let mut streams = self.open(address, self.websockets).await?;
        let fresh = each(at_rest(server).await?, before);
        self.talk(&mut streams).await?;
        Ok((fresh, each(at_rest(server).await?, before)))
    }

    async fn open(&self, address: SocketAddr, count: usize) -> io::Result<Vec<Stream>> {
        let mut streams = Vec::with_capacity(count);
        while streams.len() < count {
            let mut requests = connect(address).await?;
            for _ in 0..self.streams.min(count - streams.len()) {
                streams.push(Stream::open(&mut requests, address).await.map_err(io::Error::other)?);
            }
        }
        Ok(streams)
    }

    async fn talk(&self, streams: &mut [Stream]) -> io::Result<()> {
        let frame = Bytes::from(self.payload.frame());
        for stream in streams {
            stream.send.send_data(frame.clone(), false).map_err(io::Error::other)?;
            if !self.stalled {
                // The server's frame has no mask.
                stream.receive(frame.len() - 4).await.map_err(io::Error::other)?;
            }
        }
        Ok(())
    }
}

impl Stream {
    async fn open(
        requests: &mut SendRequest<Bytes>,
        address: SocketAddr,
    ) -> Result<Self, h2::Error> {
        let mut request = Request::new(());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = format!("http://{address}/").parse().expect("an address is valid");
        request.headers_mut().insert("sec-websocket-version", 13.into());
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        *requests = requests.clone().ready().await?;
        let (response, send) = requests.send_request(request, false)?;
        let response = response.await?;
        if response.status() != StatusCode::OK {
            return Err(h2::Reason::REFUSED_STREAM.into());
        }
        Ok(Self { send, recv: response.into_body() })
    }

    async fn receive(&mut self, mut due: usize) -> Result<(), h2::Error> {
        while due > 0 {
            let data = self.recv.data().await.ok_or(h2::Reason::STREAM_CLOSED)??;
            self.recv.flow_control().release_capacity(data.len())?;
            due = due.saturating_sub(data.len());
        }
        Ok(())
    }
}

/// Opens a connection on which the server has allowed the extended CONNECT.
async fn connect(address: SocketAddr) -> io::Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (requests, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let mut requests = requests.ready().await.map_err(io::Error::other)?;
    // With the first answer, the settings of the server have arrived.
    let request = Request::get(format!("http://{address}/")).body(()).map_err(io::Error::other)?;
    let (response, _) = requests.send_request(request, true).map_err(io::Error::other)?;
    response.await.map_err(io::Error::other)?;
    Ok(requests)
}

/// Waits until the server's memory does not grow any more, and returns it.
async fn at_rest(server: Process) -> io::Result<u64> {
    let mut before = server.memory()?;
    for _ in 0..PATIENCE.as_millis() / SETTLE.as_millis() {
        sleep(SETTLE).await;
        let now = server.memory()?;
        if now.abs_diff(before) < REST {
            return Ok(now);
        }
        before = now;
    }
    Err(io::ErrorKind::TimedOut.into())
}
