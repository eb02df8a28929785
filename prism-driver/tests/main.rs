//! The scenarios of the driver on virtual time, one file a topic. They are one binary, because linking is slower than
//! the tests.

mod abort;
mod address_limit;
mod async_pages;
mod authorize;
mod authorize_limits;
mod batching;
mod budget;
mod buffers;
mod cancel;
mod cancel_connect;
mod cancel_servers;
mod cancel_sessions;
mod client;
mod client_proxies;
#[cfg(feature = "socks")]
mod client_proxies_socks;
mod client_tasks;
mod closing_deadlines;
mod closing_handlers;
mod common;
mod compression;
mod compression_slow;
mod compression_turns;
mod connection_handlers;
mod contract_closing;
mod contract_order;
mod contract_outbox;
mod contract_sockets;
mod contract_sockets_slow;
mod counts;
mod deadlines;
mod dial;
mod errors;
#[cfg(feature = "tracing")]
mod events;
#[cfg(feature = "tracing")]
mod events_of_servers;
mod fairness;
mod floods;
mod flush;
mod forms;
mod handshake;
mod handshake_limit;
#[cfg(feature = "tracing")]
mod hostile_log;
mod large_messages;
mod mask_keys;
mod message_rate;
mod on_end;
mod options;
mod outbox;
mod owned_bytes;
mod page_limit;
mod pages;
mod pongs;
mod prepared;
mod proxies;
mod proxy_protocol;
#[cfg(feature = "metrics")]
mod publish;
mod reconnect;
mod redirects;
mod refusals;
mod repeats;
mod route_options;
mod route_policies;
mod sending_to_many;
mod servers;
mod shared_timer;
mod shutdown;
mod sink;
mod slow_readers;
mod split_sockets;
mod stats;
mod threads;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_floods;
#[cfg(feature = "tls")]
mod tls_services;
#[cfg(feature = "tls")]
mod tls_slow_readers;
mod transport;
mod wake;
mod wakers;
mod websockets;
mod websockets_ends;
#[cfg(feature = "tls")]
mod websockets_tls;
mod when_slow;
mod write_errors;
