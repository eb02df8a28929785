//! [`ZlibRs`]: the [`Engine`] that wraps the crate `zlib-rs`.

use alloc::boxed::Box;

use zlib_rs::{
    Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush, Method, Status, Strategy,
};

use crate::deflate::engine::{Corrupt, Deflater, Engine, Inflater, Settings, Step};

/// The crate `zlib-rs`: zlib in Rust.
///
/// A decompressor takes 48 KB of memory, and a compressor 140 to 500 KB; 280 KB by default.
#[derive(Clone, Copy, Debug)]
pub struct ZlibRs;

/// How the blocks of a message end (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// How many bytes are decompressed without a stop after each block. Not many blocks fit into them, and
/// most messages are shorter, so they cost no calls besides the necessary ones.
const UNCOUNTED: usize = 4 << 10;

impl Engine for ZlibRs {
    fn inflater(&self) -> Box<dyn Inflater> {
        Box::new(ZlibInflater(Inflate::new(false, 15)))
    }

    fn deflater(&self, settings: Settings) -> Option<Box<dyn Deflater>> {
        // A window of 256 bytes is not supported. That of 512 bytes does as well, because zlib keeps a
        // lookahead of 262 bytes within the window: no distance exceeds 512 - 262 = 250 bytes.
        let window_bits = settings.window_bits.get().max(9);
        let config = DeflateConfig {
            level: settings.level.into(),
            method: Method::Deflated,
            window_bits: -i32::from(window_bits), // negative: without header and checksum
            mem_level: settings.memory_level.into(),
            strategy: Strategy::Default,
        };
        Some(Box::new(ZlibDeflater { config, deflate: Deflate::new_with_config(config) }))
    }
}

struct ZlibInflater(Inflate);

impl Inflater for ZlibInflater {
    fn begin(&mut self, history: [&[u8]; 2]) {
        self.0.reset(false);
        for bytes in history.into_iter().filter(|bytes| !bytes.is_empty()) {
            // Never fails without a header. If it did, what refers to the history would be corrupt.
            let _ = self.0.set_dictionary(bytes);
        }
    }

    fn inflate(&mut self, compressed: &[u8], out: &mut [u8]) -> Result<Step, Corrupt> {
        let (read, written) = (self.0.total_in(), self.0.total_out());
        let flush = match compressed.len() {
            ..=UNCOUNTED => InflateFlush::NoFlush,
            _ => InflateFlush::Block,
        };
        let status = self.0.decompress(compressed, out, flush).map_err(|_| Corrupt)?;
        Ok(Step {
            read: (self.0.total_in() - read) as usize,
            written: (self.0.total_out() - written) as usize,
            ended: status == Status::StreamEnd,
        })
    }
}

struct ZlibDeflater {
    config: DeflateConfig,
    deflate: Deflate,
}

impl Deflater for ZlibDeflater {
    fn deflate(&mut self, history: &[u8], plain: &[u8], out: &mut [u8]) -> Option<usize> {
        let len = self.compress(history, plain, out);
        if len.is_none() {
            // In version 0.6.8, a reset forgets the output that did not fit, but not where it was. The
            // room for output would shrink each time, until there is a panic.
            self.deflate = Deflate::new_with_config(self.config);
        }
        len
    }
}

impl ZlibDeflater {
    fn compress(&mut self, history: &[u8], plain: &[u8], out: &mut [u8]) -> Option<usize> {
        let deflate = &mut self.deflate;
        deflate.reset();
        if !history.is_empty() {
            deflate.set_dictionary(history).ok()?;
        }
        let (mut read, mut written) = (0, 0);
        // One call takes at most 4 GiB.
        while read < plain.len() {
            deflate.compress(&plain[read..], &mut out[written..], DeflateFlush::SyncFlush).ok()?;
            (read, written) = (deflate.total_in() as usize, deflate.total_out() as usize);
            if written == out.len() {
                return None; // there may be more
            }
        }
        out[..written].strip_suffix(&TAIL).map(<[u8]>::len)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::{Engine, Settings, ZlibRs};
    use crate::deflate::WindowBits;

    #[test]
    fn a_compressor_survives_output_that_does_not_fit() {
        let plain: vec::Vec<_> = (0..20_000_u32).map(|nth| ((nth * nth) >> 7) as u8).collect();
        for level in 1..=9 {
            let settings = Settings { level, memory_level: 1, window_bits: WindowBits::MAX };
            let mut deflater = ZlibRs.deflater(settings).expect("any settings");
            let mut whole = vec![0; 30_000];
            let len = deflater.deflate(&[], &plain, &mut whole).expect("it fits");
            for room in (0..len + 5).step_by(97) {
                assert_eq!(deflater.deflate(&[], &plain, &mut vec![0; room]), None);
                let mut again = vec![0; 30_000];
                assert_eq!(deflater.deflate(&[], &plain, &mut again), Some(len));
                assert_eq!(again, whole);
            }
        }
    }

    /// `Deflate::new_with_config` panics for settings that zlib does not support.
    #[test]
    fn any_settings_are_supported() {
        for bits in 8..=15 {
            let window_bits = WindowBits::new(bits).expect("8 to 15");
            for (level, memory_level) in (1..=9).flat_map(|level| [(level, 1), (level, 9)]) {
                let settings = Settings { level, memory_level, window_bits };
                let mut deflater = ZlibRs.deflater(settings).expect("any settings");
                let len = deflater.deflate(b"history", &[7; 1000], &mut [0; 2000]);
                assert!(len.is_some_and(|len| len < 50), "{settings:?}");
            }
        }
    }
}
