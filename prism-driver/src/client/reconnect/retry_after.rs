//! `Retry-After`: how long a server asks clients to wait (RFC 9110 §10.2.3).

use std::time::{Duration, SystemTime};

use httpdate::parse_http_date;

use crate::error::refusal::Refusal;

/// Returns how long the server asks to wait after a refusal; `None` if it does not say, or not as RFC 9110 demands.
pub(super) fn retry_after(refusal: &Refusal) -> Option<Duration> {
    let value = refusal.header("Retry-After")?;
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // The only error is a number that is too large.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = parse_http_date(value).ok()?;
    // A date by the server's clock is compared with the time by the same clock, because ours may be wrong.
    let server_time = refusal.header("Date").and_then(|date| parse_http_date(date.trim()).ok());
    let now = server_time.unwrap_or_else(SystemTime::now);
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use httpdate::fmt_http_date;

    use super::retry_after;
    use crate::error::refusal::Refusal;

    fn asked(headers: &[(&str, &str)]) -> Option<Duration> {
        let headers = headers.iter().map(|(name, value)| (String::from(*name), (*value).into()));
        retry_after(&Refusal {
            status: 503,
            headers: headers.collect(),
            body: Vec::new(),
            redirects: 0,
        })
    }

    const fn s(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn a_number_is_in_seconds() {
        for (value, expected) in [
            ("120", s(120)),
            (" 0 ", s(0)),
            ("18446744073709551616", s(u64::MAX)),
            ("", None),
            ("+5", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(asked(&[("retry-after", value)]), expected, "{value:?}");
        }
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[("Retry-After", "1"), ("Retry-After", "2")]), None);
    }

    #[test]
    fn a_date_is_compared_with_the_date_of_the_response() {
        let date = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (value, expected) in [
            ("Sun, 06 Nov 1994 08:50:37 GMT", s(60)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", s(10)),
            ("Sun Nov  6 08:49:38 1994", s(1)),
            ("Sun, 06 Nov 1994 08:49:36 GMT", s(0)),
            ("Sun, 06 Nov 1994 08:50:37", None),
        ] {
            assert_eq!(asked(&[date, ("Retry-After", value)]), expected, "{value:?}");
        }
    }

    #[test]
    fn without_a_date_of_the_response_our_clock_counts() {
        let then = fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
        for date in [None, Some(("Date", "yesterday"))] {
            let headers: Vec<_> = date.into_iter().chain([("Retry-After", &*then)]).collect();
            let asked = asked(&headers).expect("a date");
            assert!((3500..=3600).contains(&asked.as_secs()), "{asked:?}");
        }
    }
}
