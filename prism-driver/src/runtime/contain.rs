//! [`contain`]: running what is not ours.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs code of the application's, and returns what it gives; `None` if it panics. The panic, which its
/// hook has told, ends here.
pub fn contain<T>(act: impl FnOnce() -> T) -> Option<T> {
    let payload = match catch_unwind(AssertUnwindSafe(act)) {
        Ok(output) => return Some(output),
        Err(payload) => payload,
    };
    // That is the application's as well, and may panic in turn.
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
    None
}

/// As [`contain`], where one of our locks is held: the payload of a panic is leaked, for its destructor
/// could want the lock as well.
pub(crate) fn contain_locked<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).map_err(mem::forget).ok()
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::contain;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any("another, on purpose");
        }
    }

    #[test]
    fn a_panic_ends_here_and_so_does_that_of_its_payload() {
        assert_eq!(contain(|| 7), Some(7));
        assert_eq!(contain(|| panic!("on purpose")), None::<()>);
        assert_eq!(contain(|| panic_any(Bomb)), None::<()>);
    }

    #[test]
    fn so_does_a_panic_while_another_unwinds() {
        struct Contains;
        impl Drop for Contains {
            fn drop(&mut self) {
                contain(|| panic!("the second, on purpose"));
            }
        }
        contain(|| {
            let _contains = Contains;
            panic!("the first, on purpose");
        });
    }
}
