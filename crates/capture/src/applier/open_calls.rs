//! Calls that were sent and are not settled yet.

use std::collections::{BTreeMap, HashMap};

use mai_generation_processing::PendingReason;
use mai_journal::Position;

use crate::{
    call::ExchangeId,
    record::{OpenCall, Outcome, Settled},
};

/// More than the record of an open call needs: a few hundred bytes, and with the longest ids 1,500.
const OPENED_BYTES: u64 = 2_048;

/// What a record does to the open calls.
pub(super) enum Change {
    Open(Position, Box<OpenCall>),
    Close(ExchangeId),
}

/// The records of open calls that the journal must keep, by position and by call. Of each call it is
/// the last one, which knows the most.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    by_position: BTreeMap<Position, OpenCall>,
    positions: HashMap<ExchangeId, Position>,
}

impl OpenCalls {
    fn insert(&mut self, position: Position, mut call: OpenCall) {
        let exchange = call.call.exchange.clone();
        if let Some(earlier) = self.positions.insert(exchange, position)
            && let Some(earlier) = self.by_position.remove(&earlier)
        {
            // A copy may have been written before its writer had read that the call was opened.
            call.generation_id = call.generation_id.or(earlier.generation_id);
        }
        self.by_position.insert(position, call);
    }

    fn remove(&mut self, exchange: &ExchangeId) {
        if let Some(position) = self.positions.remove(exchange) {
            self.by_position.remove(&position);
        }
    }

    /// Where the first of them stands: the journal must not forget this.
    pub(super) fn first(&self) -> Option<Position> {
        self.by_position.keys().next().copied()
    }

    /// Those that stand before `position`.
    pub(super) fn before(&self, position: Position) -> impl Iterator<Item = OpenCall> {
        self.by_position.range(..position).map(|(_, call)| call.clone())
    }

    /// Removes those that stand before `position`.
    pub(super) fn remove_before(&mut self, position: Position) {
        self.by_position = self.by_position.split_off(&position);
        self.positions.retain(|_, at| *at >= position);
    }

    /// Makes changes in order.
    pub(super) fn change(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Open(position, call) => self.insert(position, *call),
                Change::Close(exchange) => self.remove(&exchange),
            }
        }
    }

    /// Room for the records of all of them.
    pub(super) fn bytes_at_most(&self) -> u64 {
        u64::try_from(self.positions.len()).unwrap_or(u64::MAX).saturating_mul(OPENED_BYTES)
    }

    /// Those that stand more than `distance` bytes before `end`.
    pub(super) fn older_than(&self, end: Position, distance: u64) -> Vec<(ExchangeId, OpenCall)> {
        let before = Position::new(end.get().saturating_sub(distance));
        let old = self.by_position.range(..before);
        old.map(|(_, open)| (open.call.exchange.clone(), open.clone())).collect()
    }

    /// A call's record was written again at `position`.
    pub(super) fn moved(&mut self, exchange: &ExchangeId, position: Position) {
        let Some(earlier) = self.positions.get(exchange).copied() else { return };
        if let Some(call) = self.by_position.remove(&earlier) {
            self.insert(position, call);
        }
    }

    /// What is known of a call whose process died.
    pub(super) fn crashed(open: OpenCall) -> Settled {
        let outcome = Outcome::Unknown { reason: PendingReason::Crash };
        Settled::by_gateway(open.call, open.generation_id, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::call;

    fn opened() -> OpenCall {
        OpenCall { call: call(), generation_id: mai_primitives::GenerationId::new("gen-1").ok() }
    }

    #[test]
    fn an_opened_call_takes_the_place_of_the_sent_one() {
        let mut open = OpenCalls::default();
        let known = opened();
        open.insert(Position::new(10), OpenCall { generation_id: None, ..known.clone() });
        assert_eq!(open.first(), Some(Position::new(10)));
        open.insert(Position::new(30), known.clone());
        assert_eq!(open.first(), Some(Position::new(30)));
        assert_eq!(open.before(Position::new(31)).collect::<Vec<_>>(), [known]);
    }

    #[test]
    fn a_copy_that_knows_less_takes_nothing_away() {
        let mut open = OpenCalls::default();
        let known = opened();
        open.insert(Position::new(30), known.clone());
        open.insert(Position::new(90), OpenCall { generation_id: None, ..known.clone() });
        assert_eq!(open.before(Position::new(91)).collect::<Vec<_>>(), [known]);
    }

    #[test]
    fn the_oldest_open_call_bounds_what_is_forgotten() {
        let mut open = OpenCalls::default();
        let (first, second) = (opened(), opened());
        open.insert(Position::new(10), first.clone());
        open.insert(Position::new(20), second.clone());
        assert_eq!(open.first(), Some(Position::new(10)));
        open.remove(&first.call.exchange);
        assert_eq!(open.first(), Some(Position::new(20)));
        open.moved(&second.call.exchange, Position::new(90));
        assert_eq!(open.first(), Some(Position::new(90)));
        // A call that was settled meanwhile is not brought back by its carried copy.
        open.moved(&first.call.exchange, Position::new(95));
        open.remove(&second.call.exchange);
        assert_eq!(open.first(), None);
    }

    #[test]
    fn calls_of_an_earlier_process_are_taken_out() {
        let mut open = OpenCalls::default();
        let (old, new) = (opened(), opened());
        open.insert(Position::new(10), old.clone());
        open.insert(Position::new(20), new.clone());
        assert_eq!(open.before(Position::new(20)).collect::<Vec<_>>(), [old]);
        open.remove_before(Position::new(20));
        assert_eq!(open.first(), Some(Position::new(20)));
        assert_eq!(open.older_than(Position::new(100), 80).len(), 0);
        assert_eq!(open.older_than(Position::new(100), 79), [(new.call.exchange.clone(), new)]);
    }
}
