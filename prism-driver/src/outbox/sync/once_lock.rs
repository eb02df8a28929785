//! A `OnceLock` for loom, which has none.

use std::sync::{OnceLock as StdOnceLock, atomic::Ordering};

use loom::sync::{Mutex, atomic::AtomicBool};

#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    value: StdOnceLock<T>,
    is_set: AtomicBool,
    setting: Mutex<()>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        let (value, is_set) = (StdOnceLock::new(), AtomicBool::new(false));
        Self { value, is_set, setting: Mutex::new(()) }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.is_set.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        // The standard library's lock would block a thread without loom's knowledge.
        let _setting = self.setting.lock().unwrap();
        if self.value.get().is_none() {
            let value = init();
            assert!(self.value.set(value).is_ok(), "only one thread sets it");
            self.is_set.store(true, Ordering::Release);
        }
        self.value.get().unwrap()
    }
}
