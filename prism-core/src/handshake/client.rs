//! [`ClientHandshake`]: sends a request, reads the response, and returns it as an answer: accepted
//! or refused (RFC 6455 §4.1).

use alloc::{borrow::ToOwned, string::String, sync::Arc};

use bytes::BytesMut;

use crate::{
    buffer::RecvBuffer,
    config::Config,
    deflate::Deflate,
    handshake::{
        accept_key::{AcceptKey, accept_key, key_of},
        client::{
            answer::{Agreed, Answer, Found, agreed_subprotocols},
            refusal::Refusal,
            request::{ClientRequest, offers},
            response::Response,
        },
        error::HandshakeError,
        http::{
            head::HeadReader,
            headers::{Headers, Only},
            status_line::parse_status,
            tokens,
        },
    },
};

pub(crate) mod answer;
pub(crate) mod credentials;
pub(crate) mod refusal;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod tunnel;

/// The client's side of the opening handshake.
///
/// ```
/// use bytes::BytesMut;
/// use prism_core::{Answer, ClientHandshake, ClientRequest, Config, MaskKeys, RecvBuffer};
///
/// let config = Config::default();
/// let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
/// let request = ClientRequest::new("example.org", "/chat")?;
/// let nonce = *b"the sample nonce"; // a real one is random
/// let mut handshake = ClientHandshake::start(&config, &request, nonce, &mut out);
/// // Send what is in `out`, then read:
/// input.extend_from_slice(
///     b"HTTP/1.1 101 Switching Protocols\r\n\
///       Upgrade: websocket\r\n\
///       Connection: Upgrade\r\n\
///       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
/// );
/// match handshake.receive(&mut input)? {
///     Some(Answer::Accepted(accepted)) => {
///         let keys = MaskKeys::new(|bytes| bytes.fill(7)); // random as well
///         let ws = accepted.into_websocket(&config, keys);
///     }
///     Some(Answer::Refused(response)) => println!("refused: {response:?}"),
///     None => {} // read more, and call it again
/// }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientHandshake {
    reader: HeadReader,
    accept_key: AcceptKey,
    subprotocols: String,
    /// If it is offered.
    deflate: Option<Arc<Deflate>>,
    stage: Stage,
}

/// How far the response has been read.
#[derive(Debug)]
enum Stage {
    /// The status of a refusal may have arrived already.
    Head { refused: bool },
    /// The head of a refusal is complete, and stays in the buffer until its body is.
    Body(Refusal),
    /// Every further call returns this error.
    Ended(HandshakeError),
}

impl ClientHandshake {
    /// Starts a handshake: appends the request to `out`. The limits in `config` apply to the head
    /// of the response. Compression is offered if [`Config::deflate`] is set.
    ///
    /// The `nonce` must be new and random for each connection (RFC 6455 §4.1, item 7).
    #[must_use]
    pub fn start(
        config: &Config,
        request: &ClientRequest,
        nonce: [u8; 16],
        out: &mut BytesMut,
    ) -> Self {
        let key = key_of(nonce);
        let deflate = config.deflate.clone();
        request.write(&key, deflate.as_ref().map(|deflate| deflate.offer()).as_deref(), out);
        Self {
            reader: HeadReader::new(config),
            accept_key: accept_key(key),
            subprotocols: request.subprotocols().to_owned(),
            deflate,
            stage: Stage::Head { refused: false },
        }
    }

    /// Reads the response. `None` means that more bytes are needed.
    ///
    /// Interim responses (1xx except 101) are skipped. What follows the head of a 101 stays in
    /// `input`. A refusal is returned with its body, up to 8 KiB of it. Such a body may never end:
    /// once [`is_refused`](Self::is_refused) returns `true`, wait for a second, say, and then call
    /// [`receive_eof`](Self::receive_eof). A refusal whose head is malformed, or exceeds the
    /// limits, is returned with its status alone, without headers and body.
    ///
    /// # Errors
    /// If the status line is malformed, or if the response is not a refusal and its head is
    /// malformed, exceeds the limits, or does not match the request. Each error is returned as soon
    /// as it can be detected. After the answer: [`HandshakeError::Finished`].
    pub fn receive<'b>(
        &mut self,
        input: &'b mut RecvBuffer,
    ) -> Result<Option<Answer<'b>>, HandshakeError> {
        self.read(input, false)
    }

    /// Returns `true` once the status line shows that the server refuses, until the refusal is
    /// returned. Nothing in the rest of the response can change that.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use prism_core::{Answer, ClientHandshake, ClientRequest, Config, RecvBuffer};
    ///
    /// let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
    /// let request = ClientRequest::new("example.org", "/chat")?;
    /// let nonce = *b"the sample nonce";
    /// let mut handshake = ClientHandshake::start(&Config::default(), &request, nonce, &mut out);
    /// input.extend_from_slice(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\n\r\nwho are");
    /// assert!(handshake.receive(&mut input)?.is_none());
    /// assert!(handshake.is_refused());
    /// // A second later:
    /// let Answer::Refused(response) = handshake.receive_eof(&mut input)? else { panic!() };
    /// assert_eq!((response.status(), response.body()), (401, &b"who are"[..]));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self.stage, Stage::Head { refused: true } | Stage::Body(_))
    }

    /// Tells the handshake that nothing more will be read, because the transport has reached its
    /// end or has failed, or because the caller has waited long enough. Returns a refusal with as
    /// much of its body as has arrived, or without headers if its head is incomplete.
    ///
    /// # Errors
    /// [`HandshakeError::UnexpectedEof`] if neither a whole 101 nor the status of a refusal has
    /// arrived, and the errors of [`receive`](Self::receive).
    pub fn receive_eof<'b>(
        &mut self,
        input: &'b mut RecvBuffer,
    ) -> Result<Answer<'b>, HandshakeError> {
        match self.read(input, true)? {
            Some(answer) => Ok(answer),
            None => {
                self.stage = Stage::Ended(HandshakeError::UnexpectedEof);
                Err(HandshakeError::UnexpectedEof)
            }
        }
    }

    fn read<'b>(
        &mut self,
        input: &'b mut RecvBuffer,
        eof: bool,
    ) -> Result<Option<Answer<'b>>, HandshakeError> {
        let found = self.find(input, eof);
        self.stage = match found {
            Ok(None) => return Ok(None),
            Ok(Some(_)) => Stage::Ended(HandshakeError::Finished),
            Err(error) => Stage::Ended(error),
        };
        Ok(found?.map(|found| found.lend(input)))
    }

    fn find(&mut self, input: &mut RecvBuffer, eof: bool) -> Result<Option<Found>, HandshakeError> {
        loop {
            match &mut self.stage {
                Stage::Ended(error) => return Err(*error),
                Stage::Body(refusal) => return Ok(refusal.find_end(input.unparsed(), eof)),
                Stage::Head { .. } => {}
            }
            // The status is checked before the rest of the head has arrived, so that a bad one is
            // refused at once.
            let status = parse_status(self.reader.within_limit(input.unparsed()))?;
            let bare_refusal = status.filter(|status| *status >= 200).map(Found::bare_refusal);
            let (length, response) = match self.find_head(input.unparsed()) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.stage = Stage::Head { refused: bare_refusal.is_some() };
                    return Ok(bare_refusal.filter(|_| eof));
                }
                // The status says that the server has refused, whatever is wrong with the rest.
                Err(error) => return bare_refusal.map(Some).ok_or(error),
            };
            match response.status() {
                101 => {
                    let agreed = self.check(&response)?;
                    return Ok(Some(Found::Accepted { head: length, agreed }));
                }
                // RFC 9110 §15.2: "A client MUST be able to parse one or more 1xx responses
                // received prior to a final response". The limit holds for all heads together.
                100..200 => {
                    input.skip(length);
                    self.reader.next_head(length);
                }
                _ => self.stage = Stage::Body(Refusal::new(&response, length)),
            }
        }
    }

    /// Returns the length of the head, and its contents; `None` if its end has not arrived.
    fn find_head<'b>(
        &mut self,
        unparsed: &'b [u8],
    ) -> Result<Option<(usize, Response<'b>)>, HandshakeError> {
        let Some(length) = self.reader.find_end(unparsed)? else { return Ok(None) };
        Ok(Some((length, Response::parse(&unparsed[..length])?)))
    }

    /// Checks a 101: RFC 6455 §4.1, after "Once the client's opening handshake has been sent", 2 to
    /// 6. Returns the agreement on compression, if there is one.
    fn check(&self, response: &Response<'_>) -> Result<Option<Agreed>, HandshakeError> {
        let headers = response.headers();
        let mut upgrades = tokens::elements(headers.all("Upgrade")).peekable();
        let is_websocket = |token: &[u8]| token.eq_ignore_ascii_case(b"websocket");
        if upgrades.peek().is_none() || !upgrades.all(is_websocket) {
            return Err(HandshakeError::MissingUpgrade);
        }
        if !tokens::has_token(headers.all("Connection"), "upgrade") {
            return Err(HandshakeError::MissingConnection);
        }
        match headers.only("Sec-WebSocket-Accept") {
            Only::One(value) if value == self.accept_key.as_bytes() => {}
            _ => return Err(HandshakeError::InvalidAccept),
        }
        let agreed = self.check_extensions(headers)?;
        let mut subprotocols = agreed_subprotocols(response);
        match (subprotocols.next(), subprotocols.next()) {
            (None, _) => Ok(agreed),
            (Some(name), None) if self.offered(name) => Ok(agreed),
            _ => Err(HandshakeError::UnexpectedSubprotocol),
        }
    }

    fn check_extensions(&self, headers: Headers<'_>) -> Result<Option<Agreed>, HandshakeError> {
        let values = headers.all("Sec-WebSocket-Extensions");
        let Some(deflate) = &self.deflate else {
            return match tokens::elements(values).next() {
                None => Ok(None),
                Some(_) => Err(HandshakeError::UnexpectedExtension),
            };
        };
        let params = deflate.check_answer(values)?;
        Ok(params.map(|params| Agreed { deflate: deflate.clone(), params }))
    }

    fn offered(&self, name: &[u8]) -> bool {
        core::str::from_utf8(name).is_ok_and(|name| offers(&self.subprotocols, name))
    }
}
