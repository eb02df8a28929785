//! Guides: pages that are longer than the documentation of one item. There is nothing to import here.

// The first definition of a link counts: those in `links.md` are for rustdoc, those at the end of a page for GitHub.

#[cfg_attr(not(doctest), doc = include_str!("../docs/links.md"))]
#[doc = include_str!("../docs/rooms.md")]
pub mod rooms {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/links.md"))]
#[doc = include_str!("../docs/presence.md")]
pub mod presence {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/links.md"))]
#[doc = include_str!("../docs/cluster.md")]
pub mod cluster {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/links.md"))]
#[doc = include_str!("../docs/history.md")]
pub mod history {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/links.md"))]
#[doc = include_str!("../docs/browser.md")]
pub mod browser {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/links.md"))]
#[doc = include_str!("../docs/protocol.md")]
pub mod protocol {}
#[cfg_attr(not(doctest), doc = include_str!("../docs/links.md"))]
#[doc = include_str!("../docs/cluster-presence.md")]
pub mod cluster_presence {}
