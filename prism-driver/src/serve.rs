//! Serving a single transport, without a [`Server`](crate::Server).

use std::sync::Arc;

use bytes::BytesMut;
use futures_util::future::Either;
use prism_core::{Accept, Request, WebSocket};

use crate::{
    connection::request_info::RequestInfo,
    error::{AcceptError, Disconnect},
    handler::connection_handler::ConnectionHandler,
    options::Options,
    runtime::{Runtime, Transport},
    server::{
        handshake::{Rejected, Upgrade, accept_handshake},
        path_map::Params,
        plain_reply::PlainReply,
    },
    session::{
        Established, Session,
        deadline::OwnTimer,
        rate_limit::{TokenBucket, Unlimited},
        read_buffer::ReadBuffer,
    },
};

/// Performs the server's side of a handshake on a connected transport, for any path, and then runs the handler on the
/// connection. Returns how the connection ended. The handler is a [`ConnectionHandler`] or a
/// [`Handler`](crate::Handler); several connections can share an `Arc` of the latter.
///
/// ```no_run
/// # use prism_driver::{AcceptError, ConnectionHandler, Options, Runtime, Transport, serve_stream};
/// async fn serve<R: Runtime>(
///     runtime: R,
///     stream: impl Transport,
///     handler: impl ConnectionHandler,
/// ) -> Result<(), AcceptError> {
///     let options = Options::default();
///     let reason = serve_stream(runtime, stream, &options, handler).await?;
///     println!("{reason}");
///     Ok(())
/// }
/// ```
///
/// The connection lives in this future. If the future is dropped early, the running call of the handler is dropped
/// before it completes, `on_disconnect` does not run, and the peer gets no close frame. The
/// [`on_end`](crate::Connection::on_end) hooks run. To end the connection properly, call
/// [`Connection::close`](crate::Connection::close) instead.
///
/// The future is ready only when the transport has ended as well. That can be seconds later than
/// [`on_disconnect`](ConnectionHandler::on_disconnect); see the [close timeout](prism_core::Config::close_timeout). To
/// react to the end without this delay, use `on_disconnect`.
///
/// A transport has no address, so [`peer_addr`](crate::Connection::peer_addr) returns `None`.
///
/// # What a server would do
///
/// These tasks of a [`Server`](crate::Server) are yours here:
///
/// - checking the request's [origin](crate::Server::origins) and credentials: the handler can read the
///   [headers](crate::Connection::header) in [`on_connect`](ConnectionHandler::on_connect), and close the connection.
///   The accessors for cookies and bearer tokens are on the [`Request`](crate::Request), which only a server's
///   [`authorize`](crate::Server::authorize) receives,
/// - attaching [data](crate::Connection::data) to the connection, which is what `authorize` returns: keep such data in
///   a field of a [`ConnectionHandler`] instead,
/// - choosing a subprotocol (none is selected here),
/// - limiting how many connections and handshakes there are at once, in total and from one address, and evicting old
///   ones for new ones,
/// - learning the client's address from a [proxy](crate::Server::trust_proxies),
/// - limiting [how much memory](crate::ServerOptions::max_buffered) all connections together hold for slow peers,
/// - shutting down, and counting.
///
/// A server on a [network of your own](crate::Server::bind_on), for example one that speaks TLS, still does all of
/// that.
///
/// # Errors
/// [`AcceptError::Refused`] if the request is invalid or does not arrive within the handshake timeout. The peer then
/// receives a response that says why, and the error is returned up to five seconds after the peer has taken that
/// response. [`AcceptError::Io`] if the transport fails or ends.
pub async fn serve_stream<R: Runtime>(
    runtime: R,
    io: impl Transport,
    options: &Options,
    handler: impl ConnectionHandler,
) -> Result<Disconnect, AcceptError> {
    let session = open(&runtime, io, options).await?;
    Ok(run(runtime, session, options, handler).await)
}

/// Runs the handler on a transport on which another library, such as a web framework, has done the handshake and sent
/// the 101. Returns how the connection ended.
///
/// [`Connection::path`](crate::Connection::path) returns the given `path` exactly as it is: it is neither checked nor
/// normalized. The connection has no query, parameters, headers, subprotocol or address, and does not compress
/// messages.
///
/// Nor has it [data](crate::Connection::data). What the other library knows of the peer, such as its user, belongs in a
/// field of the [`ConnectionHandler`].
///
/// As with [`serve_stream`], the connection lives in this future, which is ready only when the transport has ended as
/// well, and the tasks of a server are yours.
pub async fn serve_upgraded<R: Runtime>(
    runtime: R,
    io: impl Transport,
    path: &str,
    options: &Options,
    handler: impl ConnectionHandler,
) -> Disconnect {
    let websocket = WebSocket::server(&options.config());
    let info = RequestInfo::plain(path);
    let opened = Established::new(websocket, None, None, |_| info);
    let session = Session::new(opened, Box::new(io), None, ReadBuffer::new(), options);
    run(runtime, session, options, handler).await
}

async fn open<R: Runtime>(
    runtime: &R,
    mut io: impl Transport,
    options: &Options,
) -> Result<Session, AcceptError> {
    let (mut read_buffer, mut no_preface) = (ReadBuffer::new(), ());
    let decide = |request: Request<'_>, (): &mut ()| upgrade(&request, options);
    let outcome =
        accept_handshake(runtime, &mut io, &mut read_buffer, options, &mut no_preface, decide);
    let rejected = match outcome.await {
        Ok(Ok(Upgrade { established, .. })) => {
            return Ok(Session::new(established, Box::new(io), None, read_buffer, options));
        }
        Ok(Err(reply)) => Rejected::Reply(reply),
        Err(rejected) => rejected,
    };
    match rejected {
        Rejected::Reply(reply) => {
            drop(read_buffer); // sending the answer may take long
            let status = reply.status();
            // Boxed, to keep a connection's future small.
            Box::pin(reply.send_and_linger(runtime, &mut io, options.write_limits())).await;
            Err(AcceptError::Refused(status))
        }
        Rejected::Unanswered { error, .. } => Err(AcceptError::Io(error)),
    }
}

fn upgrade(request: &Request<'_>, options: &Options) -> Result<Upgrade<()>, PlainReply> {
    let offer = request.upgrade().map_err(|error| PlainReply::refusal(request, error))?;
    let info = RequestInfo::new(request.path(), request.query(), Params::new(), None);
    let (headers, config) = (request.headers().into_owned(), options.config());
    let accept = |out: &mut BytesMut| offer.accept(&Accept::new(), &config, out);
    Ok(Upgrade::new((), headers, accept, |compression| {
        Arc::new(info.with_compression(compression))
    }))
}

/// Not an `async fn`, which would hold the session twice.
fn run<R: Runtime>(
    runtime: R,
    session: Session,
    options: &Options,
    handler: impl ConnectionHandler,
) -> impl Future<Output = Disconnect> {
    let timer = OwnTimer::new(runtime.clone(), options);
    let reason = |_: &OwnTimer<R>, reason| reason;
    match options.message_rate {
        None => Either::Left(session.run(timer, Unlimited, handler, reason)),
        Some(rate) => {
            let bucket = TokenBucket::new(runtime, rate);
            Either::Right(session.run(timer, bucket, handler, reason))
        }
    }
}
