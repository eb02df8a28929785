//! Serving a single transport, whatever it is and however it was accepted.

use futures_util::future::Either;
use prism_core::WebSocket;

use crate::{
    connection::request::RequestInfo,
    error::{AcceptError, Disconnect},
    handler::Handler,
    handshake::{Rejected, Upgrade, accept_handshake},
    options::Options,
    runtime::{Runtime, Transport},
    server::{plain_answer::PlainAnswer, routes::Params},
    session::{
        Established, Session,
        deadline::OwnTimer,
        rate_limit::{TokenBucket, Unlimited},
        read_buffer::ReadBuffer,
    },
};

/// Does a server's handshake on a connected transport, whatever path is asked for, then runs the
/// handler on it until the connection is over.
///
/// What only a [`Server`](crate::Server) does is yours here: to judge the request's
/// [origin](crate::Server::origins) and its [credentials](crate::Server::authorize) (the handler sees its
/// headers in [`on_connect`](Handler::on_connect), and can close), to choose a sub-protocol, to limit how
/// many connections and handshakes there are at once and let them make way for others, to bound [what all
/// of them hold](crate::ServerOptions::max_buffered), to shut down, and to count. For TLS, a server on a [network of your own](crate::Server::bind_on) has all of that.
///
/// The connection lives in this future: whoever drops it early drops a handler half-way, and
/// `on_disconnect` does not run. To have it closed, call [`Connection::close`](crate::Connection::close).
///
/// It returns when the transport has ended too, which may be up to the [close
/// timeout](prism_core::Config::close_timeout) after [`on_disconnect`](Handler::on_disconnect). What
/// has to be known earlier is known there.
///
/// # Errors
/// If the peer sent no valid handshake; it has been told why. A refusal is returned up to five seconds after
/// the peer has taken the answer.
pub async fn serve_stream<R: Runtime, H: Handler>(
    runtime: R,
    io: impl Transport,
    options: &Options,
    handler: &H,
) -> Result<Disconnect, AcceptError> {
    let session = open(&runtime, io, options).await?;
    Ok(run(runtime, session, options, handler).await)
}

/// Runs the handler on a transport on which somebody else has done the handshake and sent the 101,
/// such as a web framework. The path is what [`Connection::path`](crate::Connection::path) will
/// say.
///
/// As with [`serve_stream`], the connection lives in this future, it returns when the transport has ended
/// too, and what a server would check is the caller's.
pub async fn serve_upgraded<R: Runtime, H: Handler>(
    runtime: R,
    io: impl Transport,
    path: &str,
    options: &Options,
    handler: &H,
) -> Disconnect {
    let websocket = WebSocket::server(&options.config());
    let info = RequestInfo::plain(path);
    let opened = Established { websocket, unsent: None, info, headers: None };
    let session = Session::new(opened, io, None, ReadBuffer::new(), options);
    run(runtime, session, options, handler).await
}

async fn open<R: Runtime>(
    runtime: &R,
    mut io: impl Transport,
    options: &Options,
) -> Result<Session, AcceptError> {
    let mut input = ReadBuffer::new();
    let outcome = accept_handshake(runtime, &mut io, &mut input, options, |request| {
        let offer = request.upgrade().map_err(|error| PlainAnswer::refusal(&request, error))?;
        let info = RequestInfo::plain(request.path());
        Ok(Upgrade::accept(offer, (), &info, Params::new(), options))
    });
    match outcome.await {
        Ok(upgrade) => Ok(upgrade.begin(io, None, input, options).0),
        Err(Rejected::Answer(answer)) => {
            drop(input); // it may take long to send the answer
            let status = answer.status();
            // Boxed, so that a connection's future is no larger for it.
            Box::pin(answer.send_and_linger(runtime, &mut io, options.write_limits())).await;
            Err(AcceptError::Refused(status))
        }
        Err(Rejected::Disconnected(error)) => Err(AcceptError::Io(error)),
    }
}

/// No `async fn`: it would hold the session twice.
fn run<R: Runtime, H: Handler>(
    runtime: R,
    session: Session,
    options: &Options,
    handler: &H,
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
