//! The limits have the defaults that `SECURITY.md` promises.

use std::time::Duration;

use prism_driver::Options;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn every_limit_has_the_default_that_is_promised() {
    let Options {
        protocol,
        connect_timeout,
        handshake_timeout,
        high_water_mark,
        write_timeout,
        min_write_rate,
        max_buffered,
        message_rate,
        max_connections,
        max_handshakes,
        max_pages,
        shutdown_grace,
        shutdown_spread,
        ..
    } = Options::default();
    assert_eq!(protocol.max_message_size, 1 << 20);
    assert_eq!(protocol.max_empty_fragments, 32);
    assert_eq!(protocol.max_head_size, 16 << 10);
    assert_eq!(protocol.max_headers, 100);
    assert_eq!(protocol.ping_interval, Some(s(20)));
    assert_eq!(protocol.pong_timeout, s(20));
    assert_eq!(protocol.pong_mark, 64 << 10);
    assert_eq!(protocol.close_timeout, s(5));
    assert_eq!(connect_timeout, s(10));
    assert_eq!(handshake_timeout, s(10));
    assert_eq!(high_water_mark, 64 << 10);
    assert_eq!(write_timeout, s(30));
    assert_eq!(min_write_rate, 240);
    assert_eq!(max_buffered, 256 << 20);
    assert_eq!(message_rate, None);
    assert_eq!(max_connections, 65_536);
    assert_eq!(max_handshakes, 4096);
    assert_eq!(max_pages, 1024);
    assert_eq!(shutdown_grace, s(10));
    assert_eq!(shutdown_spread, s(5));
}
