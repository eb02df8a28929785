//! [`contain`]: runs foreign code, and contains its panics.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// A future of the application, with its type erased.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs application code and returns its output, or `None` if it panics. The panic does not propagate; the panic hook
/// has reported it. With `panic = "abort"` this has no effect.
#[doc(hidden)] // for prism-rooms
pub fn contain<T>(act: impl FnOnce() -> T) -> Option<T> {
    let payload = match catch_unwind(AssertUnwindSafe(act)) {
        Ok(output) => return Some(output),
        Err(payload) => payload,
    };
    // The destructor of the payload is foreign code as well, and may panic in turn.
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
    None
}

/// A future of the application whose panics are contained, even those of its destructor. Its output is `None` if it
/// panics.
pub(crate) struct Contained<T>(Option<BoxFuture<T>>);

impl<T> Contained<T> {
    /// Calls a function that creates a future.
    pub(crate) fn call(create: impl FnOnce() -> BoxFuture<T>) -> Self {
        Self(contain(create))
    }

    fn drop_future(&mut self) {
        if let Some(future) = self.0.take() {
            contain(|| drop(future));
        }
    }
}

impl<T> Future for Contained<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(future) = &mut self.0 else { return Poll::Ready(None) };
        let output = match contain(|| future.as_mut().poll(cx)) {
            Some(Poll::Pending) => return Poll::Pending,
            Some(Poll::Ready(output)) => Some(output),
            None => None,
        };
        self.drop_future();
        Poll::Ready(output)
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        self.drop_future();
    }
}

/// Does what [`contain`] does, for code that runs under one of our locks: the payload of a panic is leaked, because its
/// destructor might take the lock.
pub(crate) fn contain_locked<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).map_err(mem::forget).ok()
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::contain;

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic_any("another, on purpose");
        }
    }

    #[test]
    fn a_panic_and_that_of_its_payload_are_contained() {
        assert_eq!(contain(|| 7), Some(7));
        assert_eq!(contain(|| panic!("on purpose")), None::<()>);
        assert_eq!(contain(|| panic_any(PanicsOnDrop)), None::<()>);
    }

    #[test]
    fn a_panic_during_unwinding_is_contained() {
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
