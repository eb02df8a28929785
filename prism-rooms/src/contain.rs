//! [`contain`]: running what is not ours.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::sync::assert_none_is_held;

/// Runs code of the application's. A panic in it, which its hook has told, ends here.
pub(crate) fn contain(act: impl FnOnce()) {
    assert_none_is_held();
    if let Err(payload) = catch_unwind(AssertUnwindSafe(act))
        // That is the application's as well, and may panic in turn.
        && let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        mem::forget(another);
    }
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
        contain(|| panic!("on purpose"));
        contain(|| panic_any(Bomb));
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
