//! The names of rooms, as bytes.

use std::str;

use super::reader::{Malformed, Reader};

/// The longest name of a room.
pub(crate) const MAX_NAME: usize = 1 << 10;

pub(super) fn encode_name(name: &str, out: &mut Vec<u8>) {
    debug_assert!(name.len() <= MAX_NAME, "too long");
    out.extend((name.len() as u16).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
}

pub(super) fn decode_name<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Malformed> {
    let len = usize::from(reader.u16()?);
    if len > MAX_NAME {
        return Err(Malformed);
    }
    str::from_utf8(reader.bytes(len)?).map_err(|_| Malformed)
}
