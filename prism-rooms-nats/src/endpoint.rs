//! [`Endpoint`]: a server, and how it is reached.

use std::time::Duration;

use prism_driver::Network;
#[cfg(feature = "tls")]
use prism_driver::tls::TlsClient;

use crate::{
    connection::Connection,
    error::SessionError,
    info::{Info, connect},
    protocol::{self, Decoder, Operation},
    url::Target,
};

#[derive(Clone)]
pub(crate) struct Endpoint<N> {
    pub(crate) runtime: N,
    pub(crate) target: Target,
    /// What is trusted; `None` for what the operating system trusts.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsClient>,
}

impl<N: Network> Endpoint<N> {
    /// Opens a connection, and logs in. TCP may take so long. Returns what the server says of itself, too.
    pub(crate) async fn open(&self, limit: Duration) -> Result<(Connection, Info), SessionError> {
        #[cfg(feature = "tls")]
        if self.tls.is_some() && !self.target.is_secure {
            return Err(SessionError::NotTls);
        }
        let (stream, _) = self
            .target
            .address
            .connect(&self.runtime, limit)
            .await
            .map_err(SessionError::Unreachable)?;
        let mut connection = Connection::new(stream, Decoder::default());
        let info = match connection.next_item().await? {
            Operation::Info(json) => Info::parse(&json)?,
            Operation::Error(why) => return Err(SessionError::refused(&why)),
            _ => return Err(SessionError::Unexpected("something before INFO")),
        };
        let connection = self.secure(connection, &info).await?;
        self.log_in(connection, info).await
    }

    /// Turns a TCP connection into one with TLS, if the URL says so. The server has to agree: nothing is sent to one that
    /// does not offer it, which may be somebody else.
    async fn secure(
        &self,
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
            let stream =
                self.target.address.secure(&tls, stream).await.map_err(SessionError::Tls)?;
            return Ok(Connection::new(stream, Decoder::default()));
        }
        if info.tls_required { Err(SessionError::NeedsTls) } else { Ok(connection) }
    }

    async fn log_in(
        &self,
        mut connection: Connection,
        mut info: Info,
    ) -> Result<(Connection, Info), SessionError> {
        let json = connect(self.target.login.as_ref(), self.target.is_secure);
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
