//! [`contain`]: running what is not ours.

use crate::sync::assert_none_is_held;

/// Runs code of the application's. A panic in it, which its hook has told, ends here.
pub(crate) fn contain(act: impl FnOnce()) {
    assert_none_is_held();
    prism_driver::contain(act);
}
