//! [`Engine`]: an implementation of DEFLATE (RFC 1951).

use alloc::boxed::Box;
use core::fmt;

use crate::deflate::params::WindowBits;

/// An implementation of DEFLATE (RFC 1951), without headers and checksums.
///
/// With the feature `deflate`, `ZlibRs` is one. Implement this trait to use
/// another, for example without the standard library.
pub trait Engine: fmt::Debug + Send + Sync {
    /// Creates an inflater, with a window of 32 KiB, which decompresses data with any smaller
    /// window as well.
    fn inflater(&self) -> Box<dyn Inflater>;

    /// Creates a deflater; `None` if this implementation cannot limit its window to
    /// [`Settings::window_bits`]. Then messages that exceed the window are sent uncompressed.
    fn deflater(&self, settings: Settings) -> Option<Box<dyn Deflater>>;
}

/// The settings of a [`Deflater`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Settings {
    /// From 1 (fast) to 9 (small).
    pub level: u8,
    /// From 1 (little memory) to 9.
    pub memory_level: u8,
    /// No distance in the output may exceed 2^`window_bits` bytes.
    pub window_bits: WindowBits,
}

/// Decompresses streams of DEFLATE data.
pub trait Inflater: Send {
    /// Starts a new stream. `history` has the bytes before it, to which it may refer: the older ones
    /// in the first slice, the newer ones in the second, up to 32 KiB in all.
    fn begin(&mut self, history: [&[u8]; 2]);

    /// Decompresses until `compressed` has been read, `out` is full, or a block ends before the last
    /// 4 KiB of `compressed`. There is at least one byte of room.
    ///
    /// The caller counts the blocks, because one without content takes time, too: a message with too many of
    /// them is refused. An implementation that reads further makes this limit weaker.
    ///
    /// # Errors
    /// If the data is invalid.
    fn inflate(&mut self, compressed: &[u8], out: &mut [u8]) -> Result<Step, Corrupt>;
}

/// What one call to [`Inflater::inflate`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many bytes it read.
    pub read: usize,
    /// How many bytes it wrote.
    pub written: usize,
    /// Whether a final block has ended (RFC 1951 §3.2.3: `BFINAL`), and with it the stream.
    pub ended: bool,
}

/// The error of data that is not DEFLATE, or refers to bytes before its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid DEFLATE data")
    }
}

impl core::error::Error for Corrupt {}

/// Compresses to streams of DEFLATE data.
pub trait Deflater: Send {
    /// Compresses the whole of `plain` into `out`, as blocks of which none is final. The last is an
    /// empty block without compression, of which the last four bytes, `00 00 ff ff`, are left out
    /// (RFC 7692 §7.2.1). `plain` is not empty. It may refer to `history`, the bytes before it.
    ///
    /// Returns how many bytes it wrote; `None` if they do not fit. What was in `out` is overwritten
    /// in either case, also behind the result.
    fn deflate(&mut self, history: &[u8], plain: &[u8], out: &mut [u8]) -> Option<usize>;
}
