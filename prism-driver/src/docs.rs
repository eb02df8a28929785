//! Guides: pages that are longer than the documentation of one item. There is nothing to import here.
//!
//! The examples import from `prism_tokio`. On another runtime, import from its adapter instead: the names are the same,
//! and only what begins with `tokio::` differs.

// The examples need a runtime, so they are tests of prism-tokio (`Guides` in its `lib.rs`), prism-test or prism-axum,
// and not of this crate. The first definition of a link counts: those in `links.md` are for rustdoc, those at the end
// of a page for GitHub. Without the feature `tls`, links to its items lead to their source.
macro_rules! guides {
    ($($name:ident: $page:literal,)*) => {
        $(
            #[cfg_attr(all(not(doctest), feature = "tls"), doc = include_str!("../docs/links_tls.md"))]
            #[cfg_attr(
                not(any(doctest, feature = "tls")),
                doc = include_str!("../docs/links_without_tls.md")
            )]
            #[cfg_attr(not(doctest), doc = include_str!("../docs/links.md"))]
            #[cfg_attr(not(doctest), doc = include_str!($page))]
            pub mod $name {}
        )*
    };
}

guides! {
    behind_a_proxy: "../docs/behind-a-proxy.md",
    client_proxies: "../docs/client-proxies.md",
    close_codes: "../docs/close-codes.md",
    compression: "../docs/compression.md",
    deploying: "../docs/deploying.md",
    final_ends: "../docs/final-ends.md",
    from_axum: "../docs/from-axum.md",
    from_fastwebsockets: "../docs/from-fastwebsockets.md",
    from_socketio: "../docs/from-socketio.md",
    from_tungstenite: "../docs/from-tungstenite.md",
    graceful_shutdown: "../docs/graceful-shutdown.md",
    keepalive_and_timeouts: "../docs/keepalive-and-timeouts.md",
    limits: "../docs/limits.md",
    observability: "../docs/observability.md",
    reconnecting: "../docs/reconnecting.md",
    request_and_answer: "../docs/request-and-answer.md",
    slow_consumers: "../docs/slow-consumers.md",
    state_and_identity: "../docs/state-and-identity.md",
    testing: "../docs/testing.md",
    tls: "../docs/tls.md",
    troubleshooting: "../docs/troubleshooting.md",
}
