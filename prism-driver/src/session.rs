//! [`Session`]: one connection's life after its handshake, from `on_connect` to `on_disconnect`.

use std::pin::pin;

use prism_core::{CloseCode, Event, Inbound, ProtocolError, RecvBuffer};

use crate::{
    connection::Connection,
    handler::{Disconnect, Failure, Handler},
    link::{Link, READS_PER_TURN},
    options::Options,
    runtime::{Runtime, Transport},
};

/// How many events in a row before other tasks get a turn: one read may bring ten thousand.
const EVENTS_PER_TURN: u32 = 256;

/// How many events a read counts for.
const EVENTS_PER_READ: u32 = EVENTS_PER_TURN / READS_PER_TURN;

/// A connection whose handshake is done; the answer to it may still be in the outbox.
pub(crate) struct Session<T> {
    pub(crate) io: T,
    pub(crate) connection: Connection,
    pub(crate) inbound: Inbound,
    /// What the peer sent behind its handshake.
    pub(crate) input: RecvBuffer,
}

impl<T: Transport> Session<T> {
    /// Runs the handler on the connection until it is over.
    pub(crate) async fn run<R: Runtime, H: Handler>(
        self,
        runtime: R,
        options: &Options,
        handler: &H,
    ) -> Disconnect {
        let Self { io, connection, mut inbound, mut input } = self;
        let timer = pin!(None);
        let mut link = Link::new(runtime, io, connection.clone(), options.write_timeout, timer);

        let opened = link.attend(async { handler.on_connect(&connection).await }).await;
        connection.keep_headers(None);
        let ended = match opened {
            Ok(()) => converse(&mut link, &connection, &mut inbound, &mut input, handler).await,
            Err(failure) => Err(failure),
        };
        let reason = ended.unwrap_or_else(|failure| fail(&mut link, &connection, failure));
        connection.outbox().end(false);

        // A panic here ends nothing that is not over already.
        let farewell = async { handler.on_disconnect(&connection, reason.clone()).await };
        let _ = link.attend(farewell).await;
        link.linger(&mut input).await;
        reason
    }
}

/// Lends one event after the other to the handler, until a close frame or a failure.
async fn converse<R: Runtime, T: Transport, H: Handler>(
    link: &mut Link<'_, R, T>,
    connection: &Connection,
    inbound: &mut Inbound,
    input: &mut RecvBuffer,
    handler: &H,
) -> Result<Disconnect, Failure> {
    let mut events = 0;
    loop {
        if events >= EVENTS_PER_TURN {
            events = 0;
            link.pause(inbound).await?;
        }
        events += 1;
        match inbound.receive(input)? {
            None => {
                link.fill(input, inbound).await?;
                events += EVENTS_PER_READ;
            }
            Some(Event::Message(message)) => {
                // Once we have closed, the handler has no more use for messages.
                if connection.is_open() {
                    link.attend(async { handler.on_message(connection, message).await }).await?;
                }
            }
            Some(event) => {
                let ours = connection.outbox().answer(&event);
                if let Event::Close(frame) = event {
                    return Ok(match ours {
                        Some((code, reason)) => Disconnect::Local { code, reason },
                        None => Disconnect::Peer { code: frame.code, reason: frame.reason.into() },
                    });
                }
            }
        }
    }
}

/// Tells the peer what can still be told, and gives the transport up where nobody would hear it.
fn fail<R: Runtime, T: Transport>(
    link: &mut Link<'_, R, T>,
    connection: &Connection,
    failure: Failure,
) -> Disconnect {
    match &failure {
        Failure::HandlerPanicked => {
            connection.outbox().abort(CloseCode::INTERNAL_ERROR, "internal error");
        }
        // The peer has ended its side only: it may still read what was accepted for it.
        Failure::Protocol(ProtocolError::UnexpectedEof) => connection.outbox().receive_eof(),
        Failure::Protocol(ProtocolError::CloseTimeout)
        | Failure::CutOff
        | Failure::Io(_)
        | Failure::WriteStalled => link.give_up(),
        Failure::Protocol(error) => connection.outbox().fail(*error),
    }
    Disconnect::Failed(failure)
}
