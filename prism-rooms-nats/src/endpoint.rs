//! [`Endpoint`]: the servers, and how they are reached.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_lite::future::or;
use prism_driver::Network;
#[cfg(feature = "tls")]
use prism_driver::tls::TlsClient;

use crate::{
    connection::Connection,
    error::SessionError,
    info::{Info, connect},
    protocol::{self, Decoder, Operation},
    servers::Servers,
    url::{Server, Target},
};
#[cfg(feature = "nkeys")]
use crate::{credentials::Credentials, url::Login};

/// How long it may take to find a server that can be used. The cluster waits for 2 s, and would not say why it does not
/// go on.
const MAX_OPENING: Duration = Duration::from_millis(1800);

/// How long TCP may take of that: what is wrong is known when the rest is over.
const MAX_CONNECTING: Duration = Duration::from_millis(1400);

/// How long TCP may take at least before the next server is tried.
const MIN_CONNECTING: Duration = Duration::from_millis(400);

/// How long a server with which TCP has connected has at least to log this program in.
const MIN_ATTEMPT: Duration = Duration::from_millis(900);

#[derive(Clone)]
pub(crate) struct Endpoint<N> {
    pub(crate) runtime: N,
    pub(crate) target: Target,
    servers: Arc<Mutex<Servers>>,
    /// Whether servers may name others.
    pub(crate) discovers: bool,
    /// What is trusted; `None` for what the operating system trusts.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsClient>,
}

/// A connection that is logged in.
pub(crate) struct Opened {
    pub(crate) server: Server,
    pub(crate) connection: Connection,
    /// What the server says of itself.
    pub(crate) info: Info,
}

impl<N: Network> Endpoint<N> {
    pub(crate) fn new(runtime: N, target: Target) -> Self {
        let servers = Arc::new(Mutex::new(Servers::new(target.servers.clone())));
        Self {
            runtime,
            target,
            servers,
            discovers: true,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sets the key for all servers, and returns whether it has: not if a server has another kind of login.
    #[cfg(feature = "nkeys")]
    pub(crate) fn set_key(&mut self, credentials: &Credentials) -> bool {
        let servers = &mut self.target.servers;
        if !servers.iter().all(|server| matches!(server.login, None | Some(Login::Key(_)))) {
            return false;
        }
        for server in servers {
            server.login = Some(Login::Key(credentials.clone()));
        }
        self.servers = Arc::new(Mutex::new(Servers::new(self.target.servers.clone())));
        true
    }

    /// Opens a connection to the first server that can be used, except one. If none can, says why each cannot.
    pub(crate) async fn open_any(&self, except: Option<&Server>) -> Result<Opened, String> {
        self.check_settings().map_err(|error| error.to_string())?;
        let deadline = self.runtime.now().saturating_add(MAX_OPENING);
        let mut servers = self.lock_servers().in_order();
        servers.retain(|server| Some(server) != except);
        let (mut reasons, mut left) = (Vec::new(), servers.len());
        for server in servers {
            let rest = deadline.saturating_sub(self.runtime.now());
            if rest.is_zero() {
                break;
            }
            let share = rest / u32::try_from(left).unwrap_or(u32::MAX);
            left -= 1;
            self.lock_servers().tried(&server);
            match self.open_within(&server, share, rest).await {
                Ok((connection, info)) => {
                    self.discover(&info, &server);
                    return Ok(Opened { server, connection, info });
                }
                Err(error) => reasons.push(format!("{}: {error}", server.address)),
            }
        }
        Err(reasons.join("; "))
    }

    /// Remembers the other servers that a server names.
    pub(crate) fn discover(&self, info: &Info, by: &Server) {
        if self.discovers {
            self.lock_servers().discover(&info.connect_urls, by);
        }
    }

    /// Opens a connection to a server, which should take `share`, and has to be done within `rest`.
    async fn open_within(
        &self,
        server: &Server,
        share: Duration,
        rest: Duration,
    ) -> Result<(Connection, Info), SessionError> {
        let late = async {
            self.runtime.sleep(share.max(MIN_ATTEMPT).min(rest)).await;
            Err(SessionError::TimedOut)
        };
        or(self.open(server, share.clamp(MIN_CONNECTING, MAX_CONNECTING)), late).await
    }

    /// Opens a connection, and logs in. `limit` is for the TCP connection.
    async fn open(
        &self,
        server: &Server,
        limit: Duration,
    ) -> Result<(Connection, Info), SessionError> {
        let stream = server.address.connect(&self.runtime, limit).await;
        let (stream, _) = stream.map_err(SessionError::Unreachable)?;
        let mut connection = Connection::new(stream, Decoder::default());
        let info = match connection.next_item().await? {
            Operation::Info(json) => Info::parse(&json)?,
            Operation::Error(why) => return Err(SessionError::refused(&why)),
            _ => return Err(SessionError::Unexpected("something before INFO")),
        };
        let connection = self.secure(server, connection, &info).await?;
        self.log_in(server, connection, info).await
    }

    /// Checks that the settings are for such URLs.
    fn check_settings(&self) -> Result<(), SessionError> {
        #[cfg(feature = "tls")]
        if self.tls.is_some() && !self.target.is_secure {
            return Err(SessionError::NotTls);
        }
        Ok(())
    }

    fn lock_servers(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns a TCP connection into one with TLS, if the URL says so. The server has to agree: nothing is sent to one
    /// that does not offer it, which may be somebody else.
    #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "it has no certificate"))]
    async fn secure(
        &self,
        server: &Server,
        connection: Connection,
        info: &Info,
    ) -> Result<Connection, SessionError> {
        #[cfg(feature = "tls")]
        if self.target.is_secure {
            let (stream, decoder) = connection.into_parts();
            if !info.offers_tls() {
                return Err(SessionError::NoTls);
            }
            if !decoder.is_empty() {
                return Err(SessionError::Unexpected("something between INFO and TLS"));
            }
            let tls = self.tls.clone().map_or_else(TlsClient::trusting_platform, Ok);
            let tls = tls.map_err(|error| SessionError::Tls(error.into()))?;
            let stream = server.certified.secure(&tls, stream).await.map_err(SessionError::Tls)?;
            return Ok(Connection::new(stream, Decoder::default()));
        }
        if info.tls_required { Err(SessionError::NeedsTls) } else { Ok(connection) }
    }

    async fn log_in(
        &self,
        server: &Server,
        mut connection: Connection,
        mut info: Info,
    ) -> Result<(Connection, Info), SessionError> {
        let json = connect(server.login.as_ref(), &info, self.target.is_secure)?;
        protocol::push_connect(connection.out(), &json);
        protocol::push_ping(connection.out());
        loop {
            match connection.next_item().await? {
                Operation::Pong => return Ok((connection, info)),
                Operation::Info(json) => info = Info::parse(&json)?,
                Operation::Error(why) => return Err(SessionError::refused(&why)),
                Operation::Ping | Operation::Ok => {} // it will ask again
                Operation::Message { .. } => return Err(SessionError::Unexpected("a message")),
            }
        }
    }
}
