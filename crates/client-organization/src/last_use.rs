//! When something was last used, told to the database now and then and never by the request itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use mai_primitives::UnixTime;

/// A row that was touched within this time is not touched again.
const PRECISION_SECONDS: i64 = 60;

/// How many uses may wait. More are lost, which shows as an older time.
const AT_MOST: usize = 10_000;

/// Uses that wait to be written, by id. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct LastUses(Arc<Mutex<BTreeMap<String, UnixTime>>>);

impl LastUses {
    /// Notes a use of `id`, unless the database has one of the last minute.
    pub(crate) fn note(&self, id: &str, stored: Option<UnixTime>, now: UnixTime) {
        if stored.is_some_and(|stored| now < stored.plus_seconds(PRECISION_SECONDS)) {
            return;
        }
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = waiting.get_mut(id) {
            *known = now.max(*known);
        } else if waiting.len() < AT_MOST {
            waiting.insert(id.to_owned(), now);
        }
    }

    /// Takes what waits, in the order of the ids, so that two writers lock rows in one order.
    pub(crate) fn take(&self) -> BTreeMap<String, UnixTime> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, uses: BTreeMap<String, UnixTime>) {
        for (id, at) in uses {
            self.note(&id, None, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_noted_once_a_minute_and_the_latest_counts() {
        let at = UnixTime::from_seconds;
        let uses = LastUses::default();
        uses.note("fresh", Some(at(100)), at(159));
        uses.note("old", Some(at(100)), at(160));
        uses.note("new", None, at(10));
        uses.note("new", None, at(30));
        uses.note("new", None, at(20));
        let taken = uses.take();
        assert_eq!(taken, BTreeMap::from([("new".to_owned(), at(30)), ("old".to_owned(), at(160))]));
        assert!(uses.take().is_empty());
        uses.note("new", None, at(40));
        uses.put_back(taken);
        assert_eq!(uses.take().get("new"), Some(&at(40)));
    }

    #[test]
    fn what_waits_is_bounded() {
        let uses = LastUses::default();
        for index in 0..=AT_MOST {
            uses.note(&index.to_string(), None, UnixTime::from_seconds(1));
        }
        assert_eq!(uses.take().len(), AT_MOST);
    }
}
