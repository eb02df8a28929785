//! [`PathMap`]: looks up paths, and extracts their parameters.

use std::{borrow::Cow, fmt};

use prism_core::{normalize_path, percent_decode};

/// A map from routes, in the syntax of `matchit`, to values.
pub(crate) struct PathMap<V> {
    tree: matchit::Router<Route<V>>,
}

struct Route<V> {
    value: V,
    /// Whether the last parameter is a catch-all.
    has_catch_all: bool,
}

/// The result of a look-up.
pub(crate) struct Found<'r, 'p, V> {
    pub(crate) value: &'r V,
    has_catch_all: bool,
    params: matchit::Params<'r, 'p>,
}

/// The names and values of a route's parameters.
pub(crate) type Params = Vec<(Box<str>, Box<str>)>;

/// Returns the value of a parameter.
pub(crate) fn param<'a>(params: &'a [(Box<str>, Box<str>)], name: &str) -> Option<&'a str> {
    params.iter().find(|(own_name, _)| **own_name == *name).map(|(_, value)| &**value)
}

impl<V> PathMap<V> {
    pub(crate) fn new() -> Self {
        Self { tree: matchit::Router::new() }
    }

    /// Adds a route. `value` gets the route's normalized form, in which paths are looked up, and returns the value to
    /// store.
    ///
    /// # Panics
    /// If the route is malformed or conflicts with an earlier one.
    pub(crate) fn insert(&mut self, route: &str, value: impl FnOnce(&str) -> V) {
        let inserted = Pattern::parse(route).map_err(str::to_owned).and_then(|pattern| {
            let value =
                Route { value: value(&pattern.normalized), has_catch_all: pattern.has_catch_all };
            self.tree.insert(pattern.normalized, value).map_err(|error| error.to_string())
        });
        if let Err(error) = inserted {
            panic!("route {route:?}: {error}");
        }
    }

    /// Looks up a normalized path.
    pub(crate) fn at<'r, 'p>(&'r self, path: &'p str) -> Option<Found<'r, 'p, V>> {
        let matchit::Match { value, params } = self.tree.at(path).ok()?;
        Some(Found { value: &value.value, has_catch_all: value.has_catch_all, params })
    }
}

impl<V> Found<'_, '_, V> {
    /// Returns the decoded parameters.
    pub(crate) fn params(&self) -> Result<Params, InvalidParam> {
        let last = self.params.len().saturating_sub(1);
        let decode = |(index, (name, value)): (usize, (&str, &str))| {
            let value = decode(value, self.has_catch_all && index == last)?;
            Ok((name.into(), value.into()))
        };
        self.params.iter().enumerate().map(decode).collect()
    }
}

/// Decodes the value of a parameter. Refuses values that would be dangerous as a file name, because many applications
/// use them as one.
fn decode(value: &str, is_catch_all: bool) -> Result<Cow<'_, str>, InvalidParam> {
    // Once decoded, it would look like a real separator: the value would not be the path that was authorized.
    if is_catch_all && (value.contains("%2F") || value.contains("%5C")) {
        return Err(InvalidParam::Separator);
    }
    // The path is normalized, so its escapes are well-formed.
    let value = percent_decode(value).map_err(|_| InvalidParam::NotUtf8)?;
    check_param(&value)?;
    Ok(value)
}

/// Checks the decoded value of a parameter.
pub(crate) fn check_param(value: &str) -> Result<(), InvalidParam> {
    if value.contains(char::is_control) {
        return Err(InvalidParam::Control);
    }
    let is_dots = |segment| matches!(segment, "." | "..");
    if value.starts_with(SEPARATORS) || has_drive(value) || value.split(SEPARATORS).any(is_dots) {
        return Err(InvalidParam::Traversal);
    }
    Ok(())
}

/// Returns whether a value begins with a drive, as in `C:\`. On Windows, such a path is absolute.
fn has_drive(value: &str) -> bool {
    matches!(value.as_bytes(), [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic())
}

/// The characters that file systems treat as separators.
const SEPARATORS: [char; 2] = ['/', '\\'];

/// The reason why a part of a path cannot be the value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidParam {
    Control,
    NotUtf8,
    Separator,
    Traversal,
}

impl fmt::Display for InvalidParam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control character in the path",
            Self::NotUtf8 => "escapes in the path that do not decode to UTF-8",
            Self::Separator => "escaped separator in the path; expected \"/\" between segments",
            Self::Traversal => "\".\", \"..\" or an absolute path in a parameter; expected a name",
        })
    }
}

/// A route in its normalized form.
struct Pattern {
    normalized: String,
    has_catch_all: bool,
}

impl Pattern {
    /// Parses a route, and [normalizes](normalize_path) the text between its parameters. The parameters themselves,
    /// `{name}` and `{*name}`, stay as they are. `{{` and `}}` stand for braces in the text.
    fn parse(route: &str) -> Result<Self, &'static str> {
        let SplitRoute { text, params } = SplitRoute::parse(route)?;
        if !text.starts_with('/') {
            return Err("expected a path that begins with \"/\"");
        }
        let normalized = normalize_path(&text)
            .map_err(|_| "malformed escape; expected \"%\" and two hexadecimal digits")?;
        if normalized.matches(PLACEHOLDER).count() != params.len() {
            return Err("\"..\" after a parameter; expected a path that keeps all its parameters");
        }
        let names = || params.iter().map(|param| param.trim_start_matches(['{', '*']));
        if names().enumerate().any(|(i, name)| names().skip(i + 1).any(|other| other == name)) {
            return Err("two parameters with the same name; expected distinct names");
        }
        let has_catch_all = params.last().is_some_and(|param| param.starts_with("{*"));
        let mut pieces = normalized.split(PLACEHOLDER);
        let first = pieces.next().unwrap_or_default().to_owned();
        let append = |route: String, (param, piece)| route + param + piece;
        Ok(Self { normalized: params.into_iter().zip(pieces).fold(first, append), has_catch_all })
    }
}

/// Stands for a parameter while the text around it is normalized. Normalization does not change it, and routes must not
/// contain it.
const PLACEHOLDER: &str = "%00";

/// A route, split into text and parameters.
struct SplitRoute<'a> {
    /// The route, with a [`PLACEHOLDER`] for each parameter.
    text: String,
    /// The parameters, including their braces.
    params: Vec<&'a str>,
}

impl<'a> SplitRoute<'a> {
    fn parse(route: &'a str) -> Result<Self, &'static str> {
        let (mut text, mut params) = (String::new(), Vec::new());
        let mut rest = route;
        while let Some(next) = rest.chars().next() {
            let pair = rest.get(..2);
            let length = match (next, pair) {
                (brace, Some("{{" | "}}")) => {
                    text.push(brace);
                    2
                }
                ('{', _) => {
                    let end = end_of_param(rest).ok_or("\"{\" without a matching \"}\"")?;
                    text.push_str(PLACEHOLDER);
                    params.push(&rest[..end]);
                    end
                }
                ('}', _) => return Err("\"}\" without a matching \"{\""),
                ('?' | '#', _) => {
                    return Err("\"?\" or \"#\"; expected a path without a query or fragment");
                }
                ('%' | '\0', _) if rest.starts_with(PLACEHOLDER) || next == '\0' => {
                    return Err("NUL; no path of a request contains it");
                }
                (character, _) => {
                    text.push(character);
                    character.len_utf8()
                }
            };
            rest = &rest[length..];
        }
        Ok(Self { text, params })
    }
}

/// Returns the length of the parameter at the beginning of `rest`. It ends at its first `}` that is not doubled.
fn end_of_param(rest: &str) -> Option<usize> {
    let mut at = 1;
    loop {
        at += rest.get(at..)?.find(['{', '}'])?;
        let is_doubled = rest[at + 1..].starts_with(&rest[at..=at]);
        match rest.as_bytes()[at] {
            _ if is_doubled => at += 2,
            b'}' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::{InvalidParam, PathMap, Pattern};

    #[test]
    fn routes_are_normalized_as_paths_are() {
        for (route, normalized) in [
            ("/", "/"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/%77s", "/ws"),
            ("/a/../b/./c", "/b/c"),
            ("/a b/{room}", "/a%20b/{room}"),
            ("/caf\u{e9}-{room}.json/{*caf\u{e9}}", "/caf%C3%A9-{room}.json/{*caf\u{e9}}"),
            ("/{{a}}/{b}}c}", "/%7Ba%7D/{b}}c}"),
            ("/./{a}/b/../{b}", "/{a}/{b}"),
        ] {
            let pattern = Pattern::parse(route).expect(route);
            assert_eq!(pattern.normalized, normalized, "{route}");
            assert_eq!(pattern.has_catch_all, route.contains("{*"), "{route}");
        }
    }

    #[test]
    fn a_route_that_matches_no_request_panics_with_the_reason() {
        for (route, why) in [
            ("", "begins with"),
            ("ws", "begins with"),
            ("{a}/b", "begins with"),
            ("/ws?a=b", "query"),
            ("/ws#a", "query"),
            ("/a%zz", "escape"),
            ("/a%0{b}", "escape"),
            ("/a%", "escape"),
            ("/%00", "NUL"),
            ("/\0", "NUL"),
            ("/{a", "without"),
            ("/{a}}", "without"),
            ("/a}", "without"),
            ("/{a}/../b", "after a parameter"),
            ("/{a}/{b}/{a}", "same name"),
            ("/{a}/{*a}", "same name"),
            ("/{}", "valid name"),
            ("/{a/b}", "valid name"),
            ("/{*a}/b", "end of a route"),
            ("/%61/b/", "conflict"),
        ] {
            let mut routes = PathMap::new();
            routes.insert("/a/./b/", |_| ());
            let panicked = catch_unwind(AssertUnwindSafe(|| routes.insert(route, |_| ())));
            let message = *panicked.expect_err(route).downcast::<String>().expect("a message");
            assert!(message.starts_with(&format!("route {route:?}: ")), "{message}");
            assert!(message.contains(why), "{message}");
        }
    }

    /// Returns the parameters of a path as `name=value`.
    fn params(routes: &PathMap<()>, path: &str) -> Result<Vec<String>, InvalidParam> {
        let params = routes.at(path).expect(path).params()?;
        Ok(params.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn parameters_are_decoded() {
        let mut routes = PathMap::new();
        routes.insert("/rooms/{room}/{*rest}", |_| ());
        routes.insert("/users/{user}", |_| ());
        for (path, expected) in [
            ("/rooms/caf%C3%A9/a/b%20c", &["room=caf\u{e9}", "rest=a/b c"][..]),
            ("/rooms/a%2Fb/c//d/", &["room=a/b", "rest=c//d/"]),
            ("/rooms/%2525/%252F", &["room=%25", "rest=%2F"]),
            ("/users/..a", &["user=..a"]),
        ] {
            assert_eq!(params(&routes, path).expect(path), expected, "{path}");
        }
    }

    #[test]
    fn a_parameter_is_text_and_leads_nowhere_else() {
        let mut routes = PathMap::new();
        routes.insert("/rooms/{room}/{*rest}", |_| ());
        routes.insert("/users/{user}", |_| ());
        for (path, error) in [
            ("/users/%FF", InvalidParam::NotUtf8),
            ("/users/%C3", InvalidParam::NotUtf8),
            ("/users/a%00", InvalidParam::Control),
            ("/users/a%0Ab", InvalidParam::Control),
            ("/users/%1B", InvalidParam::Control),
            ("/users/%C2%9B", InvalidParam::Control),
            ("/users/..%2Fa", InvalidParam::Traversal),
            ("/users/a%2F..%2Fb", InvalidParam::Traversal),
            ("/users/a%2F.", InvalidParam::Traversal),
            ("/users/a%5C..", InvalidParam::Traversal),
            ("/users/%2Fetc", InvalidParam::Traversal),
            ("/users/%5C%5Chost", InvalidParam::Traversal),
            ("/rooms/a//etc", InvalidParam::Traversal),
            ("/users/C:%5Cx", InvalidParam::Traversal),
            ("/users/c:%2Fx", InvalidParam::Traversal),
            ("/rooms/a/b/..%5Cc", InvalidParam::Separator),
            ("/rooms/a/C:%5Cx", InvalidParam::Separator),
            ("/rooms/a/C:/x", InvalidParam::Traversal),
            ("/rooms/a/..%2F..", InvalidParam::Separator),
            ("/rooms/a/b%2Fc", InvalidParam::Separator),
            ("/rooms/%FF/a", InvalidParam::NotUtf8),
        ] {
            assert_eq!(params(&routes, path), Err(error), "{path}");
        }
    }
}
