//! Frames (RFC 6455 §5): headers, masks and their keys, text that arrives in pieces, and frames to be sent.

pub(crate) mod header;
pub(crate) mod mask;
pub(crate) mod mask_keys;
pub(crate) mod utf8;
pub(crate) mod writer;
