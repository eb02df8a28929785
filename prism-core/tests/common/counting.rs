//! [`Counting`]: DEFLATE that counts its work.

use std::cell::Cell;

use prism_core::deflate::{Corrupt, Deflater, Engine, Inflater, Settings, Step, ZlibRs};

thread_local! {
    static WORK: Cell<usize> = const { Cell::new(0) };
}

/// What a call counts besides its bytes: it may read a block with codes of its own, which takes as long as
/// some hundred bytes of a text.
pub const CALL: usize = 256;

/// [`ZlibRs`], which counts what it does to decompress: the bytes that it reads, writes and copies, and
/// its calls, which end with a block.
#[derive(Debug)]
pub struct Counting;

/// Returns the work of this thread since the last call.
pub fn take_work() -> usize {
    WORK.take()
}

fn count(work: usize) {
    WORK.set(WORK.get() + work);
}

struct CountingInflater(Box<dyn Inflater>);

impl Engine for Counting {
    fn inflater(&self) -> Box<dyn Inflater> {
        Box::new(CountingInflater(ZlibRs.inflater()))
    }

    fn deflater(&self, settings: Settings) -> Option<Box<dyn Deflater>> {
        ZlibRs.deflater(settings)
    }
}

impl Inflater for CountingInflater {
    fn begin(&mut self, history: [&[u8]; 2]) {
        let len: usize = history.iter().map(|bytes| bytes.len()).sum();
        assert!(len <= 32 << 10, "{len} bytes of history");
        count(len + CALL);
        self.0.begin(history);
    }

    fn inflate(&mut self, compressed: &[u8], out: &mut [u8]) -> Result<Step, Corrupt> {
        let step = self.0.inflate(compressed, out);
        count(CALL + step.map_or(0, |step| step.read + step.written));
        step
    }
}
