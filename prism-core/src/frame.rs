//! Frames (RFC 6455 §5): headers, masking, and text that arrives in pieces.

pub(crate) mod header;
pub(crate) mod mask;
pub(crate) mod utf8;
