//! [`Extension`]: an element of `Sec-WebSocket-Extensions` (RFC 6455 §9.1).

use crate::handshake::http::tokens::is_tchar;

/// An extension that a header offers or accepts, with its parameters.
#[derive(Clone, Copy)]
pub(crate) struct Extension<'a> {
    pub(crate) name: &'a [u8],
    /// What follows the name, known to be well-formed.
    rest: &'a [u8],
}

/// A parameter of an extension.
pub(crate) struct Param<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: Option<ParamValue<'a>>,
}

/// A token, which may have been quoted.
#[derive(Clone, Copy)]
pub(crate) struct ParamValue<'a>(&'a [u8]);

/// The error of a header that does not follow the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Returns whether the values of `Sec-WebSocket-Extensions` follow the grammar of RFC 6455 §9.1,
/// with empty elements ignored. No extension at all is valid too.
pub(crate) fn are_extensions<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> bool {
    values.all(|value| Elements(Cursor(value)).all(|extension| extension.is_ok()))
}

/// Returns the extensions in the values of `Sec-WebSocket-Extensions`, one for each line. Nothing of a
/// value follows its first error.
pub(crate) fn extensions<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
) -> impl Iterator<Item = Result<Extension<'a>, Malformed>> {
    values.into_iter().flat_map(|value| Elements(Cursor(value)))
}

impl<'a> Extension<'a> {
    /// Returns the parameters, in their order.
    pub(crate) fn params(self) -> impl Iterator<Item = Param<'a>> {
        let mut cursor = Cursor(self.rest);
        core::iter::from_fn(move || cursor.param().ok().flatten())
    }
}

impl<'a> ParamValue<'a> {
    /// Returns the bytes, without the backslashes of a quoted string. (A token contains none.)
    pub(crate) fn bytes(self) -> impl Iterator<Item = u8> + use<'a> {
        self.0.iter().copied().filter(|&byte| byte != b'\\')
    }
}

/// An iterator over the elements of one value: `extension-list = 1#extension`.
struct Elements<'a>(Cursor<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Extension<'a>, Malformed>;

    // Inlined, so that a check without use for the extensions does not make them.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.0.skip_blanks();
            match self.0.0 {
                [] => return None,
                [b',', rest @ ..] => self.0.0 = rest,
                _ => break,
            }
        }
        let extension = self.0.extension();
        match (extension, self.0.0) {
            (Ok(extension), [] | [b',', ..]) => Some(Ok(extension)),
            _ => {
                self.0.0 = &[];
                Some(Err(Malformed))
            }
        }
    }
}

/// The rest of a value. It only advances, so that every value takes linear time.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// `extension = extension-token *( ";" extension-param )`
    #[inline(always)]
    fn extension(&mut self) -> Result<Extension<'a>, Malformed> {
        let name = self.token()?;
        let all = self.0;
        while self.param()?.is_some() {}
        Ok(Extension { name, rest: &all[..all.len() - self.0.len()] })
    }

    /// Parses a semicolon and `extension-param = token [ "=" (token | quoted-string) ]`. Returns `None`
    /// if there is no semicolon.
    #[inline(always)] // for the same reason
    fn param(&mut self) -> Result<Option<Param<'a>>, Malformed> {
        if !self.take(b';') {
            return Ok(None);
        }
        let name = self.token()?;
        let value = if self.take(b'=') { Some(ParamValue(self.value()?)) } else { None };
        Ok(Some(Param { name, value }))
    }

    /// Parses the value of a parameter. Returns a quoted string without its quotes.
    fn value(&mut self) -> Result<&'a [u8], Malformed> {
        self.skip_blanks();
        if !self.take(b'"') {
            return self.token();
        }
        // "When using the quoted-string syntax variant, the value after quoted-string unescaping
        // MUST conform to the 'token' ABNF" (RFC 6455 §9.1).
        let quoted = self.0;
        while let [b'\\', byte, rest @ ..] | [byte, rest @ ..] = self.0
            && is_tchar(*byte)
        {
            self.0 = rest;
        }
        let value = &quoted[..quoted.len() - self.0.len()];
        if value.is_empty() || !self.take(b'"') {
            return Err(Malformed);
        }
        self.skip_blanks();
        Ok(value)
    }

    /// Parses a token, and the blanks around it.
    fn token(&mut self) -> Result<&'a [u8], Malformed> {
        self.skip_blanks();
        let end = self.0.iter().position(|&byte| !is_tchar(byte)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        self.skip_blanks();
        if token.is_empty() { Err(Malformed) } else { Ok(token) }
    }

    fn take(&mut self, byte: u8) -> bool {
        let Some(rest) = self.0.strip_prefix(&[byte]) else { return false };
        self.0 = rest;
        true
    }

    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String, vec::Vec};

    use super::{Extension, are_extensions, extensions};

    fn lines<'a>(values: &'a [&'a str]) -> impl Iterator<Item = &'a [u8]> + Clone {
        values.iter().map(|value| value.as_bytes())
    }

    fn text(bytes: impl IntoIterator<Item = u8>) -> String {
        bytes.into_iter().map(char::from).collect()
    }

    #[test]
    fn extensions_follow_the_grammar() {
        for good in [
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate;client_max_window_bits=10 , x",
            "a; b = c ;d=\"e\" , ,f",
            "a; b=\"\\e\\f\"",
            "constructor; __proto__=toString",
            "",
            " \t",
            " , ,",
        ] {
            assert!(are_extensions(lines(&[good])), "{good}");
        }
        for bad in [
            "permessage-deflate; =1",
            "a;",
            "a b",
            "a; b=",
            "a; b c",
            ";a",
            "a; b=\"c",
            "a; b=\"\"",
            "a; b=\"c d\"",
            "a; b=\"c\\",
            "a; b=\"c\\\"",
            "a; b=\"c\"d",
            "a=b",
            "é",
        ] {
            assert!(!are_extensions(lines(&[bad])), "{bad}");
        }
        assert!(are_extensions(lines(&[])));
        assert!(are_extensions(lines(&["", "a"])));
        assert!(!are_extensions(lines(&["a;", "b"])));
    }

    #[test]
    fn extensions_and_parameters_come_in_order_and_without_quotes() {
        let values = ["a;b=c ; d, ,e", "f;g=\"h\\i\";j=k, ;l, m"];
        let shown: Vec<_> = extensions(lines(&values))
            .map(|extension| {
                let Ok(extension) = extension else { return String::from("malformed") };
                let name = text(extension.name.iter().copied());
                extension.params().fold(name, |shown, param| {
                    let value = param.value.map(|value| text(value.bytes()));
                    format!("{shown};{}={value:?}", text(param.name.iter().copied()))
                })
            })
            .collect();
        let expected =
            ["a;b=Some(\"c\");d=None", "e", "f;g=Some(\"hi\");j=Some(\"k\")", "malformed"];
        assert_eq!(shown, expected);
    }

    /// The lists are so long that only linear work ends in time. (The limit of a head is far lower.)
    #[test]
    fn long_lists_take_linear_time() {
        const LONG: usize = 1 << 20;
        for unit in [" ", "\"", "\\", ",", ";", "a;", "a,", " ,", "a;b=\"", "a;b=\"\\\\", "a\t;"] {
            for long in [unit.repeat(LONG / unit.len()), format!("a;b=\"{}", unit.repeat(LONG))] {
                are_extensions(lines(&[&long]));
            }
        }
        let long = format!("a; b=\"{}\"", "c".repeat(LONG));
        assert!(are_extensions(lines(&[&long])));
        let long = format!("a{}", ";b".repeat(LONG / 2));
        let params = extensions([long.as_bytes()]).flatten().flat_map(Extension::params);
        assert_eq!(params.count(), LONG / 2);
    }
}
