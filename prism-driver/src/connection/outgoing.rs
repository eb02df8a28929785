//! [`Outgoing`]: the types that can be sent as a message.

use std::{borrow::Cow, sync::Arc};

use bytes::{Bytes, BytesMut};
use prism_core::{Message, OwnedMessage, PreparedMessage};

use crate::outbox::source::Source;

/// A type that can be sent as a message: text, bytes, or one of Prism's message types. The trait is sealed: only Prism
/// implements it.
///
/// | form | sent as |
/// |---|---|
/// | `&str`, `String`, `Cow<str>` | text |
/// | `&[u8]`, `Vec<u8>`, `Cow<[u8]>`, `[u8; N]` | binary |
/// | [`Bytes`], [`BytesMut`] | binary |
/// | [`Message`], [`OwnedMessage`] | text or binary, as the message says |
/// | [`PreparedMessage`] | text or binary, as it was prepared |
/// | [`Plain`] of any of these | as the message in it, but never compressed |
/// | `&M`, `Arc<M>` and `Box<M>` of any of these, such as `&String` or `&&str`; also `Arc<str>`, `Box<[u8]>` and the like | as the `M` |
///
/// Pass what you have:
///
/// ```no_run
/// # use prism_driver::{Connection, SendError};
/// async fn report(connection: &Connection, percent: u8, image: Vec<u8>) -> Result<(), SendError> {
///     connection.send("progress").await?;
///     connection.send(format!("{percent} %")).await?;
///     connection.send(image).await
/// }
/// ```
///
/// # What is copied
///
/// On a server, a message of 16 KiB or more is written straight from your memory if nothing waits ahead of it (except
/// with [`DropOldest`](crate::WhenSlow::DropOldest)). What the transport does not take at once has to wait. If that is
/// still 16 KiB or more, and you passed the message by value or as `&Bytes`, the outbox keeps the message instead of a
/// copy. (What an `Arc` or a `Box` holds counts as passed by reference.) A `Bytes` or `BytesMut` then keeps alive the
/// whole allocation that it is part of, but only its own length counts, as [buffered](crate::Connection::buffered) and
/// towards [`max_buffered`](crate::ServerOptions::max_buffered).
///
/// The owner of a [`Bytes::from_owner`] may be dropped by any thread that sends to the connection, writes for it or
/// ends it. No lock of Prism is held then, and [`hold_wakeups`](crate::hold_wakeups) delays the drop.
///
/// Other messages are copied once. Connections that are sent the same long message in a row
/// [share](crate::Connection::try_send) a copy. A client masks its messages, so it copies all of them, and you lose
/// nothing by passing references. The same is true of messages that are [compressed](crate::Options::compression).
#[doc(alias("IntoMessage", "TextMessage", "send_text", "send_binary"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "cannot be sent",
    note = "send text (`&str`, `String`), bytes (`&[u8]`, `Vec<u8>`, `Bytes`), a `Message`, an `OwnedMessage` or a \
            `PreparedMessage`; serialize other types first, for example with `serde_json::to_string`"
)]
#[expect(private_bounds, reason = "the forms are Prism's: an outbox has to know them")]
pub trait Outgoing: Lend + Send + Sync + Unpin + Sized {
    /// Encodes the message once, for any number of connections. Returns a [`PreparedMessage`] as it is.
    ///
    /// ```no_run
    /// # use prism_driver::{Connection, Outgoing};
    /// fn publish(connections: &[Connection], message: impl Outgoing) {
    ///     let message = message.prepare();
    ///     for connection in connections {
    ///         let _ = connection.try_send(&message); // a full or closed connection misses it
    ///     }
    /// }
    /// ```
    #[must_use]
    fn prepare(mut self) -> PreparedMessage {
        match self.lend() {
            Source::Payload(payload) => {
                let prepared = PreparedMessage::new(payload.as_message());
                if payload.is_plain() { prepared.plain() } else { prepared }
            }
            Source::Prepared(message) => message.clone(),
            Source::PlainPrepared(message) => message.clone().plain(),
        }
    }
}

/// A message that is not compressed, even if its connection has [compression](crate::Options::compression). It can be
/// sent wherever a message can.
///
/// Use this for secrets, because the length of a compressed message tells something about its content (see [the guide
/// to compression](crate::docs::compression)). And use it for what is compressed already, such as an image: Prism would
/// notice that compression gains nothing, but only after trying.
///
/// ```no_run
/// # use prism_driver::{Connection, Plain, SendError};
/// async fn log_in(connection: &Connection, token: &str) -> Result<(), SendError> {
///     connection.send(Plain(token)).await
/// }
/// ```
///
/// A message in it counts as passed by reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plain<M>(pub M);

impl<M: Outgoing> Outgoing for Plain<M> {}

impl<M: Lend> Lend for Plain<M> {
    fn lend(&mut self) -> Source<'_> {
        self.0.lend().plain()
    }
}

impl<M: LendShared> LendShared for Plain<M> {
    fn lend_shared(&self) -> Source<'_> {
        self.0.lend_shared().plain()
    }
}

/// A message that can be lent to an outbox.
pub(crate) trait Lend {
    /// Lends the message. An outbox that accepts the message may take it, and leave an empty one in its place.
    fn lend(&mut self) -> Source<'_>;
}

/// A message that can be lent from behind a reference. It stays with its owner, so an outbox cannot take it.
pub(crate) trait LendShared: Send + Sync {
    /// Lends the message.
    fn lend_shared(&self) -> Source<'_>;
}

macro_rules! by_value {
    ($($form:ty: |$message:ident| $source:expr;)*) => {$(
        impl Outgoing for $form {}

        impl Lend for $form {
            #[inline]
            fn lend(&mut self) -> Source<'_> {
                let $message = self;
                $source
            }
        }
    )*};
}

by_value! {
    String: |text| text.into();
    Vec<u8>: |bytes| bytes.into();
    Bytes: |bytes| Source::from(&*bytes);
    BytesMut: |bytes| bytes.into();
    Message<'_>: |message| message.lend_shared();
    OwnedMessage: |message| match message {
        Self::Text(text) => text.lend(),
        Self::Binary(bytes) => bytes.lend(),
    };
    Cow<'_, str>: |text| match text {
        Cow::Borrowed(text) => text.lend_shared(),
        Cow::Owned(text) => text.lend(),
    };
    Cow<'_, [u8]>: |bytes| match bytes {
        Cow::Borrowed(bytes) => bytes.lend_shared(),
        Cow::Owned(bytes) => bytes.lend(),
    };
    PreparedMessage: |message| message.lend_shared();
}

macro_rules! by_reference {
    ($($form:ty: |$message:ident| $source:expr;)*) => {$(
        impl LendShared for $form {
            #[inline]
            fn lend_shared(&self) -> Source<'_> {
                let $message = self;
                $source
            }
        }
    )*};
}

by_reference! {
    str: |text| Source::borrowed(text);
    String: |text| Source::borrowed(text);
    Cow<'_, str>: |text| Source::borrowed(&**text);
    [u8]: |bytes| Source::borrowed(bytes);
    Vec<u8>: |bytes| Source::borrowed(bytes);
    Cow<'_, [u8]>: |bytes| Source::borrowed(&**bytes);
    Bytes: |bytes| Source::from(bytes);
    BytesMut: |bytes| Source::borrowed(bytes);
    Message<'_>: |message| Source::borrowed(*message);
    OwnedMessage: |message| Source::borrowed(message);
    PreparedMessage: |message| Source::Prepared(message);
}

impl<const N: usize> LendShared for [u8; N] {
    #[inline]
    fn lend_shared(&self) -> Source<'_> {
        Source::borrowed(self)
    }
}

impl<const N: usize> Outgoing for [u8; N] {}

impl<const N: usize> Lend for [u8; N] {
    #[inline]
    fn lend(&mut self) -> Source<'_> {
        self.lend_shared()
    }
}

/// A pointer to a message is sent as that message.
macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl<M: LendShared + ?Sized> Outgoing for $pointer {}

        impl<M: LendShared + ?Sized> Lend for $pointer {
            #[inline]
            fn lend(&mut self) -> Source<'_> {
                (**self).lend_shared()
            }
        }

        impl<M: LendShared + ?Sized> LendShared for $pointer {
            #[inline]
            fn lend_shared(&self) -> Source<'_> {
                (**self).lend_shared()
            }
        }
    )*};
}

pointers!(&M, Arc<M>, Box<M>);
