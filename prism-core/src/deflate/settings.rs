//! [`Deflate`]: how one side wants to compress.

use crate::deflate::{
    engine::{Engine, Settings},
    params::WindowBits,
};

/// Settings for permessage-deflate, of a server or of a client:
/// [`Config::deflate`](crate::Config::deflate).
///
/// Each field has a setter of the same name. The defaults take little memory: no connection keeps
/// anything between messages.
///
/// ```
/// # #[cfg(feature = "deflate")] {
/// use prism_core::deflate::Deflate;
///
/// let fast = Deflate::default().level(1);
/// let small = Deflate::default().with_takeover(); // for many short, similar messages
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deflate {
    /// The compression level, from 1 (fast) to 9 (small). Values outside this range are clamped.
    /// Default: 2, the cheapest level with which JSON of 1 KiB shrinks nearly as much as with level 9.
    /// Level 1 takes less than half of the time to compress, and sends a third more. Higher levels
    /// help only with long messages: JSON of 64 KiB shrinks to 22 % of its size at level 2, and to 18 %
    /// at level 6, which takes more than twice as long.
    pub level: u8,
    /// How much memory a deflater takes for its symbols, from 1 (little) to 9. Values outside this
    /// range are clamped. Default: 5, with which a deflater takes 280 KB. More gains at most 1 %.
    pub memory_level: u8,
    /// The shortest message that is compressed, in bytes. Default: 512. A shorter one fits into one
    /// packet anyway. A message that would not get shorter is sent as it is. To test peers, set
    /// this to 0: then every message is compressed unless it is empty.
    pub threshold: usize,
    /// Whether the server's messages never refer to earlier ones (RFC 7692 §7.1.1.1). If `false`,
    /// they may, which makes similar messages much smaller. References take a window of memory at both
    /// ends of each connection, and time for each message: 3 µs with a window of 4 KiB, and 30 µs with
    /// one of 32 KiB. Default: `true`. A client asks its server for this in the first of two offers, but
    /// accepts a server that refers to earlier messages. (A server that understands only a single
    /// offer declines both; there, set `false`.) A server complies with a client that asks for this,
    /// whatever is set here.
    pub server_no_context_takeover: bool,
    /// The same for the client's messages (RFC 7692 §7.1.1.2). Default: `true`, which a server demands
    /// of its clients, so that it needs no window for what it receives.
    pub client_no_context_takeover: bool,
    /// The largest window for the server's messages (RFC 7692 §7.1.2.1). Default: 15, which is
    /// 32 KiB: without takeover, a large window takes no memory. A client asks its server for this
    /// window, but accepts one that is larger.
    pub server_max_window_bits: WindowBits,
    /// The largest window for the client's messages (RFC 7692 §7.1.2.2). Default: 15. With `None`,
    /// a client does not mention the parameter, which some servers and proxies do not understand. A
    /// server with `None` ignores the parameter, so clients use 32 KiB.
    pub client_max_window_bits: Option<WindowBits>,
    /// The implementation of DEFLATE. Default: the crate `zlib-rs`, with the feature
    /// `deflate`. Without that feature there is no default.
    pub engine: &'static dyn Engine,
}

impl Deflate {
    /// Creates the default settings with another implementation of DEFLATE.
    #[must_use]
    pub const fn new(engine: &'static dyn Engine) -> Self {
        Self {
            level: 2,
            memory_level: 5,
            threshold: 512,
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: Some(WindowBits::MAX),
            engine,
        }
    }

    /// Allows messages to refer to earlier ones, in both directions, with windows of 4 KiB: larger
    /// ones shrink JSON by little more, and take much more memory and time. Also sets the
    /// [threshold](Self::threshold) to 64, because short messages then shrink too. So call it before
    /// the setters.
    #[must_use]
    pub const fn with_takeover(mut self) -> Self {
        const BITS: WindowBits = WindowBits::new(12).expect("12 is from 8 to 15");
        self.server_no_context_takeover = false;
        self.client_no_context_takeover = false;
        self.server_max_window_bits = BITS;
        self.client_max_window_bits = Some(BITS);
        self.threshold = 64;
        self
    }

    /// Sets [`level`](field@Self::level).
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// Sets [`memory_level`](field@Self::memory_level).
    #[must_use]
    pub const fn memory_level(mut self, level: u8) -> Self {
        self.memory_level = level;
        self
    }

    /// Sets [`threshold`](field@Self::threshold).
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Sets [`server_no_context_takeover`](field@Self::server_no_context_takeover).
    #[must_use]
    pub const fn server_no_context_takeover(mut self, is_set: bool) -> Self {
        self.server_no_context_takeover = is_set;
        self
    }

    /// Sets [`client_no_context_takeover`](field@Self::client_no_context_takeover).
    #[must_use]
    pub const fn client_no_context_takeover(mut self, is_set: bool) -> Self {
        self.client_no_context_takeover = is_set;
        self
    }

    /// Sets [`server_max_window_bits`](field@Self::server_max_window_bits).
    #[must_use]
    pub const fn server_max_window_bits(mut self, bits: WindowBits) -> Self {
        self.server_max_window_bits = bits;
        self
    }

    /// Sets [`client_max_window_bits`](field@Self::client_max_window_bits).
    #[must_use]
    pub const fn client_max_window_bits(mut self, bits: Option<WindowBits>) -> Self {
        self.client_max_window_bits = bits;
        self
    }

    /// Sets [`engine`](field@Self::engine).
    #[must_use]
    pub const fn engine(mut self, engine: &'static dyn Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Returns the settings of a compressor with this window.
    pub(crate) fn settings(&self, window_bits: WindowBits) -> Settings {
        Settings {
            level: self.level.clamp(1, 9),
            memory_level: self.memory_level.clamp(1, 9),
            window_bits,
        }
    }
}

#[cfg(feature = "deflate")]
impl Default for Deflate {
    fn default() -> Self {
        Self::new(&crate::deflate::zlib::ZlibRs)
    }
}
