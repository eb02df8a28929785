//! [`CodecsOfThread`]: the codecs for compressed messages, shared by the connections of a thread.

use std::cell::RefCell;

use prism_core::deflate::{Codecs, WithCodecs};

thread_local! {
    static CODECS: RefCell<Codecs> = const { RefCell::new(Codecs::new()) };
}

/// Access to the codecs of this thread.
pub(crate) struct CodecsOfThread;

impl WithCodecs for CodecsOfThread {
    fn with_codecs<T>(self, use_codecs: impl FnOnce(&mut Codecs) -> T) -> T {
        CODECS.with_borrow_mut(use_codecs)
    }
}
