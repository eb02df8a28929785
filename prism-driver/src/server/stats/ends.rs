//! [`Ends`]: how connections have ended.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prism_core::{CloseCode, ProtocolError};

use crate::error::{Disconnect, Failure};

/// The numbers of connections that have ended so far, by the way in which they ended: a variant of
/// [`Disconnect`](crate::Disconnect) each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ends {
    /// Connections that the peer closed, by its close code.
    pub by_peer: CloseCounts,
    /// Connections that this side closed first, by the code that it sent.
    pub by_us: CloseCounts,
    /// Connections that failed, by the failure.
    pub failed: FailureCounts,
}

/// Numbers of connections, by the class of the code in a close frame (RFC 6455 §7.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseCounts {
    /// 1000: the purpose of the connection is fulfilled.
    pub normal: u64,
    /// 1001: a page was left, or a server shut down.
    pub going_away: u64,
    /// 1005: a close frame without a code.
    pub no_status: u64,
    /// Every other code below 3000: an error that RFC 6455 or a later standard defines.
    pub error: u64,
    /// 3000 to 3999: codes of libraries and frameworks, registered with IANA.
    pub registered: u64,
    /// 4000 and above: codes of the application.
    pub private: u64,
}

/// Numbers of connections that failed, by the [`Failure`](crate::Failure).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureCounts {
    /// The application [aborted](crate::Connection::abort) the connection.
    pub aborted: u64,
    /// The peer did not answer the close frame, or did not end the transport, within the [close
    /// timeout](prism_core::Config::close_timeout).
    pub close_timeout: u64,
    /// The server held [too much](crate::ServerOptions::max_buffered) for peers that do not read.
    pub evicted: u64,
    /// The peer left without a close frame.
    pub gone: u64,
    /// The handler panicked.
    pub handler_panicked: u64,
    /// The peer was silent for longer than the [keepalive](prism_core::Config::pong_timeout) allows.
    pub keepalive_timeout: u64,
    /// The peer broke the protocol.
    pub protocol: u64,
    /// The server's [grace period](crate::ServerOptions::shutdown_grace) was over.
    pub server_shutdown: u64,
    /// The connection's task was dropped with its runtime.
    pub task_dropped: u64,
    /// The transport failed.
    pub transport: u64,
    /// The peer read nothing for the [write timeout](crate::Options::write_timeout), or too slowly.
    pub write_stalled: u64,
}

/// The way in which a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndKind {
    Peer(CloseClass),
    Local(CloseClass),
    Failed(FailureKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseClass {
    Normal,
    GoingAway,
    NoStatus,
    Error,
    Registered,
    Private,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    Aborted,
    CloseTimeout,
    Evicted,
    Gone,
    HandlerPanicked,
    KeepaliveTimeout,
    Protocol,
    ServerShutdown,
    TaskDropped,
    Transport,
    WriteStalled,
}

const CLOSE_CLASSES: usize = CloseClass::Private as usize + 1;
const FAILURE_KINDS: usize = FailureKind::WriteStalled as usize + 1;

#[derive(Debug, Default)]
pub(super) struct EndCounters {
    by_peer: [AtomicU64; CLOSE_CLASSES],
    by_us: [AtomicU64; CLOSE_CLASSES],
    failed: [AtomicU64; FAILURE_KINDS],
}

impl Ends {
    /// Returns the number of connections that have ended.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { by_peer, by_us, failed } = self;
        let closed = [by_peer, by_us].into_iter().flat_map(|counts| counts.by_class());
        closed.chain(failed.by_kind()).map(|(_, count)| count).sum()
    }
}

impl CloseCounts {
    /// Returns the number of each class, with its name.
    pub(super) const fn by_class(&self) -> [(&'static str, u64); CLOSE_CLASSES] {
        [
            ("normal", self.normal),
            ("going_away", self.going_away),
            ("no_status", self.no_status),
            ("error", self.error),
            ("registered", self.registered),
            ("private", self.private),
        ]
    }

    fn load(counters: &[AtomicU64; CLOSE_CLASSES]) -> Self {
        let count = |class: CloseClass| counters[class as usize].load(Relaxed);
        Self {
            normal: count(CloseClass::Normal),
            going_away: count(CloseClass::GoingAway),
            no_status: count(CloseClass::NoStatus),
            error: count(CloseClass::Error),
            registered: count(CloseClass::Registered),
            private: count(CloseClass::Private),
        }
    }
}

impl FailureCounts {
    /// Returns the number of each kind, with its name.
    pub(super) const fn by_kind(&self) -> [(&'static str, u64); FAILURE_KINDS] {
        use FailureKind as Kind;
        [
            (Kind::Aborted.name(), self.aborted),
            (Kind::CloseTimeout.name(), self.close_timeout),
            (Kind::Evicted.name(), self.evicted),
            (Kind::Gone.name(), self.gone),
            (Kind::HandlerPanicked.name(), self.handler_panicked),
            (Kind::KeepaliveTimeout.name(), self.keepalive_timeout),
            (Kind::Protocol.name(), self.protocol),
            (Kind::ServerShutdown.name(), self.server_shutdown),
            (Kind::TaskDropped.name(), self.task_dropped),
            (Kind::Transport.name(), self.transport),
            (Kind::WriteStalled.name(), self.write_stalled),
        ]
    }

    fn load(counters: &[AtomicU64; FAILURE_KINDS]) -> Self {
        use FailureKind as Kind;
        let count = |kind: Kind| counters[kind as usize].load(Relaxed);
        Self {
            aborted: count(Kind::Aborted),
            close_timeout: count(Kind::CloseTimeout),
            evicted: count(Kind::Evicted),
            gone: count(Kind::Gone),
            handler_panicked: count(Kind::HandlerPanicked),
            keepalive_timeout: count(Kind::KeepaliveTimeout),
            protocol: count(Kind::Protocol),
            server_shutdown: count(Kind::ServerShutdown),
            task_dropped: count(Kind::TaskDropped),
            transport: count(Kind::Transport),
            write_stalled: count(Kind::WriteStalled),
        }
    }
}

impl EndKind {
    pub(crate) const fn is_clean(self) -> bool {
        !matches!(self, Self::Failed(_))
    }

    /// Returns a name for logs: which side closed the connection, or how it failed.
    #[cfg(feature = "tracing")]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Peer(_) => "peer",
            Self::Local(_) => "us",
            Self::Failed(kind) => kind.name(),
        }
    }
}

impl From<&Disconnect> for EndKind {
    fn from(reason: &Disconnect) -> Self {
        match reason {
            Disconnect::Peer { code, .. } => Self::Peer((*code).into()),
            Disconnect::Local { code, .. } => Self::Local((*code).into()),
            Disconnect::Failed(failure) => Self::Failed(failure.into()),
        }
    }
}

impl From<CloseCode> for CloseClass {
    fn from(code: CloseCode) -> Self {
        match u16::from(code) {
            1000 => Self::Normal,
            1001 => Self::GoingAway,
            1005 => Self::NoStatus,
            3000..4000 => Self::Registered,
            4000.. => Self::Private,
            _ => Self::Error,
        }
    }
}

impl FailureKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::CloseTimeout => "close_timeout",
            Self::Evicted => "evicted",
            Self::Gone => "gone",
            Self::HandlerPanicked => "handler_panicked",
            Self::KeepaliveTimeout => "keepalive_timeout",
            Self::Protocol => "protocol",
            Self::ServerShutdown => "server_shutdown",
            Self::TaskDropped => "task_dropped",
            Self::Transport => "transport",
            Self::WriteStalled => "write_stalled",
        }
    }
}

impl From<&Failure> for FailureKind {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Aborted => Self::Aborted,
            Failure::Evicted => Self::Evicted,
            Failure::HandlerPanicked => Self::HandlerPanicked,
            Failure::Io(_) => Self::Transport,
            Failure::Protocol(ProtocolError::CloseTimeout) => Self::CloseTimeout,
            Failure::Protocol(ProtocolError::KeepaliveTimeout) => Self::KeepaliveTimeout,
            Failure::Protocol(ProtocolError::UnexpectedEof) => Self::Gone,
            Failure::Protocol(_) => Self::Protocol,
            Failure::ServerShutdown => Self::ServerShutdown,
            Failure::TaskDropped => Self::TaskDropped,
            Failure::WriteStalled => Self::WriteStalled,
        }
    }
}

impl EndCounters {
    pub(super) fn add(&self, end: EndKind) {
        let counter = match end {
            EndKind::Peer(class) => &self.by_peer[class as usize],
            EndKind::Local(class) => &self.by_us[class as usize],
            EndKind::Failed(kind) => &self.failed[kind as usize],
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn snapshot(&self) -> Ends {
        Ends {
            by_peer: CloseCounts::load(&self.by_peer),
            by_us: CloseCounts::load(&self.by_us),
            failed: FailureCounts::load(&self.failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use prism_core::CloseCode;

    use super::CloseClass;

    #[test]
    fn each_code_has_its_class() {
        let class = |code: u16| CloseClass::from(CloseCode::new(code).expect("a valid code"));
        for (code, expected) in [
            (1000, CloseClass::Normal),
            (1001, CloseClass::GoingAway),
            (1002, CloseClass::Error),
            (1011, CloseClass::Error),
            (3000, CloseClass::Registered),
            (3999, CloseClass::Registered),
            (4000, CloseClass::Private),
            (4999, CloseClass::Private),
        ] {
            assert_eq!(class(code), expected, "{code}");
        }
        assert_eq!(CloseClass::from(CloseCode::NO_STATUS), CloseClass::NoStatus);
    }
}
