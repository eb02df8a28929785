//! [`Authorized`]: what the authorization of a request grants.

use std::{any::Any, fmt};

use prism_core::InvalidHeader;

use crate::{connection::request_info::Data, server::response_headers::ResponseHeaders};

/// The result of authorizing a request that may become a connection; see
/// [`Server::authorize`](crate::Server::authorize).
///
/// A function that only checks the request returns `Ok(())` instead. To select a subprotocol or to add a header without
/// data for the connection, begin with `Authorized::default()`.
///
/// ```
/// # use prism_driver::Authorized;
/// struct User {
///     name: String,
/// }
///
/// let user = User { name: "ada".into() };
/// let authorized = Authorized::new(user).subprotocol("chat.v2").header("Set-Cookie", "seen=1")?;
/// let without_data = Authorized::default().subprotocol("chat.v2");
/// # Ok::<(), prism_driver::InvalidHeader>(())
/// ```
#[derive(Default)]
pub struct Authorized {
    pub(crate) data: Option<Data>,
    pub(crate) subprotocol: Option<Box<str>>,
    pub(crate) headers: ResponseHeaders,
}

impl Authorized {
    /// Creates a result that accepts the request, with data for the connection, such as its user.
    /// [`Connection::data`](crate::Connection::data) returns that data.
    #[must_use]
    pub fn new<T: Any + Send + Sync>(data: T) -> Self {
        Self { data: Some(Box::new(data)), ..Self::default() }
    }

    /// Selects a subprotocol in place of the one that the server or the route would select. Has no effect if the client
    /// does not [offer](crate::Request::subprotocols) it.
    #[must_use]
    pub fn subprotocol(mut self, name: &str) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// Adds a header to the response that opens the connection (101), such as `Set-Cookie`.
    ///
    /// # Errors
    /// [`InvalidHeader`] if the header is malformed, or is one that Prism sets itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.headers.push(name, value)?;
        Ok(self)
    }
}

/// What an authorization may grant: an [`Authorized`], or `()` for one without data, subprotocol and headers. The trait
/// is sealed: only Prism implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the result of an authorization",
    label = "expected an `Authorized` or `()` in the `Ok`",
    note = "to attach the value to the connection, wrap it: `Ok(Authorized::new(user))`",
    note = "to attach nothing, return `Ok(())`"
)]
#[expect(private_bounds, reason = "what an authorization grants is Prism's")]
pub trait IntoAuthorized: Grant {}

/// Converts into an [`Authorized`].
pub(crate) trait Grant {
    fn grant(self) -> Authorized;
}

impl IntoAuthorized for Authorized {}

impl Grant for Authorized {
    fn grant(self) -> Authorized {
        self
    }
}

impl IntoAuthorized for () {}

impl Grant for () {
    fn grant(self) -> Authorized {
        Authorized::default()
    }
}

impl fmt::Debug for Authorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized")
            .field("subprotocol", &self.subprotocol)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}
