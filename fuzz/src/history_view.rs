//! [`HistoryView`]: what a client knows of the history of a room, and whether that can be.

use prism_rooms::{Joined, Position};

/// What a client knows of the history of a room. Messages follow each other; what is missing is said, sooner or later.
#[derive(Default)]
pub struct HistoryView {
    /// The position with which the client has come.
    after: Option<Position>,
    /// The position of the last message.
    last: Option<Position>,
    /// Where messages go on, since a call has returned that some are missing.
    resumes: Option<Position>,
    /// Whether messages are missing that nobody has spoken of.
    has_gap: bool,
    /// Whether a call has just returned that some are missing: perhaps those.
    is_broken: bool,
}

impl HistoryView {
    /// Creates the view of a client that comes with a position.
    pub fn new(after: Option<Position>) -> Self {
        Self { last: after.clone(), after, ..Self::default() }
    }

    /// Handles that the client is a member, before messages that have arrived since the last call here.
    pub fn joined(&mut self, joined: Joined) {
        match joined {
            Joined::Whole { position, repeated } => {
                assert!(!self.has_gap, "something is missing");
                if let Some(after) = &self.after {
                    let expected = (after.epoch(), after.offset() + repeated);
                    assert_eq!((position.epoch(), position.offset()), expected);
                } else {
                    assert_eq!(repeated, 0);
                    self.last = Some(position);
                }
            }
            Joined::Broken { position } => {
                self.is_broken = true;
                if self.after.is_none() {
                    self.last = Some(position);
                } else {
                    self.resumes = Some(position);
                }
            }
            other => panic!("it was no member: {other:?}"),
        }
    }

    /// Handles that the client was told that it may have missed something, up to a position.
    pub fn handle_gap(&mut self, position: Position) {
        self.last = Some(position);
        self.resumes = None;
        self.has_gap = false;
    }

    /// Handles a message.
    pub fn receive(&mut self, position: Position) {
        let follows = |last: &Position| {
            (position.epoch(), position.offset()) == (last.epoch(), last.offset() + 1)
        };
        if self.resumes.as_ref().is_some_and(follows) {
            self.resumes = None;
        } else if let Some(last) = &self.last
            && !follows(last)
        {
            let is_later = position.offset() > last.offset();
            assert!(is_later || position.epoch() != last.epoch(), "{position} after {last}");
            self.has_gap = true;
        }
        self.last = Some(position);
    }

    /// Handles that there are no more messages now. Unless a call is about to return, the client knows of all that is
    /// missing.
    pub fn settled(&mut self, is_joining: bool) {
        if self.is_broken {
            (self.is_broken, self.has_gap) = (false, false);
        }
        assert!(is_joining || !self.has_gap, "something is missing, and nobody says so");
    }

    /// Checks that the client has all messages up to one.
    pub fn check(&self, last: &Position) {
        assert_eq!(self.last.as_ref(), Some(last));
    }
}
