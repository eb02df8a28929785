//! Guides: pages that are longer than the documentation of one item. There is nothing to import here.
//!
//! The examples import from `prism_tokio`. On another runtime, import from its adapter instead: the names are the same,
//! and only what begins with `tokio::` differs.

// The examples need a runtime, so they are tests of prism-tokio (`Guides` in its `lib.rs`), and not of this crate.

#[cfg_attr(not(doctest), doc = include_str!("../docs/behind-a-proxy.md"))]
pub mod behind_a_proxy {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/close-codes.md"))]
pub mod close_codes {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/compression.md"))]
pub mod compression {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/deploying.md"))]
pub mod deploying {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/graceful-shutdown.md"))]
pub mod graceful_shutdown {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/keepalive-and-timeouts.md"))]
pub mod keepalive_and_timeouts {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/request-and-answer.md"))]
pub mod request_and_answer {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/slow-consumers.md"))]
pub mod slow_consumers {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/state-and-identity.md"))]
pub mod state_and_identity {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/testing.md"))]
pub mod testing {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/tls.md"))]
pub mod tls {}
