//! RFC 3986 §6.2.2: equivalent paths have one normal form.

use std::borrow::Cow;

use prism_core::{InvalidPath, normalize_path, percent_decode};
use proptest::prelude::*;

fn normal(path: &str) -> String {
    normalize_path(path).expect(path).into_owned()
}

/// The algorithm of §5.2.4, word for word, on a path without escapes.
fn remove_dot_segments(path: &str) -> String {
    let (mut input, mut output) = (path.to_owned(), String::new());
    while !input.is_empty() {
        if input.starts_with("/./") || input == "/." {
            input = format!("/{}", &input[(input.len()).min(3)..]);
        } else if input.starts_with("/../") || input == "/.." {
            input = format!("/{}", &input[(input.len()).min(4)..]);
            output.truncate(output.rfind('/').unwrap_or(0));
        } else {
            let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
            output.extend(input.drain(..end));
        }
    }
    output
}

/// Escapes, and how they are normalized (§6.2.2.1, §6.2.2.2).
const ESCAPES: [(&str, &str); 5] =
    [("%2e", "."), ("%2f", "%2F"), ("%61", "a"), ("%c3", "%C3"), ("%25", "%25")];

/// Checks what must hold for every path.
#[track_caller]
fn check(path: &str) {
    let Ok(normal) = normalize_path(path) else {
        let is_escaped_badly = path.split('%').skip(1).any(|behind| {
            let digits = behind.as_bytes().get(..2);
            !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        });
        assert!(!path.starts_with('/') || is_escaped_badly, "{path}");
        return;
    };
    assert!(normal.starts_with('/') && normal.is_ascii(), "{path}: {normal}");
    assert!(!normal.contains(['?', '#', ' ', '"', '\\', '{', '|']), "{path}: {normal}");
    assert!(!normal.split('/').any(|segment| [".", ".."].contains(&segment)), "{path}: {normal}");
    // The normal form of a normal path is that path, borrowed.
    assert!(matches!(normalize_path(&normal), Ok(Cow::Borrowed(again)) if again == normal));
    assert_eq!(matches!(normal, Cow::Borrowed(_)), normal == path, "{path}: {normal}");
}

#[test]
fn equivalent_paths_have_one_normal_form() {
    for (path, expected) in [
        ("/", "/"),
        ("/a//b/", "/a//b/"),
        ("/%61dmin", "/admin"),
        ("/%77s", "/ws"),
        ("/%7euser/a%2Db", "/~user/a-b"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/caf\u{e9}", "/caf%C3%A9"),
        ("/a b\"c", "/a%20b%22c"),
        ("/%7c|", "/%7C%7C"),
        // Other escapes stay: they are neither separators nor other escapes.
        ("/a%2fb", "/a%2Fb"),
        ("/%2561", "/%2561"),
        ("/%40@", "/%40@"),
        ("/%3a:%3A", "/%3A:%3A"),
        // Dot segments, escaped or not.
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/../../a", "/a"),
        ("/..", "/"),
        ("/a//../b", "/a/b"),
        ("//..", "/"),
        ("/a%2F..%2Fb", "/a%2F..%2Fb"),
        ("/.well-known/...", "/.well-known/..."),
    ] {
        assert_eq!(normal(path), expected, "{path}");
        check(path);
    }
}

#[test]
fn a_malformed_escape_has_no_normal_form() {
    for path in ["/%", "/%4", "/%zz", "/%4g", "/%%41", "/a%2", "/%/41", "/%-1", "/%+1", "/%\u{e9}"]
    {
        assert_eq!(normalize_path(path), Err(InvalidPath::Escape), "{path}");
        check(path);
    }
    for path in ["", "a", "*", "%2Fa", "../a"] {
        assert_eq!(normalize_path(path), Err(InvalidPath::Relative), "{path}");
    }
}

/// All paths of up to seven of the characters that matter.
#[test]
fn all_short_paths_are_normalized_in_one_step() {
    const CHARACTERS: [char; 8] = ['/', '.', '%', '2', 'e', 'F', '5', '|'];
    let mut paths = vec!["/".to_owned()];
    for _ in 0..6 {
        paths = paths
            .iter()
            .flat_map(|path| CHARACTERS.iter().map(move |next| format!("{path}{next}")))
            .inspect(|path| check(path))
            .collect();
    }
    assert_eq!(paths.len(), 8_usize.pow(6));
}

/// All paths of up to five of these pieces, compared with the algorithm of the RFC.
#[test]
fn short_paths_are_normalized_as_by_the_rfc() {
    let plain = ["/", ".", "..", "a"].map(|piece| (piece, piece));
    let pieces: Vec<_> = plain.into_iter().chain(ESCAPES).collect();
    // Each path as written, and with its escapes normalized.
    let mut paths = vec![("/".to_owned(), "/".to_owned())];
    for _ in 0..5 {
        let longer = |(path, spelled): &(String, String)| {
            let more = |(piece, meant)| (format!("{path}{piece}"), format!("{spelled}{meant}"));
            pieces.iter().copied().map(more).collect::<Vec<_>>()
        };
        paths = paths.iter().flat_map(longer).collect();
        for (path, spelled) in &paths {
            assert_eq!(normal(path), remove_dot_segments(spelled), "{path}");
        }
    }
    assert_eq!(paths.len(), 9_usize.pow(5));
}

/// So long that only linear work ends in time. (The limit of a head is far lower.)
#[test]
fn long_paths_take_linear_time() {
    const LONG: usize = 1 << 18;
    for unit in ["/", "/.", "/..", "/a/..", "/%2e%2E", "/a", "a/", "%61", "%2f", "|", "\u{e9}", "%"]
    {
        let long = unit.repeat(LONG / unit.len());
        for path in [format!("/{long}"), format!("{}{}", "/a".repeat(LONG), long)] {
            check(&path);
            let _ = percent_decode(&path);
        }
    }
}

#[test]
fn percent_decode_decodes_escapes_to_text() {
    assert!(matches!(percent_decode("a+b/c"), Ok(Cow::Borrowed("a+b/c"))));
    for (text, expected) in [
        ("", Ok("")),
        ("%C3%a9t%c3%A9", Ok("\u{e9}t\u{e9}")),
        ("%2F%00%25", Ok("/\0%")),
        ("\u{e9}%41", Ok("\u{e9}A")),
        ("%E9", Err(InvalidPath::NotUtf8)),
        ("%C3", Err(InvalidPath::NotUtf8)),
        ("%ED%A0%80", Err(InvalidPath::NotUtf8)),
        ("%4", Err(InvalidPath::Escape)),
        ("a%", Err(InvalidPath::Escape)),
        ("%%41", Err(InvalidPath::Escape)),
    ] {
        assert_eq!(percent_decode(text).as_deref().map_err(|error| *error), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn the_normal_form_of_any_path_is_normal(path in "/(\\PC|[/.%]|%2[eEfF]|%[0-9a-f]{2}){0,40}") {
        check(&path);
    }

    /// Whatever the name of a segment is, a client that escapes it properly asks for it.
    #[test]
    fn an_escaped_name_decodes_to_itself(name in "\\PC{1,20}") {
        let escaped: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = normal(&format!("/{escaped}"));
        prop_assume!(![".", ".."].contains(&&*name));
        prop_assert_eq!(percent_decode(&path[1..]).unwrap(), &*name);
        prop_assert_eq!(percent_decode(&escaped).unwrap(), name);
    }
}
