//! The negotiation of permessage-deflate (RFC 7692 §5, §7.1): a client offers, a server answers.

use alloc::{format, string::String, vec::Vec};
use core::fmt::{self, Write};

use crate::{
    deflate::{Deflate, DeflateParams, WindowBits},
    handshake::{
        error::HandshakeError,
        http::extensions::{Extension, Malformed, ParamValue, extensions},
    },
};

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

impl Deflate {
    /// Returns a server's answer to the offers of a client, which are the values of the request's
    /// `Sec-WebSocket-Extensions` headers: it accepts the first valid one. Returns `None` if there is
    /// none; then the response has no such header, and messages are not compressed.
    ///
    /// [`Offer::accept`](crate::Offer::accept) does this itself. Call it if another library does the
    /// handshake.
    ///
    /// ```
    /// # #[cfg(feature = "deflate")] {
    /// use prism_core::deflate::Deflate;
    ///
    /// let offers = ["x-other, permessage-deflate; client_max_window_bits"].map(str::as_bytes);
    /// let answer = Deflate::default().with_takeover().accept_offer(offers).unwrap();
    /// assert_eq!(
    ///     answer.to_string(), // the value of the response's header
    ///     "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
    /// );
    /// assert_eq!(answer.params().server_max_window_bits.get(), 12);
    /// # }
    /// ```
    #[must_use]
    #[inline(never)] // most handshakes are without compression
    pub fn accept_offer<'a>(
        &self,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<DeflateAnswer> {
        // RFC 7692 §7.1: a server declines an offer with a parameter that is unknown, repeated, or has
        // an invalid value.
        extensions(values)
            .map_while(Result::ok)
            .filter(|extension| extension.name == NAME.as_bytes())
            .find_map(|offer| Params::parse(offer).map(|offer| self.answer(&offer)))
    }

    fn answer(&self, offer: &Params) -> DeflateAnswer {
        let theirs = offer.server_max_window_bits.unwrap_or(WindowBits::MAX);
        let server_max_window_bits = self.server_max_window_bits.min(theirs);
        // §7.1.2.2: without the parameter in the offer, the response "MUST NOT include" it.
        let (limits_client, client_max_window_bits) =
            match (offer.client_max_window_bits, self.client_max_window_bits) {
                (Some(theirs), Some(ours)) => {
                    let bits = ours.min(theirs.unwrap_or(WindowBits::MAX));
                    (theirs.is_some() || bits < WindowBits::MAX, bits)
                }
                _ => (false, WindowBits::MAX),
            };
        // A client that cannot be limited has to do without takeover. Else its messages might refer to
        // more than we want to keep.
        let must_limit = self.client_max_window_bits.is_some_and(|ours| ours < WindowBits::MAX)
            && offer.client_max_window_bits.is_none();
        DeflateAnswer {
            params: DeflateParams {
                server_no_context_takeover: self.server_no_context_takeover
                    || offer.server_no_context_takeover,
                client_no_context_takeover: self.client_no_context_takeover
                    || offer.client_no_context_takeover
                    || must_limit,
                server_max_window_bits,
                client_max_window_bits,
            },
            // §7.1.2.1: a server accepts the parameter "by including" it.
            limits_server: offer.server_max_window_bits.is_some()
                || server_max_window_bits < WindowBits::MAX,
            limits_client,
        }
    }

    /// Returns a client's offers in order of preference (RFC 7692 §5.1), the value of the request's
    /// `Sec-WebSocket-Extensions` header.
    ///
    /// The first offer asks for everything that the client wants. Others ask for less: some without what the
    /// server should do, and some with `client_no_context_takeover`, which a server may want or require.
    /// [`ClientHandshake::start`](crate::ClientHandshake::start) does this itself.
    #[must_use]
    pub fn offer(&self) -> String {
        let mut demands = String::new();
        if self.server_no_context_takeover {
            push(&mut demands, SERVER_NO_CONTEXT_TAKEOVER, None);
        }
        if self.server_max_window_bits < WindowBits::MAX {
            push(&mut demands, SERVER_MAX_WINDOW_BITS, Some(self.server_max_window_bits));
        }
        let mut limit = String::new();
        if let Some(bits) = self.client_max_window_bits {
            push(
                &mut limit,
                CLIENT_MAX_WINDOW_BITS,
                Some(bits).filter(|&bits| bits < WindowBits::MAX),
            );
        }
        let mut no_takeover = String::new();
        push(&mut no_takeover, CLIENT_NO_CONTEXT_TAKEOVER, None);

        let demands: &[&str] = if demands.is_empty() { &[""] } else { &[&demands, ""] };
        // §7.1.1.2: to offer the parameter is to promise it. Some servers demand it only of clients that
        // have offered it, so a client that would rather not promise it offers both.
        let promises: &[&str] =
            if self.client_no_context_takeover { &[&no_takeover] } else { &["", &no_takeover] };
        let mut offers = Vec::new();
        for demands in demands {
            for promise in promises {
                offers.push(format!("{NAME}{demands}{promise}{limit}"));
            }
        }
        offers.join(", ")
    }

    /// Checks a server's answer to the [`offer`](Self::offer), the values of the response's
    /// `Sec-WebSocket-Extensions` headers. Returns what is agreed; `None` if messages are not
    /// compressed.
    ///
    /// [`ClientHandshake::receive`](crate::ClientHandshake::receive) does this itself.
    ///
    /// # Errors
    /// [`HandshakeError::UnexpectedExtension`] if the server names another extension, or several.
    /// [`HandshakeError::InvalidDeflateAnswer`] if the answer is malformed, or has a parameter that is
    /// unknown, repeated or not allowed in an answer, or has an invalid value (RFC 7692 §7.1).
    pub fn check_answer<'a>(
        &self,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<DeflateParams>, HandshakeError> {
        let mut extensions = extensions(values);
        let answer = match (extensions.next(), extensions.next()) {
            (None, _) => return Ok(None),
            (Some(Ok(answer)), None) if answer.name == NAME.as_bytes() => Params::parse(answer),
            (Some(Err(Malformed)), _) | (_, Some(Err(Malformed))) => None,
            _ => return Err(HandshakeError::UnexpectedExtension),
        };
        let answer = answer.ok_or(HandshakeError::InvalidDeflateAnswer)?;
        let client_max_window_bits =
            match (answer.client_max_window_bits, self.client_max_window_bits) {
                // §7.1.2.2: the parameter has a value in a response, and is in a response only if it was in
                // the offer.
                (Some(None), _) | (Some(_), None) => {
                    return Err(HandshakeError::InvalidDeflateAnswer);
                }
                (Some(Some(theirs)), Some(ours)) => theirs.min(ours),
                (None, ours) => ours.unwrap_or(WindowBits::MAX),
            };
        Ok(Some(DeflateParams {
            server_no_context_takeover: answer.server_no_context_takeover,
            // §7.1.1.2: if each of our offers promised it, it holds whatever the answer says. Otherwise the
            // answer decides, because a server that relies on the promise of one offer has to say so.
            client_no_context_takeover: answer.client_no_context_takeover
                || self.client_no_context_takeover,
            server_max_window_bits: answer.server_max_window_bits.unwrap_or(WindowBits::MAX),
            client_max_window_bits,
        }))
    }
}

/// A server's answer to an offer of permessage-deflate. Its [`Display`](fmt::Display) output is the
/// value of the response's `Sec-WebSocket-Extensions` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateAnswer {
    params: DeflateParams,
    limits_server: bool,
    limits_client: bool,
}

impl DeflateAnswer {
    /// Returns what is agreed.
    #[must_use]
    pub const fn params(&self) -> DeflateParams {
        self.params
    }
}

impl fmt::Display for DeflateAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params = &self.params;
        f.write_str(NAME)?;
        if params.server_no_context_takeover {
            write_param(f, SERVER_NO_CONTEXT_TAKEOVER, None)?;
        }
        if params.client_no_context_takeover {
            write_param(f, CLIENT_NO_CONTEXT_TAKEOVER, None)?;
        }
        if self.limits_server {
            write_param(f, SERVER_MAX_WINDOW_BITS, Some(params.server_max_window_bits))?;
        }
        if self.limits_client {
            write_param(f, CLIENT_MAX_WINDOW_BITS, Some(params.client_max_window_bits))?;
        }
        Ok(())
    }
}

/// The parameters of an offer or an answer (RFC 7692 §7.1).
#[derive(Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<WindowBits>,
    /// The inner `None` stands for a parameter without a value, which only an offer may have.
    client_max_window_bits: Option<Option<WindowBits>>,
}

impl Params {
    /// Returns `None` if a parameter is unknown or repeated, or has an invalid value.
    fn parse(extension: Extension<'_>) -> Option<Self> {
        let mut params = Self::default();
        for param in extension.params() {
            let name = core::str::from_utf8(param.name).ok()?;
            let is_new = match (name, param.value) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) => {
                    !core::mem::replace(&mut params.server_no_context_takeover, true)
                }
                (CLIENT_NO_CONTEXT_TAKEOVER, None) => {
                    !core::mem::replace(&mut params.client_no_context_takeover, true)
                }
                (SERVER_MAX_WINDOW_BITS, Some(value)) => {
                    params.server_max_window_bits.replace(window_bits(value)?).is_none()
                }
                (CLIENT_MAX_WINDOW_BITS, value) => {
                    let bits = match value {
                        Some(value) => Some(window_bits(value)?),
                        None => None,
                    };
                    params.client_max_window_bits.replace(bits).is_none()
                }
                _ => return None,
            };
            if !is_new {
                return None;
            }
        }
        Some(params)
    }
}

/// §7.1.2: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
fn window_bits(value: ParamValue<'_>) -> Option<WindowBits> {
    let mut digits = value.bytes();
    match (digits.next()?, digits.next(), digits.next()) {
        (digit @ (b'8' | b'9'), None, _) => WindowBits::new(digit - b'0'),
        (b'1', Some(digit @ b'0'..=b'5'), None) => WindowBits::new(10 + digit - b'0'),
        _ => None,
    }
}

fn push(params: &mut String, name: &str, bits: Option<WindowBits>) {
    write_param(params, name, bits).expect("a string takes everything");
}

fn write_param(out: &mut impl Write, name: &str, bits: Option<WindowBits>) -> fmt::Result {
    match bits {
        None => write!(out, "; {name}"),
        Some(bits) => write!(out, "; {name}={bits}"),
    }
}
