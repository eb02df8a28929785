//! [`Forms`]: the compressed forms in which members need their messages.

use std::sync::atomic::{AtomicUsize, Ordering};

use prism_driver::{CompressedForm, PreparedMessage};

use crate::sync::Lock;

/// The compressed forms in which members need their messages. A message is compressed before any room is locked, once
/// for each form, so that members with the same form do not compress it again, and no sender waits for that.
///
/// A form whose last member leaves while a message is sent may be made in vain, and one whose first member joins then
/// may be missing. In that case, the message is compressed when it is sent to that member.
#[derive(Debug)]
pub(crate) struct Forms {
    needed: Lock<Vec<Needed>>,
    /// The number of forms, so that senders without compression do not touch the lock.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Needed {
    form: CompressedForm,
    members: usize,
}

impl Forms {
    pub(crate) fn new() -> Self {
        Self { needed: Lock::new(Vec::new()), count: AtomicUsize::new(0) }
    }

    /// Adds a member that needs this form.
    pub(crate) fn add(&self, form: &CompressedForm) {
        let mut needed = self.needed.lock();
        match needed.iter_mut().find(|needed| needed.form.window() == form.window()) {
            Some(needed) => needed.members += 1,
            None => needed.push(Needed { form: form.clone(), members: 1 }),
        }
        self.count.store(needed.len(), Ordering::Relaxed);
    }

    /// Removes a member that needed this form.
    pub(crate) fn remove(&self, form: &CompressedForm) {
        let mut needed = self.needed.lock();
        if let Some(at) = needed.iter().position(|needed| needed.form.window() == form.window()) {
            needed[at].members -= 1;
            if needed[at].members == 0 {
                needed.swap_remove(at);
            }
        }
        self.count.store(needed.len(), Ordering::Relaxed);
    }

    /// Compresses a message in all forms that are needed.
    pub(crate) fn prepare(&self, message: &PreparedMessage) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let forms: Vec<_> = self.needed.lock().iter().map(|needed| needed.form.clone()).collect();
        for form in forms {
            form.prepare(message);
        }
    }
}
