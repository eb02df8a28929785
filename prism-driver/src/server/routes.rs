//! [`Routes`]: what is at which path, and what the parameters of a route are in one.

use std::{borrow::Cow, fmt};

use prism_core::{normalize_path, percent_decode};

/// Values by the paths that they are for, in the syntax of `matchit`.
pub(crate) struct Routes<V> {
    tree: matchit::Router<Route<V>>,
}

struct Route<V> {
    value: V,
    /// Whether its last parameter takes all the rest of a path.
    takes_rest: bool,
}

/// What is at a path.
pub(crate) struct Found<'r, 'p, V> {
    pub(crate) value: &'r V,
    takes_rest: bool,
    params: matchit::Params<'r, 'p>,
}

/// The names and values of a route's parameters.
pub(crate) type Params = Vec<(Box<str>, Box<str>)>;

impl<V> Routes<V> {
    pub(crate) fn new() -> Self {
        Self { tree: matchit::Router::new() }
    }

    /// Gives a route what is made of its normal spelling, which is that of the paths that are
    /// looked up.
    ///
    /// # Panics
    /// If the route is malformed, or is taken already.
    pub(crate) fn insert(&mut self, route: &str, value: impl FnOnce(&str) -> V) {
        let inserted = Pattern::parse(route).map_err(str::to_owned).and_then(|pattern| {
            let value = Route { value: value(&pattern.normal), takes_rest: pattern.takes_rest };
            self.tree.insert(pattern.normal, value).map_err(|error| error.to_string())
        });
        if let Err(error) = inserted {
            panic!("route {route:?}: {error}");
        }
    }

    /// Finds what is at a path in its normal spelling.
    pub(crate) fn at<'r, 'p>(&'r self, path: &'p str) -> Option<Found<'r, 'p, V>> {
        let matchit::Match { value, params } = self.tree.at(path).ok()?;
        Some(Found { value: &value.value, takes_rest: value.takes_rest, params })
    }
}

impl<V> Found<'_, '_, V> {
    /// The parameters, decoded.
    pub(crate) fn params(&self) -> Result<Params, InvalidParam> {
        let last = self.params.len().saturating_sub(1);
        let decode = |(at, (name, value)): (usize, (&str, &str))| {
            let value = decode(value, self.takes_rest && at == last)?;
            Ok((name.into(), value.into()))
        };
        self.params.iter().enumerate().map(decode).collect()
    }
}

/// Decodes the value of a parameter, and refuses what nobody needs and many an application would
/// fall for: once decoded it is a name, and must not be more.
fn decode(value: &str, is_rest: bool) -> Result<Cow<'_, str>, InvalidParam> {
    // Decoded, it would be a separator among others: another path than the one that was authorised.
    if is_rest && (value.contains("%2F") || value.contains("%5C")) {
        return Err(InvalidParam::Separator);
    }
    // The path is in its normal spelling, so its escapes are well-formed.
    let value = percent_decode(value).map_err(|_| InvalidParam::NotUtf8)?;
    if value.contains(char::is_control) {
        return Err(InvalidParam::Control);
    }
    let is_dots = |segment| matches!(segment, "." | "..");
    if value.starts_with(SEPARATORS) || has_drive(&value) || value.split(SEPARATORS).any(is_dots) {
        return Err(InvalidParam::Traversal);
    }
    Ok(value)
}

/// Whether it begins with a drive, as `C:\` does: on Windows such a path is absolute.
fn has_drive(value: &str) -> bool {
    matches!(value.as_bytes(), [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic())
}

/// What file systems take for one.
const SEPARATORS: [char; 2] = ['/', '\\'];

/// Why a part of a path is not what a parameter can be.
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
            Self::NotUtf8 => "escapes in the path that are not UTF-8",
            Self::Separator => "escaped \"/\" or \"\\\" in a part of the path that has separators",
            Self::Traversal => "part of the path that leads elsewhere; expected a name",
        })
    }
}

/// A route in the spelling of the paths that it is for.
struct Pattern {
    normal: String,
    takes_rest: bool,
}

impl Pattern {
    /// The text between the parameters becomes what [`normalize_path`] makes of it. They themselves,
    /// `{name}` and `{*name}`, stay as they are; `{{` and `}}` are braces of the text.
    fn parse(route: &str) -> Result<Self, &'static str> {
        let Split { text, params } = Split::of(route)?;
        if !text.starts_with('/') {
            return Err("expected a path that begins with \"/\"");
        }
        let normal =
            normalize_path(&text).map_err(|_| "malformed escape; expected \"%\" and two digits")?;
        if normal.matches(PARAM).count() != params.len() {
            return Err("\"..\" behind a parameter");
        }
        let names = || params.iter().map(|param| param.trim_start_matches(['{', '*']));
        if names().enumerate().any(|(at, name)| names().skip(at + 1).any(|other| other == name)) {
            return Err("two parameters of the same name");
        }
        let takes_rest = params.last().is_some_and(|param| param.starts_with("{*"));
        let mut pieces = normal.split(PARAM);
        let first = pieces.next().unwrap_or_default().to_owned();
        let weave = |normal: String, (param, piece)| normal + param + piece;
        Ok(Self { normal: params.into_iter().zip(pieces).fold(first, weave), takes_rest })
    }
}

/// What stands for a parameter while the text around it is normalized: it stays as it is then, and
/// has no business in a path.
const PARAM: &str = "%00";

/// A route, taken apart.
struct Split<'a> {
    /// With [`PARAM`] for each parameter.
    text: String,
    /// With their braces.
    params: Vec<&'a str>,
}

impl<'a> Split<'a> {
    fn of(route: &'a str) -> Result<Self, &'static str> {
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
                    let end = end_of_param(rest).ok_or("a \"{\" without a \"}\"")?;
                    text.push_str(PARAM);
                    params.push(&rest[..end]);
                    end
                }
                ('}', _) => return Err("a \"}\" without a \"{\""),
                ('?' | '#', _) => return Err("expected a path alone, without a query"),
                ('%' | '\0', _) if rest.starts_with(PARAM) || next == '\0' => return Err("NUL"),
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

/// Where the parameter ends that this begins with: at its first brace that is not doubled.
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

    use super::{InvalidParam, Pattern, Routes};

    #[test]
    fn a_route_is_spelled_as_the_paths_that_it_is_for() {
        for (route, normal) in [
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
            assert_eq!(pattern.normal, normal, "{route}");
            assert_eq!(pattern.takes_rest, route.contains("{*"), "{route}");
        }
    }

    #[test]
    fn a_route_that_no_request_can_have_is_refused_with_the_reason() {
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
            ("/{a}/../b", "behind a parameter"),
            ("/{a}/{b}/{a}", "same name"),
            ("/{a}/{*a}", "same name"),
            ("/{}", "valid name"),
            ("/{a/b}", "valid name"),
            ("/{*a}/b", "end of a route"),
            ("/%61/b/", "conflict"),
        ] {
            let mut routes = Routes::new();
            routes.insert("/a/./b/", |_| ());
            let panicked = catch_unwind(AssertUnwindSafe(|| routes.insert(route, |_| ())));
            let message = *panicked.expect_err(route).downcast::<String>().expect("a message");
            assert!(message.starts_with(&format!("route {route:?}: ")), "{message}");
            assert!(message.contains(why), "{message}");
        }
    }

    /// The values of the parameters in a path.
    fn params(routes: &Routes<()>, path: &str) -> Result<Vec<String>, InvalidParam> {
        let params = routes.at(path).expect(path).params()?;
        Ok(params.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn parameters_are_decoded() {
        let mut routes = Routes::new();
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
        let mut routes = Routes::new();
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
