//! Guides: pages that are longer than the documentation of one item. There is nothing to import here.

#[doc = include_str!("../docs/embedding.md")]
pub mod embedding {}
#[doc = include_str!("../docs/two-threads.md")]
pub mod two_threads {}
