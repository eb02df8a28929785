//! The limits have the defaults that `SECURITY.md` documents.

use std::{sync::Arc, time::Duration};

use prism_driver::{
    ClientOptions, Config, Deflate, Options, Rate, ServerOptions, WhenSlow, WindowBits,
};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn every_limit_has_its_documented_default() {
    let ServerOptions {
        connection,
        max_connections,
        max_connections_per_ip,
        max_handshakes,
        max_pages,
        max_authorizations,
        max_buffered,
        shutdown_grace,
        shutdown_spread,
        ..
    } = ServerOptions::default();
    let ClientOptions { connect_timeout, .. } = ClientOptions::default();
    let Options {
        protocol,
        handshake_timeout,
        high_water_mark,
        write_timeout,
        min_write_rate,
        message_rate,
        when_slow,
        ..
    } = connection;
    assert_eq!(protocol.max_message_size, 1 << 20);
    assert_eq!(protocol.max_empty_fragments, 32);
    assert_eq!(protocol.max_head_size, 16 << 10);
    assert_eq!(protocol.max_headers, 100);
    assert_eq!(protocol.ping_interval, Some(s(20)));
    assert_eq!(protocol.pong_timeout, s(20));
    assert_eq!(protocol.pong_mark, 64 << 10);
    assert_eq!(protocol.close_timeout, s(5));
    assert!(protocol.deflate.is_none());
    assert_eq!(connect_timeout, s(10));
    assert_eq!(handshake_timeout, s(10));
    assert_eq!(high_water_mark, 64 << 10);
    assert_eq!(write_timeout, s(30));
    assert_eq!(min_write_rate, 240);
    assert_eq!(max_buffered, 256 << 20);
    assert_eq!(message_rate, None);
    assert_eq!(when_slow, WhenSlow::Wait);
    assert_eq!(max_connections, 65_536);
    assert_eq!(max_connections_per_ip, None);
    assert_eq!(max_handshakes, 4096);
    assert_eq!(max_pages, 1024);
    assert_eq!(max_authorizations, 1024);
    assert_eq!(shutdown_grace, s(10));
    assert_eq!(shutdown_spread, s(5));
}

#[test]
fn compression_has_its_documented_defaults() {
    let each = |deflate: Deflate| {
        let windows = (deflate.server_max_window_bits, deflate.client_max_window_bits);
        let alone = (deflate.server_no_context_takeover, deflate.client_no_context_takeover);
        (deflate.level, deflate.memory_level, deflate.threshold, alone, windows)
    };
    let bits = |bits| WindowBits::new(bits).unwrap();
    let windows = |size| (bits(size), Some(bits(size)));
    assert_eq!(each(Deflate::default()), (2, 5, 512, (true, true), windows(15)));
    let takeover = Deflate::default().with_takeover();
    assert_eq!(each(takeover), (2, 5, 64, (false, false), windows(12)));
}

#[test]
fn each_setter_sets_its_own_limit() {
    let set = Options::default()
        .protocol(Config::default().max_headers(1))
        .max_message_size(2)
        .max_empty_fragments(3)
        .max_head_size(4)
        .ping_interval(Some(s(5)))
        .pong_timeout(s(6))
        .pong_mark(7)
        .close_timeout(s(8))
        .handshake_timeout(s(9))
        .high_water_mark(10)
        .write_timeout(s(11))
        .min_write_rate(12)
        .message_rate(Some(Rate { per_second: 13, burst: 14 }))
        .when_slow(WhenSlow::Close)
        .compression(Deflate::default().level(3));
    let mut fields = Options::default();
    fields.protocol.max_headers = 1;
    fields.protocol.max_message_size = 2;
    fields.protocol.max_empty_fragments = 3;
    fields.protocol.max_head_size = 4;
    fields.protocol.ping_interval = Some(s(5));
    fields.protocol.pong_timeout = s(6);
    fields.protocol.pong_mark = 7;
    fields.protocol.close_timeout = s(8);
    fields.handshake_timeout = s(9);
    fields.high_water_mark = 10;
    fields.write_timeout = s(11);
    fields.min_write_rate = 12;
    fields.message_rate = Some(Rate { per_second: 13, burst: 14 });
    fields.when_slow = WhenSlow::Close;
    fields.protocol.deflate = Some(Arc::new(Deflate::default().level(3)));
    assert_eq!(format!("{set:?}"), format!("{fields:?}"));
    assert_eq!(set.max_headers(15).protocol.max_headers, 15);
}

#[test]
fn each_server_and_client_setter_sets_its_own_limit() {
    let set = ServerOptions::default()
        .connection(Options::default().high_water_mark(1))
        .max_connections(2)
        .max_handshakes(3)
        .max_pages(4)
        .max_buffered(5)
        .shutdown_grace(s(6))
        .shutdown_spread(s(7))
        .max_authorizations(8)
        .max_connections_per_ip(Some(9));
    let mut fields = ServerOptions::default();
    fields.connection.high_water_mark = 1;
    fields.max_connections = 2;
    fields.max_handshakes = 3;
    fields.max_pages = 4;
    fields.max_buffered = 5;
    fields.shutdown_grace = s(6);
    fields.shutdown_spread = s(7);
    fields.max_authorizations = 8;
    fields.max_connections_per_ip = Some(9);
    assert_eq!(format!("{set:?}"), format!("{fields:?}"));

    let set = ClientOptions::default().connect_timeout(s(1)).connection(fields.connection);
    assert_eq!((set.connect_timeout, set.connection.high_water_mark), (s(1), 1));
}
