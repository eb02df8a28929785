//! [`Codecs`]: the deflaters and inflaters of a thread.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use crate::deflate::{
    engine::{Deflater, Engine, Inflater, Settings},
    params::WindowBits,
    settings::Deflate,
};

/// The codecs that compress and decompress messages, for any number of connections, one message at a
/// time. One per thread is enough.
///
/// They have no memory of earlier messages; that is in the connections. Codecs are created when they
/// are first needed, and reused. Nothing is allocated for a message once they are warm. There is one
/// inflater, and one deflater for each of the last four settings.
#[derive(Default)]
pub struct Codecs {
    inflater: Option<(&'static dyn Engine, Box<dyn Inflater>)>,
    /// The last one that was used comes first.
    deflaters: Vec<CachedDeflater>,
    /// Compressed messages. Initialized all through.
    output: Vec<u8>,
    /// How many bytes have been compressed since this was last asked for.
    compressed: usize,
}

struct CachedDeflater {
    engine: &'static dyn Engine,
    settings: Settings,
    deflater: Box<dyn Deflater>,
}

/// How many deflaters are kept.
const MAX_DEFLATERS: usize = 4;

/// How much memory for output is kept after a long message, in bytes.
const KEPT_OUTPUT: usize = 1 << 20;

impl Codecs {
    /// Creates an empty set of codecs, without allocating.
    #[must_use]
    pub const fn new() -> Self {
        Self { inflater: None, deflaters: Vec::new(), output: Vec::new(), compressed: 0 }
    }

    /// Returns the inflater.
    pub(crate) fn inflater(&mut self, engine: &'static dyn Engine) -> &mut dyn Inflater {
        if self.inflater.as_ref().is_some_and(|(other, _)| !is_same(*other, engine)) {
            self.inflater = None;
        }
        &mut *self.inflater.get_or_insert_with(|| (engine, engine.inflater())).1
    }

    /// Compresses a message whose receiver has this window, with `history` in it. Returns `None` if
    /// it should be sent as it is, usually because it does not get shorter.
    pub(crate) fn compress(
        &mut self,
        deflate: &Deflate,
        bits: WindowBits,
        history: &[u8],
        plain: &[u8],
    ) -> Option<&[u8]> {
        if plain.is_empty() {
            return None;
        }
        // No distance can exceed all bytes there are. So, for what fits into the window, one
        // deflater does for windows of any size.
        let fits = history.len() + plain.len() <= bits.size();
        let settings = deflate.settings(if fits { WindowBits::MAX } else { bits });
        // Fixed codes take up to nine bits for a byte. A deflater that could stop early would save
        // little, because data that cannot be compressed is what it is fastest with.
        let room = plain.len().saturating_add(plain.len() / 8).saturating_add(64);
        self.make_room(room);
        let Self { deflaters, output, compressed, .. } = self;
        *compressed = compressed.saturating_add(plain.len());
        let deflater = cached(deflaters, deflate.engine, settings)?;
        let len = deflater.deflate(history, plain, &mut output[..room])?;
        let is_wanted = len < plain.len() || deflate.threshold == 0;
        is_wanted.then(|| &output[..len])
    }

    /// Returns how many bytes of messages have been compressed since the last call, whether they got
    /// shorter or not. With this, a thread can limit its work for one connection before it turns to the next.
    pub const fn take_compressed(&mut self) -> usize {
        core::mem::replace(&mut self.compressed, 0)
    }

    /// Gives back the memory of a long message. To be called when the compressed message has been sent, by a thread
    /// that may not compress another one soon.
    pub fn shrink(&mut self) {
        if self.output.len() > KEPT_OUTPUT {
            self.output = Vec::new();
        }
    }

    fn make_room(&mut self, needed: usize) {
        if needed <= KEPT_OUTPUT {
            self.shrink();
        }
        if self.output.len() < needed {
            self.output.resize(needed, 0);
        }
    }
}

/// Returns the deflater with these settings, creating it if necessary.
fn cached<'c>(
    deflaters: &'c mut Vec<CachedDeflater>,
    engine: &'static dyn Engine,
    settings: Settings,
) -> Option<&'c mut (dyn Deflater + 'static)> {
    let is_it =
        |cached: &CachedDeflater| cached.settings == settings && is_same(cached.engine, engine);
    match deflaters.iter().position(is_it) {
        Some(at) => deflaters[..=at].rotate_right(1),
        None => {
            let deflater = engine.deflater(settings)?;
            deflaters.truncate(MAX_DEFLATERS - 1);
            deflaters.insert(0, CachedDeflater { engine, settings, deflater });
        }
    }
    deflaters.first_mut().map(|cached| &mut *cached.deflater)
}

/// Returns whether two references are to the same engine. Engines without fields may share an address.
/// Then one does the work of the other, with an equally valid result.
fn is_same(one: &'static dyn Engine, other: &'static dyn Engine) -> bool {
    core::ptr::addr_eq(one, other)
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deflaters: Vec<_> = self.deflaters.iter().map(|cached| cached.settings).collect();
        f.debug_struct("Codecs")
            .field("has_inflater", &self.inflater.is_some())
            .field("deflaters", &deflaters)
            .finish_non_exhaustive()
    }
}

/// A function that calls its argument with [`Codecs`] that many connections share, those of the thread.
/// See [`Inbound::share_codecs`](crate::Inbound::share_codecs).
///
/// ```
/// use std::cell::RefCell;
///
/// use prism_core::deflate::{Codecs, SharedCodecs};
///
/// thread_local! {
///     static CODECS: RefCell<Codecs> = const { RefCell::new(Codecs::new()) };
/// }
///
/// const OF_THREAD: SharedCodecs = |use_codecs| CODECS.with_borrow_mut(use_codecs);
/// ```
pub type SharedCodecs = fn(use_codecs: &mut dyn FnMut(&mut Codecs));
