//! Asks an HTTP proxy for a tunnel (`CONNECT`, RFC 9110 §9.3.6).

use bytes::BytesMut;
use futures_lite::AsyncWriteExt;
use prism_core::{BasicCredentials, Config, Response, TunnelHandshake};

use crate::{
    client::{proxy::error::ProxyFailure, url::ServerAddress},
    error::refusal::Refusal,
    runtime::Transport,
    session::read_buffer::ReadBuffer,
};

/// Asks for a tunnel to a server, over a connection to the proxy. The limits are the defaults of [`Config`].
pub(super) async fn open_tunnel(
    io: &mut impl Transport,
    server: &ServerAddress,
    credentials: Option<&BasicCredentials>,
) -> Result<(), ProxyFailure> {
    let mut request = BytesMut::new();
    let authority = server.to_string();
    let handshake =
        TunnelHandshake::start(&Config::default(), &authority, credentials, &mut request);
    let mut handshake = handshake.expect("the host of a URL, without a zone, and its port");
    // The request is shorter than any socket's buffer, so a proxy that answers early blocks nothing.
    io.write_all(&request).await?;
    io.flush().await?;

    let mut buffer = ReadBuffer::new();
    loop {
        if buffer.fill(io).await? == 0 {
            return Err(ProxyFailure::Closed);
        }
        if let Some(response) = handshake.receive(buffer.buffer())? {
            judge(&response, credentials.is_some())?;
            break;
        }
    }
    if buffer.len() > 0 {
        return Err(ProxyFailure::UnexpectedBytes);
    }
    Ok(())
}

fn judge(response: &Response<'_>, had_credentials: bool) -> Result<(), ProxyFailure> {
    match response.status() {
        200..300 => Ok(()),
        407 if !accepts_basic(response) => Err(ProxyFailure::UnsupportedAuthentication),
        // tinyproxy answers with 401 if they are wrong.
        401 | 407 if had_credentials => Err(ProxyFailure::CredentialsRejected),
        401 | 407 => Err(ProxyFailure::CredentialsRequired),
        _ => Err(ProxyFailure::Refused(Refusal::from(response))),
    }
}

/// Returns whether a 407 asks for a user name and a password (RFC 9110 §11.7.1). Without a challenge, it may.
fn accepts_basic(response: &Response<'_>) -> bool {
    let mut challenges = response.header_all("Proxy-Authenticate").peekable();
    let is_basic = |challenge: &str| {
        challenge
            .split_whitespace()
            .next()
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("Basic"))
    };
    challenges.peek().is_none() || challenges.any(|line| line.split(',').any(is_basic))
}
