//! [`Session`]: one connection's life after its handshake, from `on_connect` to `on_disconnect`.

use std::pin::pin;

use prism_core::{CloseCode, Event, Inbound, ProtocolError, RecvBuffer};

use crate::{
    connection::{Connection, Owned},
    fan_out::InTurns,
    handler::{Disconnect, Failure, Handler},
    link::{Link, READS_PER_TURN},
    options::Options,
    runtime::Runtime,
};

/// How many events in a row before other tasks get a turn: one read may bring ten thousand.
const EVENTS_PER_TURN: u32 = 256;

/// How many events a read counts for.
const EVENTS_PER_READ: u32 = EVENTS_PER_TURN / READS_PER_TURN;

/// A connection whose handshake is done; the answer to it may still be in the outbox.
///
/// It lives in a box, because a future holds twice what it is given by value.
pub(crate) struct Session {
    pub(crate) connection: Owned,
    pub(crate) inbound: Inbound,
    /// What the peer sent behind its handshake.
    pub(crate) input: RecvBuffer,
}

impl Session {
    /// Runs the handler on the connection until it is over.
    pub(crate) fn run<R: Runtime, H: Handler>(
        self: Box<Self>,
        runtime: R,
        options: &Options,
        handler: &H,
    ) -> impl Future<Output = Disconnect> {
        InTurns::new(self.live(runtime, options, handler))
    }

    async fn live<R: Runtime, H: Handler>(
        self: Box<Self>,
        runtime: R,
        options: &Options,
        handler: &H,
    ) -> Disconnect {
        let mut this = self;
        let Self { connection, inbound, input } = &mut *this;
        let timer = pin!(None);
        let mut link = Link::new(runtime, connection, options.write_timeout, timer);

        let opened = {
            let welcome = pin!(async { handler.on_connect(connection).await });
            link.attend(welcome).await
        };
        connection.keep_headers(None);
        let ended = match opened {
            Ok(()) => converse(&mut link, connection, inbound, input, handler).await,
            Err(failure) => Err(failure),
        };
        let reason = ended.unwrap_or_else(|failure| fail(&mut link, connection, failure));
        connection.outbox().end();
        {
            // A panic here ends nothing that is not over already.
            let farewell = pin!(async { handler.on_disconnect(connection, reason.clone()).await });
            let _ = link.attend(farewell).await;
        }
        link.linger(input).await;
        reason
    }
}

/// Lends one event after the other to the handler, until a close frame or a failure.
async fn converse<R: Runtime, H: Handler>(
    link: &mut Link<'_, R>,
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
                if !connection.outbox().is_closed_by_us() {
                    let answer = pin!(async { handler.on_message(connection, message).await });
                    link.attend(answer).await?;
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
fn fail<R: Runtime>(
    link: &mut Link<'_, R>,
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
