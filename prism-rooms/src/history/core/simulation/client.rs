//! [`Client`]: what a client of the simulation has of a room, and what it was told.

use super::{happened::Happened, model::Model};
use crate::history::{error::HistoryJoinError, joined::Joined, position::Position, start::Start};

/// What a client has of a room. It keeps its position while it is away.
#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    pub(super) position: Option<Position>,
    pub(super) state: State,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Out,
    Joining(Joining),
    In,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Joining {
    /// The number of the request.
    number: u64,
    /// How many of the last messages it wants, if it has come without a position.
    recent: Option<u64>,
    /// How many messages it has received since.
    received: u64,
    /// What it has received as a member, before it has learned that it is one.
    early: Vec<Early>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Early {
    Received(Position),
    Warned(Position),
}

impl Client {
    /// Begins to join, from the position on that it has. Otherwise it wants the last messages, up to a number.
    pub(super) fn start_joining(&mut self, number: u64, start: &Start) {
        assert_eq!(self.state, State::Out);
        let recent = match start {
            Start::Recent(count) => Some(*count),
            Start::After(_) => None,
        };
        self.state = State::Joining(Joining { number, recent, received: 0, early: Vec::new() });
    }

    /// Receives a record, which has to follow what the client has. A new client may begin with any.
    pub(super) fn receive(&mut self, position: Position) {
        let last = self.position.as_ref();
        let follows = match (last, &self.state) {
            (Some(last), _) => {
                last.is_same_epoch(&position) && last.offset() + 1 == position.offset()
            }
            (None, State::Joining(joining)) => joining.recent.is_some_and(|count| count > 0),
            (None, _) => false,
        };
        match &mut self.state {
            State::Out => panic!("{position} is received after the client has left"),
            State::In => assert!(follows, "{position} is received after {last:?}"),
            State::Joining(joining) if follows && joining.early.is_empty() => joining.received += 1,
            State::Joining(joining) => return joining.early.push(Early::Received(position)),
        }
        self.position = Some(position);
    }

    /// Is told that it may have missed something.
    pub(super) fn warn(&mut self, position: Position, model: &Model, has_refused: bool) {
        match &mut self.state {
            State::Out => panic!("{position} is told after the client has left"),
            State::In => {
                let had = self.position.as_ref().expect("a member knows where it is");
                model.check_told(had, &position, has_refused);
                self.position = Some(position);
            }
            State::Joining(joining) => joining.early.push(Early::Warned(position)),
        }
    }

    /// Learns what has become of a request to join.
    pub(super) fn learn(
        &mut self,
        number: u64,
        joined: Result<Joined, HistoryJoinError>,
        model: &Model,
        has_refused: bool,
        happened: &mut Happened,
    ) {
        let Joining { recent, received, early, .. } = match &self.state {
            State::Joining(joining) if joining.number == number => joining.clone(),
            // It has left since, and perhaps joined again.
            _ => return happened.left += 1,
        };
        self.state = State::In;
        match joined {
            Ok(Joined::Whole { position, repeated }) => {
                if let Some(count) = recent {
                    model.check_recent(&position, repeated, count);
                    happened.recent += repeated as usize;
                }
                if let Some(last) = &self.position {
                    assert!(last.is_same_epoch(&position), "{last} is not {position}");
                    // Some that it has received since it is a member were not repeated.
                    let since = last.offset().checked_sub(position.offset());
                    let since = since.expect("it has got that far");
                    assert_eq!(repeated + since, received);
                } else {
                    assert_eq!((repeated, received), (0, 0));
                    self.position = Some(position);
                }
                happened.whole += 1;
                happened.repeated += repeated as usize;
            }
            Ok(Joined::Broken { position }) => {
                let had = self.position.replace(position.clone()).expect("it had one");
                model.check_told(&had, &position, false);
                happened.broken += 1;
            }
            Err(HistoryJoinError::Unavailable) => {
                self.state = State::Out;
                happened.unavailable += 1;
                return;
            }
            other => panic!("{other:?}"),
        }
        for early in early {
            match early {
                Early::Received(position) => self.receive(position),
                Early::Warned(position) => self.warn(position, model, has_refused),
            }
        }
    }
}
