//! What a URL may contain, and how its parts are read.

use super::{ServerAddress, Url};

/// Returns the address to connect to, and the `Host` and target of the request.
fn parse(url: &str) -> (String, String, String) {
    let parsed = Url::parse(url).unwrap_or_else(|error| panic!("{url:?}: {error}"));
    let address = match parsed.address {
        ServerAddress::Address(address) => address.to_string(),
        ServerAddress::Named { host, port } => format!("{host} {port}"),
    };
    (address, parsed.authority, parsed.target)
}

#[track_caller]
fn assert_parsed(url: &str, expected: [&str; 3]) {
    assert_eq!(parse(url), expected.map(String::from).into(), "{url}");
}

#[test]
fn a_url_has_a_host_an_optional_port_and_a_target() {
    for (url, expected) in [
        ("ws://h", ["h 80", "h", "/"]),
        ("ws://example.org/chat?room=1", ["example.org 80", "example.org", "/chat?room=1"]),
        ("WS://Example.ORG?", ["Example.ORG 80", "Example.ORG", "/?"]),
        ("wSs://a_b.c~d/", ["a_b.c~d 443", "a_b.c~d", "/"]),
        ("ws://127.0.0.1/?/", ["127.0.0.1:80", "127.0.0.1", "/?/"]),
        ("ws://[::1]:8080/a:b@c", ["[::1]:8080", "[::1]:8080", "/a:b@c"]),
        ("wss://[2001:DB8::1]", ["[2001:db8::1]:443", "[2001:DB8::1]", "/"]),
        ("  ws://h/a b  ", ["h 80", "h", "/a%20b"]),
    ] {
        assert_parsed(url, expected);
    }
}

#[test]
fn the_default_port_is_not_sent() {
    for (url, expected) in [
        ("ws://h:80", ["h 80", "h", "/"]),
        ("ws://h:00080/", ["h 80", "h", "/"]),
        ("ws://h:", ["h 80", "h", "/"]),
        ("ws://h:443?", ["h 443", "h:443", "/?"]),
        ("wss://h:443", ["h 443", "h", "/"]),
        ("wss://h:80", ["h 80", "h:80", "/"]),
        ("ws://[::1]:80", ["[::1]:80", "[::1]", "/"]),
        ("wss://[::1]:", ["[::1]:443", "[::1]", "/"]),
        ("ws://127.0.0.1:65535", ["127.0.0.1:65535", "127.0.0.1:65535", "/"]),
    ] {
        assert_parsed(url, expected);
    }
}

#[test]
fn a_zone_is_not_sent() {
    for (zone, address) in [
        ("%25eth0", "fe80::1%eth0 80"),
        ("%eth0", "fe80::1%eth0 80"),
        ("%25eth0.7", "fe80::1%eth0.7 80"),
        ("%25a%2Fb", "fe80::1%a/b 80"),
        ("%253", "[fe80::1%3]:80"),
        ("%3", "[fe80::1%3]:80"),
        ("%25", "[fe80::1%25]:80"),
        ("%2525", "[fe80::1%25]:80"),
        ("%25+3", "fe80::1%+3 80"),
    ] {
        assert_parsed(&format!("ws://[fe80::1{zone}]/"), [address, "[fe80::1]", "/"]);
    }
    assert_parsed("ws://[::1%25lo]/", ["[::1]:80", "[::1]", "/"]);
    assert_parsed("ws://[fe80::1%25eth0]:8080/", ["fe80::1%eth0 8080", "[fe80::1]:8080", "/"]);
}

#[test]
fn what_is_wrong_is_said_and_where() {
    for (url, expected) in [
        ("", "expected \"ws://\" or \"wss://\" at the start"),
        ("http://h/", "expected \"ws://\" or \"wss://\" at the start"),
        ("example.org", "expected \"ws://\" or \"wss://\" at the start"),
        ("/chat", "expected \"ws://\" or \"wss://\" at the start"),
        ("ws:/h", "expected \"ws://\" or \"wss://\" at the start"),
        ("é", "expected \"ws://\" or \"wss://\" at the start"),
        ("ws://h/a\tb", "'\\t' (U+0009) at character 9 is a control character"),
        ("ws://ü/a\n", "'\\n' (U+000A) at character 9 is a control character"),
        ("ws://h\0", "'\\0' (U+0000) at character 7 is a control character"),
        ("ws://h/\u{85}", "'\\u{85}' (U+0085) at character 8 is a control character"),
        (
            "ws://h/#top",
            "'#' (U+0023) at character 8 starts a fragment, which a WebSocket URL cannot have \
             (RFC 6455 §3); expected \"%23\" for the character itself",
        ),
        (
            "ws://me:secret@h/",
            "user name or password in the URL; expected an Authorization header instead",
        ),
        ("ws://", "the host is missing"),
        ("ws:///chat", "the host is missing"),
        ("ws://:80/", "the host is missing"),
        ("ws://exa mple.org/", "' ' (U+0020) at character 9 is not allowed in a host"),
        (" ws://exa%6dple.org/", "'%' (U+0025) at character 10 is not allowed in a host"),
        (
            "ws://h\\@evil",
            "user name or password in the URL; expected an Authorization header \
             instead",
        ),
        ("ws://h\\evil", "'\\\\' (U+005C) at character 7 is not allowed in a host"),
        ("ws://a]", "']' (U+005D) at character 7 is not allowed in a host"),
        (
            "ws://grüße.example/",
            "'ü' (U+00FC) at character 8 is not ASCII; expected the host in its IDNA encoding, \
             \"xn--...\"",
        ),
        (
            "ws://a\u{202e}b/",
            "'\\u{202e}' (U+202E) at character 7 is not ASCII; expected the host in its IDNA \
             encoding, \"xn--...\"",
        ),
        ("ws://h:http/", "invalid port; expected a number"),
        ("ws://h:-1/", "invalid port; expected a number"),
        ("ws://h:+1/", "invalid port; expected a number"),
        ("ws://h:1:2/", "invalid port; expected a number"),
        ("ws://h:65536/", "invalid port; expected at most 65535"),
        ("ws://h:99999999999999999999/", "invalid port; expected at most 65535"),
        ("ws://me:se/cret@h/", "invalid port; expected a number"),
        ("ws://[::1/", "'[' (U+005B) at character 6 is not closed; expected \"]\""),
        ("ws://[::1]80", "'8' (U+0038) at character 11 follows \"]\"; expected \":\" and a port"),
        ("ws://[::1]:x", "invalid port; expected a number"),
        ("ws://[]/", "invalid IPv6 address \"\" in the brackets"),
        ("ws://[127.0.0.1]/", "invalid IPv6 address \"127.0.0.1\" in the brackets"),
        ("ws://[%25eth0]/", "invalid IPv6 address \"\" in the brackets"),
        ("ws://::1/", "IPv6 address without brackets; expected \"[::1]\""),
        ("ws://fe80::1%eth0/", "IPv6 address without brackets; expected \"[fe80::1%eth0]\""),
        ("ws://[fe80::1%]/", "invalid zone \"\"; expected the name or index of an interface"),
        (
            "ws://[fe80::1%25a%20b]/",
            "invalid zone \"a%20b\"; expected the name or index of an interface",
        ),
        (
            "ws://[fe80::1%25a%FF]/",
            "invalid zone \"a%FF\"; expected the name or index of an interface",
        ),
    ] {
        assert_eq!(Url::parse(url).unwrap_err().to_string(), expected, "{url:?}");
    }
}
