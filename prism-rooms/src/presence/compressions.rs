//! [`Compressions`]: what has to be compressed, once no lock is held, before it can be sent.

use std::{mem, sync::Arc};

use prism_driver::CompressedForm;

use crate::shared_message::SharedMessage;

/// Messages that could not be sent yet, and the forms in which they have to be compressed first.
///
/// Compressing a state of 256 KiB takes milliseconds, and the end of a connection waits for the locks of its rooms. So
/// no room is locked meanwhile. But the messages are not sent as soon as they are compressed. The room is locked again,
/// and each watcher is sent what it needs by then. Otherwise, a watcher could receive a diff before its state, or a
/// message after it has stopped watching.
#[derive(Default)]
pub(super) struct Compressions(Vec<(Arc<SharedMessage>, CompressedForm)>);

impl Compressions {
    /// Adds a message, unless it is already to be compressed in this form.
    pub(super) fn add(&mut self, message: &Arc<SharedMessage>, form: &CompressedForm) {
        // There is at most a state and a diff, each in one form for each window.
        let is_known = self.0.iter().any(|(known, known_form)| {
            Arc::ptr_eq(known, message) && known_form.window() == form.window()
        });
        if !is_known {
            self.0.push((message.clone(), form.clone()));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compresses all of them. The caller must hold no lock.
    pub(super) fn run(&mut self) {
        for (message, form) in mem::take(&mut self.0) {
            message.compress(&form);
        }
    }
}
