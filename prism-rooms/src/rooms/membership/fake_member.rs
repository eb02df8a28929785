//! [`Fake`]: a member that is no connection. It hears, and it ends when it is told to.

use std::sync::Arc;

use super::{Hall, Stamp, Whom};
use crate::{member_records::Member, sync::Lock};

#[derive(Clone)]
pub(super) struct Fake(Arc<Inner>);

struct Inner {
    id: u32,
    /// There until it ends.
    hooks: Lock<Option<Vec<Hook>>>,
    heard: Lock<Vec<u32>>,
}

type Hook = Box<dyn FnOnce() + Send>;

impl Fake {
    pub(super) fn new(id: u32) -> Self {
        let (hooks, heard) = (Lock::new(Some(Vec::new())), Lock::new(Vec::new()));
        Self(Arc::new(Inner { id, hooks, heard }))
    }

    pub(super) fn end(&self) {
        let hooks = self.0.hooks.lock().take();
        hooks.into_iter().flatten().for_each(|hook| hook());
    }

    pub(super) fn heard(&self) -> Vec<u32> {
        self.0.heard.lock().clone()
    }
}

impl Member for Fake {
    type Id = u32;

    fn id(&self) -> u32 {
        self.0.id
    }

    fn on_end(&self, hook: impl FnOnce() + Send + 'static) {
        let mut hooks = self.0.hooks.lock();
        if let Some(hooks) = &mut *hooks {
            return hooks.push(Box::new(hook));
        }
        drop(hooks);
        hook();
    }
}

impl Hall<Fake> {
    pub(super) fn say(&self, rooms: &[&str], word: u32) -> Stamp {
        self.each(&Whom::In(rooms.to_vec()), |_, member| member.0.heard.lock().push(word))
    }

    pub(super) fn say_to_everyone(&self, word: u32) -> Stamp {
        self.each(&Whom::Everyone, |_, member| member.0.heard.lock().push(word))
    }

    /// Who is in the room, sorted. Panics where two records of the same thing differ.
    pub(super) fn members(&self, room: &str) -> Vec<u32> {
        let members = self.look(room, |members| members.keys().copied().collect());
        let mut members: Vec<u32> = members.unwrap_or_default();
        members.sort_unstable();
        assert!(members.iter().all(|id| self.contains(room, *id)), "a member does not know it");
        let there = self.rooms().names().iter().any(|name| **name == *room);
        assert_eq!(there, !members.is_empty(), "the room {room} of {members:?} is there: {there}");
        members
    }
}
