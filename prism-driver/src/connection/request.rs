//! The methods of a [`Connection`] that are about its opening request.

#[cfg(feature = "tls")]
use std::sync::Arc;
use std::{any::Any, borrow::Cow};

use prism_core::{Headers, deflate::DeflateParams};

#[cfg(feature = "tls")]
use crate::tls::info::TlsInfo;
use crate::{
    connection::{
        Connection,
        compression::{CompressedForm, Compression},
    },
    server::request::query_param,
};

/// The opening request.
impl Connection {
    /// Returns the path of the opening request, without the query. On a server, it is in its [normal
    /// form](crate::normalize_path), or with [`serve_upgraded`](crate::serve_upgraded) exactly as given. On a client,
    /// it is as it was sent.
    #[must_use]
    pub fn path(&self) -> &str {
        self.shared().request.path()
    }

    /// Returns the query of the opening request as it was sent, without the `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.shared().request.query()
    }

    /// Returns the first value of this name in the query, decoded like a form (`application/x-www-form-urlencoded`):
    /// `+` is a space, and bytes that are not UTF-8 are replaced by U+FFFD.
    #[must_use]
    pub fn query_param(&self, name: &str) -> Option<Cow<'_, str>> {
        query_param(self.query()?, name)
    }

    /// Returns a parameter of the route, percent-decoded, or `None` if the route has none of this name. On the route
    /// `/rooms/{room}`, a connection to `/rooms/caf%C3%A9` has the value `café` for `room`.
    ///
    /// A value contains no control characters. It does not begin with `/`, `\` or a drive such as `C:/`, and none of
    /// its parts, split at `/` and `\`, is `.` or `..`. Requests with any other value are refused with 400.
    ///
    /// The value of `{room}` can contain a `/`, if the client sent it as `%2F`. `{*rest}` matches the rest of the path.
    /// In its value, each `/` separates segments of the path, and there is no `\`: `%2F` and `%5C` are refused there.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.shared().request.param(name)
    }

    /// Returns the subprotocol that client and server agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.shared().request.subprotocol()
    }

    /// Returns what client and server agreed on for compression (RFC 7692 §7.1); `None` if messages are not compressed.
    ///
    /// Compression has to be [turned on](crate::Options::compression) at both ends.
    #[must_use]
    pub fn compression(&self) -> Option<DeflateParams> {
        self.shared().compression().map(Compression::params)
    }

    /// Returns the form in which the connection needs the messages that are sent to many connections.
    #[doc(hidden)]
    #[must_use]
    pub fn compressed_form(&self) -> Option<&CompressedForm> {
        self.shared().compression().map(Compression::form)
    }

    /// Returns a header of the opening request or, on a client, of the response to it. Its name is not case-sensitive.
    ///
    /// The values of several lines are joined with `", "`, or with `"; "` for `Cookie`. Joined lines of `Set-Cookie`
    /// cannot be separated again: use [`header_all`](Self::header_all). Bytes that are not UTF-8 are replaced by
    /// U+FFFD.
    ///
    /// Once [`on_connect`](crate::Handler::on_connect) has returned, the headers are gone, and this returns `None`.
    /// With a [`Socket`](crate::Socket), use [`Socket::header`](crate::Socket::header) instead, until you split the
    /// socket.
    ///
    /// A client can send any header, so do not read its address from `X-Forwarded-For`: a proxy appends to what the
    /// client sent. If the server [trusts its proxies](crate::Server::trust_proxies),
    /// [`peer_addr`](Self::peer_addr) is the client's address.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.outbox().in_headers(|headers| headers.joined(name).map(Cow::into_owned))?
    }

    /// Returns the values of all lines of a header, in order; otherwise like [`header`](Self::header).
    #[must_use]
    pub fn header_all(&self, name: &str) -> Vec<String> {
        let all = |headers: Headers<'_>| headers.all_text(name).map(Cow::into_owned).collect();
        self.outbox().in_headers(all).unwrap_or_default()
    }

    /// Returns what the TLS handshake has agreed on, with the certificates of the peer; `None` without TLS, and over a
    /// stream with TLS of its own.
    ///
    /// As the [headers](Self::header) are, this is gone once [`on_connect`](crate::Handler::on_connect) has returned,
    /// because an idle connection should not hold it. What is needed later, such as the owner of a certificate, belongs
    /// in the [data](Self::data) that an authorization attaches: [`Request::tls`](crate::Request::tls) returns the same
    /// as this. With a [`Socket`](crate::Socket), use [`Socket::tls`](crate::Socket::tls) instead.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.outbox().tls()
    }

    /// Returns the data that the [authorization](crate::Server::authorize) of the request attached to the connection,
    /// such as the user; `None` if no data of this type was attached.
    ///
    /// Without an authorization there is no data: with [`serve_stream`](crate::serve_stream),
    /// [`serve_upgraded`](crate::serve_upgraded) and on a client, this returns `None`. Put what you know of the peer
    /// into a field of the connection's [`ConnectionHandler`](crate::ConnectionHandler) there.
    ///
    /// ```no_run
    /// # use prism_driver::{Connection, Handler, Message};
    /// struct User {
    ///     name: String,
    /// }
    ///
    /// struct Chat;
    ///
    /// impl Handler for Chat {
    ///     async fn on_message(&self, connection: &Connection, message: Message<'_>) {
    ///         let user: &User = connection.data().expect("the route's authorization attaches it");
    ///         println!("{}: {message:?}", user.name);
    ///     }
    /// }
    /// ```
    #[doc(alias("extension", "extensions", "state"))]
    #[must_use]
    pub fn data<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.shared().request.data()?.downcast_ref()
    }
}
