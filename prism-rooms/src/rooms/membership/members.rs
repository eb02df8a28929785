//! [`Members`]: the members of a room, and the compressed forms in which they need their messages.

use indexmap::IndexMap;
use prism_driver::CompressedForm;

use super::forms::Forms;
use crate::{directory::Vacancy, member_records::Member, shared_message::SharedMessage};

/// The members of a room.
pub(crate) struct Members<M: Member> {
    /// An `IndexMap`, whose entries are close together in memory: a broadcast iterates over them.
    by_id: IndexMap<M::Id, M>,
    forms: Forms,
}

impl<M: Member> Members<M> {
    /// Adds a member, which must not be in there already.
    pub(super) fn insert(&mut self, member: &M) {
        if let Some(form) = member.compressed_form() {
            self.forms.add(form);
        }
        let replaced = self.by_id.insert(member.id(), member.clone());
        debug_assert!(replaced.is_none(), "its form would be counted twice");
    }

    /// Removes a member and returns it.
    #[must_use]
    pub(super) fn remove(&mut self, id: M::Id) -> Option<M> {
        let member = self.by_id.swap_remove(&id)?;
        if let Some(form) = member.compressed_form() {
            self.forms.remove(form);
        }
        Some(member)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = M::Id> {
        self.by_id.keys().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (M::Id, &M)> {
        self.by_id.iter().map(|(id, member)| (*id, member))
    }

    /// Returns the forms in which a message has yet to be compressed for these members.
    pub(super) fn forms_lacking(&self, message: &SharedMessage) -> Vec<CompressedForm> {
        self.forms.lacking(message)
    }
}

impl<M: Member> Default for Members<M> {
    fn default() -> Self {
        Self { by_id: IndexMap::new(), forms: Forms::default() }
    }
}

impl<M: Member> Vacancy for Members<M> {
    fn is_vacant(&self) -> bool {
        self.by_id.is_empty()
    }
}
