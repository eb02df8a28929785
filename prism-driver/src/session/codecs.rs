//! [`OF_THREAD`]: the codecs for compressed messages, which the connections of a thread share.

use std::cell::RefCell;

use prism_core::deflate::{Codecs, SharedCodecs};

thread_local! {
    static CODECS: RefCell<Codecs> = const { RefCell::new(Codecs::new()) };
}

/// Access to the codecs of this thread.
pub(crate) const OF_THREAD: SharedCodecs = |use_codecs| CODECS.with_borrow_mut(use_codecs);
