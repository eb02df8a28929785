//! Frames (RFC 6455 §5): headers, masking, text that arrives in pieces, and frames to be sent.

pub(crate) mod header;
pub(crate) mod mask;
pub(crate) mod utf8;
pub(crate) mod writer;
