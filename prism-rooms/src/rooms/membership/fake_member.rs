//! [`FakeMember`]: a member that is not a connection. It records what it receives, and ends on demand.

use std::sync::Arc;

use super::{Membership, Scope};
use crate::{member_records::Member, stamp::Stamp, sync::Lock};

#[derive(Clone)]
pub(super) struct FakeMember(Arc<Inner>);

struct Inner {
    id: u32,
    /// `None` once the member has ended.
    hooks: Lock<Option<Vec<Hook>>>,
    received: Lock<Vec<u32>>,
}

type Hook = Box<dyn FnOnce() + Send>;

impl FakeMember {
    pub(super) fn new(id: u32) -> Self {
        let (hooks, received) = (Lock::new(Some(Vec::new())), Lock::new(Vec::new()));
        Self(Arc::new(Inner { id, hooks, received }))
    }

    pub(super) fn end(&self) {
        let hooks = self.0.hooks.lock().take();
        hooks.into_iter().flatten().for_each(|hook| hook());
    }

    pub(super) fn received(&self) -> Vec<u32> {
        self.0.received.lock().clone()
    }
}

impl Member for FakeMember {
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

impl Membership<FakeMember> {
    pub(super) fn broadcast(&self, rooms: &[&str], message: u32) -> Stamp {
        self.for_each(&Scope::Rooms(rooms.to_vec()), Stamp::next, |_, member| {
            member.0.received.lock().push(message);
        })
    }

    pub(super) fn broadcast_to_everyone(&self, message: u32) -> Stamp {
        self.for_each(&Scope::Everyone, Stamp::next, |_, member| {
            member.0.received.lock().push(message);
        })
    }

    /// Returns the members of a room, sorted. Panics if two views of the membership disagree.
    pub(super) fn members(&self, room: &str) -> Vec<u32> {
        let members = self.with_members(room, |members| members.ids().collect());
        let mut members: Vec<u32> = members.unwrap_or_default();
        members.sort_unstable();
        assert!(
            members.iter().all(|id| self.contains(room, *id)),
            "a member's record lacks the room"
        );
        let exists = self.rooms().names().iter().any(|name| **name == *room);
        assert_eq!(exists, !members.is_empty(), "room {room}, members {members:?}");
        members
    }
}
