//! Guides: pages that are longer than the documentation of one item. There is nothing to import here.

// The first definition of a link counts: those in `links.md` are for rustdoc, those at the end of a page for GitHub.

// Its example needs TLS.
#[cfg(any(feature = "tls", not(doctest)))]
#[cfg_attr(not(doctest), doc = include_str!("../docs/links.md"))]
#[doc = include_str!("../docs/nats.md")]
pub mod nats {}

#[cfg_attr(not(doctest), doc = include_str!("../docs/links.md"))]
#[doc = include_str!("../docs/servers.md")]
pub mod servers {}
