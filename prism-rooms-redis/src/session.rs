//! [`serve`]: a session of a cluster over two connections to Redis. One publishes, the other listens: Redis closes the
//! connection of a client that does not listen fast enough, and publishing goes on meanwhile.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_lite::future::{or, try_zip};
use prism_driver::{Network, ServiceAddress};
use prism_rooms::{Command, Session};

use crate::{
    endpoint::Endpoint,
    error::{Purpose, SessionError},
    login::log_in,
    pipeline::Pipeline,
};

/// How long it may take until both connections are open. The cluster waits for 2 s, and would not say why it does not
/// go on.
const MAX_OPENING: Duration = Duration::from_millis(1800);

/// How long finding the server, and TCP, may take of that: what is wrong is known when the rest is over.
const MAX_CONNECTING: Duration = Duration::from_millis(1400);

/// How often a server is asked whether it is still a master. A server that has become a replica goes on to accept what
/// is published, but passes it on to its own clients only.
const ROLE_INTERVAL: Duration = Duration::from_secs(2);

/// Serves a session until one of its connections is lost. Returns why it was, and at which server.
pub(crate) async fn serve<N: Network>(
    endpoint: &Endpoint<N>,
    prefix: &str,
    session: &Session,
) -> String {
    let began = endpoint.runtime.now();
    let server = match endpoint.find_server().await {
        Ok(server) => server,
        Err(error) => return error.to_string(),
    };
    let pipelines = match open_both(endpoint, &server, prefix, began).await {
        Ok(pipelines) => pipelines,
        Err(error) => {
            endpoint.distrust_sentinel();
            return format!("{server}: {error}");
        }
    };
    session.connected();
    let (subscriber, publisher) = pipelines;
    let serving = Serving {
        endpoint,
        session,
        publisher,
        subscriber,
        commands: Box::pin(session.next()),
        role_is_due: Box::pin(endpoint.runtime.sleep(ROLE_INTERVAL)),
        held: Vec::new(),
    };
    let error = serving.await;
    format!("{server}: {error}")
}

/// Opens both connections, of which the first one listens.
async fn open_both<N: Network>(
    endpoint: &Endpoint<N>,
    server: &ServiceAddress,
    prefix: &str,
    began: Duration,
) -> Result<(Pipeline, Pipeline), SessionError> {
    let left = |limit| (began + limit).saturating_sub(endpoint.runtime.now());
    let late = async {
        endpoint.runtime.sleep(left(MAX_OPENING)).await;
        Err(SessionError::TimedOut)
    };
    // If both are refused, the subscriber says why.
    let opened = async {
        let [first, second] = endpoint.connect_twice(server, left(MAX_CONNECTING)).await?;
        let subscriber = open(endpoint, server, prefix, first, Purpose::Subscribe);
        let publisher = open(endpoint, server, prefix, second, Purpose::Publish);
        try_zip(subscriber, publisher).await
    };
    let (mut subscriber, mut publisher) = or(late, opened).await?;
    subscriber.set_purpose(Purpose::Subscribe);
    publisher.set_purpose(Purpose::Publish);
    Ok((subscriber, publisher))
}

/// Logs in over a TCP connection.
async fn open<N: Network>(
    endpoint: &Endpoint<N>,
    server: &ServiceAddress,
    prefix: &str,
    stream: N::Stream,
    purpose: Purpose,
) -> Result<Pipeline, SessionError> {
    let mut connection = endpoint.secure(server, stream).await?;
    let role_counts = log_in(&mut connection, purpose, &endpoint.target).await?;
    Ok(Pipeline::new(connection, role_counts, prefix))
}

/// A session whose connections are open. Ready when one of them is lost.
struct Serving<'a, N: Network> {
    endpoint: &'a Endpoint<N>,
    session: &'a Session,
    publisher: Pipeline,
    subscriber: Pipeline,
    commands: Pin<Box<dyn Future<Output = Vec<Command>> + Send + 'a>>,
    role_is_due: Pin<Box<N::Sleep>>,
    /// What is published once the first subscription is confirmed. It is to come back to this node, too, but the other
    /// connection may be faster.
    held: Vec<Command>,
}

impl<N: Network> Serving<'_, N> {
    /// Adds a command to the bytes that a connection writes. All that are there at once leave in one write.
    fn add(&mut self, command: Command) {
        match command {
            Command::Subscribe { channels, ticket } => self.subscriber.subscribe(&channels, ticket),
            Command::Unsubscribe { channels } => self.subscriber.unsubscribe(&channels),
            Command::Publish { .. } if self.subscriber.awaits_first_subscription() => {
                self.held.push(command);
            }
            Command::Publish { channel, payload, ticket } => {
                self.publisher.publish(&channel, &payload, ticket);
            }
            Command::Append(append) => self.publisher.append(append),
            Command::Read(read) => self.publisher.read(read),
        }
    }
}

impl<N: Network> Future for Serving<'_, N> {
    type Output = SessionError;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SessionError> {
        let this = &mut *self;
        while this.role_is_due.as_mut().poll(cx).is_ready() {
            this.publisher.ask_role();
            this.subscriber.ask_role();
            this.role_is_due.set(this.endpoint.runtime.sleep(ROLE_INTERVAL));
        }
        while let Poll::Ready(commands) = this.commands.as_mut().poll(cx) {
            commands.into_iter().for_each(|command| this.add(command));
            this.commands = Box::pin(this.session.next());
        }
        if let Poll::Ready(error) = this.subscriber.poll_turn(this.session, cx) {
            return Poll::Ready(error);
        }
        if !this.subscriber.awaits_first_subscription() {
            mem::take(&mut this.held).into_iter().for_each(|command| this.add(command));
        }
        if let Poll::Ready(error) = this.publisher.poll_turn(this.session, cx) {
            return Poll::Ready(error);
        }
        if this.publisher.used_up_turn() || this.subscriber.used_up_turn() {
            this.endpoint.runtime.yield_to_others(cx.waker());
        }
        Poll::Pending
    }
}
