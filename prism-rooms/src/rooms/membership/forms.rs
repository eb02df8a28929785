//! [`Forms`]: the compressed forms in which the members of a room need their messages.

use prism_driver::{CompressedForm, WindowBits};

use crate::shared_message::SharedMessage;

/// The compressed forms in which the members of a room need their messages.
///
/// All messages for the same window are the same, except that each member has a threshold below which it needs none. So
/// the members are counted by window and threshold, and not by what else their settings say.
#[derive(Debug, Default)]
pub(super) struct Forms(
    /// Sorted by [`key`].
    Vec<Needed>,
);

#[derive(Debug)]
struct Needed {
    form: CompressedForm,
    members: usize,
}

impl Forms {
    /// Adds a member that needs this form.
    pub(super) fn add(&mut self, form: &CompressedForm) {
        match self.find(form) {
            Ok(at) => self.0[at].members += 1,
            Err(at) => self.0.insert(at, Needed { form: form.clone(), members: 1 }),
        }
    }

    /// Removes a member that needed this form.
    pub(super) fn remove(&mut self, form: &CompressedForm) {
        if let Ok(at) = self.find(form) {
            self.0[at].members -= 1;
            if self.0[at].members == 0 {
                self.0.remove(at);
            }
        }
    }

    /// Returns the forms in which a message has yet to be compressed, one for each window.
    pub(super) fn lacking(&self, message: &SharedMessage) -> Vec<CompressedForm> {
        let mut lacking: Vec<_> =
            self.0.iter().map(|needed| &needed.form).filter(|form| message.lacks(form)).collect();
        lacking.dedup_by_key(|form| form.window());
        lacking.into_iter().cloned().collect()
    }

    fn find(&self, form: &CompressedForm) -> Result<usize, usize> {
        self.0.binary_search_by_key(&key(form), |needed| key(&needed.form))
    }
}

fn key(form: &CompressedForm) -> (WindowBits, usize) {
    (form.window(), form.threshold())
}
