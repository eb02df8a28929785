//! Yardsticks: the cost of an item's bytes without parsing them.

use std::hint::black_box;

use super::{
    item::{Item, Work},
    library::Batch,
};
use crate::xor::xor;

/// Copies the payloads once, all together.
pub(super) fn copy(item: &Item) -> Option<Batch> {
    over_payloads(item, |_| ())
}

/// Copies the payloads once, all together, and masks them.
pub(super) fn copy_and_xor(item: &Item) -> Option<Batch> {
    match item.work {
        Work::Encode(prism_core::Role::Server) => None,
        _ => over_payloads(item, |bytes| xor(bytes, black_box([1, 2, 3, 4]))),
    }
}

fn over_payloads(item: &Item, then: impl Fn(&mut [u8]) + 'static) -> Option<Batch> {
    if !matches!(item.work, Work::Decode | Work::Encode(_)) {
        return None;
    }
    let from = [vec![0; item.place], item.payload().repeat(item.messages)].concat();
    let mut to = from[item.place..].to_vec();
    let place = item.place;
    Some(Box::new(move || {
        to.copy_from_slice(black_box(&from[place..]));
        then(&mut to);
        black_box(&to);
    }))
}
