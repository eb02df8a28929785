//! [`Rate`]: how many messages a peer may send.

/// How many messages a peer may send: a number per second, and a number at once after it has been quiet for long
/// enough. (A token bucket: it holds up to `burst` tokens, gains `per_second` of them each second, and each message
/// takes one.)
///
/// ```
/// use prism_driver::{Options, Rate};
///
/// let options = Options::default().message_rate(Some(Rate { per_second: 20, burst: 100 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many messages per second, in the long run. Zero counts as one.
    pub per_second: u32,
    /// How many messages at once. Zero counts as one.
    pub burst: u32,
}
