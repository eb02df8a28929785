//! The HTTP below the handshake: heads, header lines, paths, bodies (RFC 9110, RFC 9112).

pub(crate) mod body_length;
pub(crate) mod chunked;
pub(crate) mod extensions;
pub(crate) mod head;
pub(crate) mod header_block;
pub(crate) mod headers;
pub(crate) mod known;
pub(crate) mod path;
pub(crate) mod status_line;
mod swar;
pub(crate) mod target;
pub(crate) mod tokens;
