//! The codecs of compressed messages, which all connections of a thread share.

use std::cell::Cell;

use prism_core::deflate::{Codecs, SharedCodecs};

use crate::runtime::turn::work;

thread_local! {
    static CODECS: Cell<Codecs> = const { Cell::new(Codecs::new()) };
}

/// Access to the codecs of this thread.
pub(crate) const OF_THREAD: SharedCodecs = |use_codecs| with(|codecs| use_codecs(codecs));

/// Calls `work` with the codecs of this thread, and returns its result. What is compressed counts as work of the turn.
///
/// Meanwhile, the thread has none: `work` may run application code that sends a message, which then creates codecs of
/// its own. So does a thread that is ending.
pub(crate) fn with<T>(work: impl FnOnce(&mut Codecs) -> T) -> T {
    let mut codecs = CODECS.try_with(Cell::take).unwrap_or_default();
    let result = work(&mut codecs);
    codecs.shrink();
    work::count_compressed(codecs.take_compressed());
    let _ = CODECS.try_with(|kept| kept.set(codecs)); // fails only while the thread ends
    result
}

#[cfg(test)]
mod tests {
    use prism_core::{
        Message, Role,
        deflate::{Compressor, Deflate, DeflateParams},
    };

    use super::{Codecs, with};

    fn compress(codecs: &mut Codecs) {
        let params = DeflateParams { server_no_context_takeover: true, ..DeflateParams::default() };
        let compressor = Compressor::new(Deflate::default().into(), params, Role::Server);
        let text = "x".repeat(1000);
        assert!(compressor.compress_alone(Message::Text(&text), codecs).is_some());
    }

    #[test]
    fn code_that_runs_while_the_codecs_are_used_can_use_codecs() {
        with(|codecs| {
            with(compress);
            compress(codecs);
        });
        with(compress);
    }

    #[test]
    fn codecs_are_kept() {
        with(compress);
        with(|codecs| assert!(!is_new(codecs)));
    }

    fn is_new(codecs: &Codecs) -> bool {
        format!("{codecs:?}") == format!("{:?}", Codecs::new())
    }

    #[test]
    fn a_thread_that_is_ending_can_still_compress() {
        struct Compresses;
        impl Drop for Compresses {
            fn drop(&mut self) {
                with(compress);
            }
        }
        thread_local! {
            static COMPRESSES: Compresses = const { Compresses };
        }
        let thread = std::thread::spawn(|| {
            // Thread-locals are dropped in the reverse order of their first use.
            COMPRESSES.with(|_| ());
            with(compress);
        });
        thread.join().expect("the thread has not panicked");
    }
}
