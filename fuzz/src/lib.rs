//! Shared by the fuzz targets: what must hold for a machine (RFC 6455), whatever bytes it gets, and
//! streams that are nearly valid. The helpers are those of the tests of `prism-core` and `prism-driver`.

pub mod agreement;
pub mod backplane;
#[expect(dead_code, reason = "the tests of prism-core use more of it")]
#[path = "../../prism-core/tests/common/mod.rs"]
pub mod common;
pub mod drive;
#[expect(dead_code, reason = "the tests of prism-driver use more of it")]
#[allow(unfulfilled_lint_expectations, reason = "here its items are public")]
#[path = "../../prism-driver/tests/common/mod.rs"]
pub mod driver;
pub mod ended_session;
pub mod handler;
pub mod heads;
pub mod history_client;
mod history_view;
pub mod messages;
pub mod model;
pub mod other_session;
pub mod protocol;
pub mod reference;
mod stream;
pub mod view;
pub mod waiting;

use common::{
    Seen,
    frame::{CLOSE, sent_by},
    machine::{Machine, limited},
};
use prism_core::{Role, State};

pub use stream::{Part, encode_all};

/// The limit for a message, small enough for the fuzzer to find both sides of it.
pub const LIMIT: usize = 300;

/// Everything that a stream does to a machine.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The events, and the error if there was one.
    pub seen: Vec<Seen>,
    /// The output.
    pub sent: Vec<u8>,
    /// The final state.
    pub state: State,
}

/// Feeds a stream in pieces, and checks what must hold for any stream.
///
/// # Panics
/// If a check fails.
pub fn feed<'a>(role: Role, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut machine = Machine::new(role, &limited(LIMIT));
    let mut seen = Vec::new();
    let mut fed = 0;
    for piece in pieces {
        fed += piece.len();
        let news = machine.receive(piece);
        match seen.last() {
            Some(error @ Seen::Error(_)) => {
                assert!(news.iter().all(|seen| seen == error), "fused, but {news:?}");
            }
            Some(Seen::Close(..)) => assert_eq!(news, [], "nothing after a close frame"),
            _ => seen.extend(news),
        }
        let (capacity, len) = (machine.buffer.capacity(), machine.buffer.unparsed().len());
        assert!(capacity <= 4 * fed + 64, "{capacity} bytes held after {fed}");
        if machine.state() == State::Open {
            assert!(len < 125, "{len} bytes are more than an incomplete header or control frame");
        }
    }
    check_end(&seen, &machine);
    Outcome { seen, state: machine.state(), sent: machine.out.into() }
}

/// Checks the output against the events.
fn check_end(seen: &[Seen], machine: &Machine) {
    let sent = sent_by(machine.role, &machine.out); // whole, valid frames, masked if necessary
    let (last, before) = seen.split_last().map_or((None, seen), |(last, rest)| (Some(last), rest));
    assert!(
        before.iter().all(|seen| !matches!(seen, Seen::Error(_) | Seen::Close(..))),
        "{seen:?}"
    );
    let told = sent.last().filter(|frame| frame.opcode() == CLOSE).map(|frame| frame.close_code());
    let over = match last {
        Some(Seen::Error(error)) => {
            assert_eq!(told, Some(error.close_code().map(u16::from)));
            true
        }
        Some(Seen::Close(1005, _)) => {
            assert_eq!(told, Some(None), "echoed");
            true
        }
        Some(Seen::Close(code, _)) => {
            assert_eq!(told, Some(Some(*code)), "echoed");
            true
        }
        _ => false,
    };
    assert_eq!(machine.state(), if over { State::Closing } else { State::Open });
    assert_eq!(machine.ws.wants_shutdown(), over && machine.role == Role::Server);
    let pings =
        seen.iter().filter_map(|seen| if let Seen::Ping(ping) = seen { Some(ping) } else { None });
    let pongs = &sent[..sent.len() - usize::from(over)];
    assert!(pings.eq(pongs.iter().map(|frame| &frame.payload)), "each ping has its pong, in order");
    for message in seen {
        let len = match message {
            Seen::Text(text) => text.len(),
            Seen::Binary(bytes) => bytes.len(),
            _ => 0,
        };
        assert!(len <= LIMIT);
    }
}

/// Cuts a stream at these places, which are in any order and modulo its length.
pub fn cut<'a>(stream: &'a [u8], cuts: &[u16]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> =
        cuts.iter().map(|cut| usize::from(*cut) % (stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.windows(2).map(|place| &stream[place[0]..place[1]]).collect()
}
