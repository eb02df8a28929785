//! [`Rate`]: how many messages a peer may send.

/// The rate at which a peer may send messages: so many per second in the long run, and so many in a burst after the
/// peer has been quiet for long enough. (A token bucket: it holds up to `burst` tokens, gains `per_second` of them each
/// second, and each message takes one.)
///
/// ```
/// # use prism_driver::{Options, Rate};
/// let options = Options::default().message_rate(Some(Rate { per_second: 20, burst: 100 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The number of messages per second, in the long run. Zero counts as one.
    pub per_second: u32,
    /// The number of messages in a burst. Zero counts as one.
    pub burst: u32,
}
