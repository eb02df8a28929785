//! Guides: pages that are longer than the documentation of one item. There is nothing to import here.

#[doc = include_str!("../docs/behind-a-proxy.md")]
pub mod behind_a_proxy {}
