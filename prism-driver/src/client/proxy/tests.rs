//! Which proxy a client uses, from URLs and from the environment, and that no error shows a password.

use std::ffi::OsString;

use super::{InvalidProxy, Proxy};
use crate::client::url::Url;

/// Returns the proxy for a URL, without credentials; `None` for a direct connection.
fn used(proxy: &Proxy, url: &str) -> Option<String> {
    proxy.server_for(&Url::parse(url).unwrap()).map(|server| format!("{server:?}"))
}

fn parsed(url: &str) -> Result<String, String> {
    let proxy = Proxy::new(url).map_err(|error| error.to_string())?;
    Ok(used(&proxy, "ws://h/").expect("no exceptions"))
}

#[test]
fn a_url_has_a_scheme_a_host_and_a_port() {
    for (url, expected) in [
        ("http://proxy:3128", "http://proxy:3128"),
        ("HTTP://proxy.example/", "http://proxy.example:80"),
        ("proxy:3128", "http://proxy:3128"),
        (" http://127.0.0.1:8080 ", "http://127.0.0.1:8080"),
        ("http://[::1]", "http://[::1]:80"),
        ("http://alice:secret@proxy:3128", "http://proxy:3128"),
        ("alice:secret@proxy:3128", "http://proxy:3128"),
        ("http://a%40b:p%2F%25:@p@proxy", "http://proxy:80"),
        ("http://:@proxy", "http://proxy:80"),
    ] {
        assert_eq!(parsed(url).as_deref(), Ok(expected), "{url:?}");
    }
}

#[cfg(feature = "socks")]
#[test]
fn socks_is_a_scheme_of_two_kinds() {
    assert_eq!(parsed("socks5://proxy").as_deref(), Ok("socks5://proxy:1080"));
    assert_eq!(parsed("SOCKS5H://a:b@[::1]:9050/").as_deref(), Ok("socks5h://[::1]:9050"));
    let long = "x".repeat(256);
    for user_info in ["alice", "alice:", ":secret", &long, &format!("a:{long}")] {
        let error = parsed(&format!("socks5://{user_info}@proxy")).unwrap_err();
        assert_eq!(error, "expected 1 to 255 bytes of user name and as many of password");
    }
}

#[cfg(not(feature = "socks"))]
#[test]
fn socks_needs_its_feature() {
    let error = parsed("socks5h://proxy").unwrap_err();
    assert_eq!(error, "\"socks5://\" and \"socks5h://\" need the feature `socks`");
}

#[test]
fn an_invalid_url_is_not_shown() {
    for (url, said) in [
        ("https://alice:secret@proxy", "TLS to the proxy (\"https://\") is not supported"),
        ("socks4://alice:secret@proxy", "expected \"http://\", \"socks5://\" or \"socks5h://\""),
        ("ftp://alice:secret@proxy", "expected \"http://\""),
        ("", "invalid host or port"),
        ("http://", "invalid host or port"),
        ("http://alice:secret@", "invalid host or port"),
        ("http://alice:secret", "invalid host or port"),
        ("http://alice:se@cr@secret:x", "invalid host or port"),
        ("http://secret secret", "invalid host or port"),
        ("http://::1", "invalid host or port"),
        ("http://alice:sec/ret@proxy", "\"#\" percent-encoded"),
        ("http://proxy/secret", "text after the host and port"),
        ("http://alice%3Asecret:secret@proxy", "a user name with a colon"),
        ("http://alice:secret%0a@proxy", "control character"),
        ("http://alice:secret%FF@proxy", "not UTF-8"),
    ] {
        let error = Proxy::new(url).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(said), "{url:?}: {shown}");
        assert!(!shown.contains("secret") && !shown.contains("alice"), "{shown}");
    }
}

#[test]
fn debug_output_shows_no_credentials() {
    let proxy = Proxy::new("http://alice:secret@proxy").unwrap().no_proxy("localhost");
    let proxy = proxy.credentials("bob", "hidden").unwrap();
    let shown = format!("{proxy:?}");
    assert!(shown.contains("http://proxy:80") && shown.contains("localhost"), "{shown}");
    for secret in ["alice", "secret", "bob", "hidden"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn credentials_that_cannot_be_sent_are_refused() {
    let proxy = || Proxy::new("http://proxy").unwrap();
    assert!(proxy().credentials("alice", "a:b@/%").is_ok());
    for (user, password) in [("a:b", "c"), ("a\n", "b"), ("a", "b\r")] {
        assert!(proxy().credentials(user, password).is_err(), "{user:?} {password:?}");
    }
}

/// Reads the proxies from these variables.
fn from_vars(vars: &[(&str, &str)]) -> Result<Proxy, InvalidProxy> {
    Proxy::from_vars(|name| {
        let found = vars.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

/// Asserts which proxies are used for `wss:` and for `ws:`.
#[track_caller]
fn assert_used(vars: &[(&str, &str)], for_wss: Option<&str>, for_ws: Option<&str>) {
    let proxy = from_vars(vars).unwrap();
    let expected = |host: Option<&str>| host.map(|host| format!("http://{host}:80"));
    assert_eq!(used(&proxy, "wss://h/"), expected(for_wss), "{vars:?}");
    assert_eq!(used(&proxy, "ws://h/"), expected(for_ws), "{vars:?}");
}

#[test]
fn the_scheme_decides_which_variables_count() {
    assert_used(&[], None, None);
    assert_used(&[("WSS_PROXY", "a")], Some("a"), None);
    assert_used(&[("WS_PROXY", "a")], None, Some("a"));
    assert_used(&[("HTTPS_PROXY", "a")], Some("a"), None);
    assert_used(&[("HTTP_PROXY", "a")], None, Some("a"));
    assert_used(&[("ALL_PROXY", "a")], Some("a"), Some("a"));
    assert_used(&[("all_proxy", "a"), ("https_proxy", "b")], Some("b"), Some("a"));
    let all = [
        ("WSS_PROXY", "wss"),
        ("WS_PROXY", "ws"),
        ("HTTPS_PROXY", "https"),
        ("HTTP_PROXY", "http"),
        ("ALL_PROXY", "all"),
    ];
    assert_used(&all, Some("wss"), Some("ws"));
    assert_used(&all[2..], Some("https"), Some("http"));
}

#[test]
fn lower_case_comes_first_and_an_empty_variable_does_not_count() {
    assert_used(&[("WSS_PROXY", "A"), ("wss_proxy", "a")], Some("a"), None);
    assert_used(&[("wss_proxy", ""), ("WSS_PROXY", "A")], Some("A"), None);
    assert_used(&[("wss_proxy", ""), ("HTTPS_PROXY", "A")], Some("A"), None);
}

#[test]
fn a_cgi_program_ignores_what_a_request_can_set() {
    let cgi = ("REQUEST_METHOD", "GET");
    assert_used(&[cgi, ("HTTP_PROXY", "evil"), ("http_proxy", "evil")], None, None);
    assert_used(&[cgi, ("HTTP_PROXY", "evil"), ("ALL_PROXY", "a")], Some("a"), Some("a"));
    assert_used(&[cgi, ("HTTPS_PROXY", "a"), ("WS_PROXY", "b")], Some("a"), Some("b"));
}

#[test]
fn listed_servers_are_connected_to_directly() {
    let proxy = from_vars(&[("ALL_PROXY", "a"), ("NO_PROXY", "localhost,10.0.0.0/8")]).unwrap();
    assert_eq!(used(&proxy, "ws://localhost/"), None);
    assert_eq!(used(&proxy, "wss://10.1.2.3/"), None);
    assert_eq!(used(&proxy, "wss://h/").as_deref(), Some("http://a:80"));
    let lists = [("ALL_PROXY", "a"), ("no_proxy", "h"), ("NO_PROXY", "localhost")];
    let proxy = from_vars(&lists).unwrap();
    assert_eq!(used(&proxy, "ws://h/"), None);
    assert_eq!(used(&proxy, "ws://localhost/").as_deref(), Some("http://a:80"));
}

#[test]
fn an_invalid_variable_is_named() {
    let error = from_vars(&[("https_proxy", "http://alice:secret@")]).unwrap_err().to_string();
    assert!(error.starts_with("https_proxy: invalid host or port"), "{error}");
    let error = from_vars(&[("ALL_PROXY", "socks4://proxy")]).unwrap_err().to_string();
    assert!(error.starts_with("ALL_PROXY: expected \"http://\""), "{error}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_named() {
    use std::os::unix::ffi::OsStringExt;

    let bytes = || OsString::from_vec(vec![0xff]);
    let error = Proxy::from_vars(|name| (name == "WS_PROXY").then(bytes)).unwrap_err();
    assert_eq!(error.to_string(), "WS_PROXY: not UTF-8");
}
