//! [`Turn`]: how much a session does before other tasks get a turn.

/// How many fragments are parsed in a turn. Each costs about a twentieth of a microsecond, so that
/// twenty peers that send nothing else keep another waiting for some milliseconds.
pub(crate) const FRAGMENTS_PER_TURN: u32 = 2048;

/// How much else is done in a turn, in units of what an event costs: a call of the handler, and mostly
/// a message that it sends.
const WORK: u32 = 256;

/// What a read costs: a system call.
const READ: u32 = 8;

/// So many of the bytes that a read brings cost a unit to copy, unmask and check.
const BYTES_PER_UNIT: usize = 2 << 10;

/// What a session has done in its turn. One that had to wait begins a new turn, for others have had
/// theirs meanwhile. Not every runtime sees to turns by itself, and none knows what a read brings.
pub(crate) struct Turn {
    done: u32,
}

impl Turn {
    pub(crate) const fn new() -> Self {
        Self { done: 0 }
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.done >= WORK
    }

    pub(crate) const fn end(&mut self) {
        self.done = WORK;
    }

    /// Begins a new turn if the session has waited.
    pub(crate) const fn renew_if(&mut self, waited: bool) {
        if waited {
            self.done = 0;
        }
    }

    pub(crate) const fn count_event(&mut self) {
        self.done += 1;
    }

    /// No buffer is so large that this could overflow.
    pub(crate) const fn count_read(&mut self, bytes: usize) {
        self.done = self.done.saturating_add((bytes / BYTES_PER_UNIT) as u32 + READ);
    }
}
