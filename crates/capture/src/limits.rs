//! [`LimitGuard`]: reserves what a call may cost before it is made, in memory.
//!
//! For each organization and month the guard knows the last reading of the database, and adds what this process has
//! caused and that reading cannot have contained: reservations of calls in flight, and what calls have cost whose
//! records are not booked yet. Nothing is kept for each call: a call carries what is held for it ([`Held`]) in its
//! records, which say what to take away again, once, when they are booked and read.
//!
//! ```text
//! reserve ──► held ──► settle: the price in place of the reservation ──► booked ──► the next reading has it
//!               └────► failed or not sent: released
//! ```
//!
//! A reading and the booking of own records take [turns](LimitGuard::turn). So a reading has either all of a record or
//! nothing of it, and it is exact; no call is counted twice or missed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
};

use mai_client_organization::{LimitSubject, Limits};
use mai_journal::Position;
use mai_model_prices::ModelPrices;
use mai_primitives::{ModelName, OrganizationId, UsageDate, Usd, UserId};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::{Mutex as TurnMutex, MutexGuard as Turn, Notify};

use crate::{
    bounds::COST_AT_MOST,
    call::Call,
    record::{Outcome, Settled},
};

mod book;
mod recovery;
#[cfg(test)]
mod tests;

use book::Account;
pub use recovery::{RecoveryError, recover};

/// What is held for a call, and for whom it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Nano-dollars of client price: the reservation, and once the price is known that.
    pub nanos: i64,
    /// The member.
    pub user: UserId,
    /// The model as limits call it: the one that was asked for, and once another has answered that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
}

/// A call was refused because of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the limit of {subject}, {limit} USD a month, is reached")]
pub struct OverLimit {
    /// Whose limit it is.
    pub subject: LimitSubject,
    /// The limit in client price.
    pub limit: Usd,
}

/// What the database says of an organization's month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The organization.
    pub organization: OrganizationId,
    /// The first day of the month.
    pub month: UsageDate,
    /// What counts against each limit, in nano-dollars of client price: bookings, and the reservations of generations
    /// whose cost is not known yet.
    pub used: Vec<(LimitSubject, i64)>,
}

/// The guard of all limits. Clones share it.
#[derive(Clone, Default)]
pub struct LimitGuard(Arc<Shared>);

#[derive(Default)]
struct Shared {
    accounts: RwLock<HashMap<OrganizationId, Arc<Mutex<Account>>>>,
    /// By what names a model is called.
    prices: ModelPrices,
    turn: TurnMutex<()>,
    /// Told when a call met a limit of which there was no reading lately.
    wanted: Notify,
    /// Records below this position of the journal were booked before the guard began to count.
    counted_from: OnceLock<Position>,
}

impl LimitGuard {
    /// A guard that knows models by the names of a price list.
    pub fn new(prices: ModelPrices) -> Self {
        Self(Arc::new(Shared { prices, ..Shared::default() }))
    }

    /// Reserves `amount` for a call against every limit that concerns it, or against none of them.
    ///
    /// A limit lets a call through while it is not used up and has room for the whole amount; so with a limit of 0
    /// nothing passes, not even what is free. Where nothing was read of a month yet, only own calls count.
    pub fn reserve(&self, limits: &Limits, call: &Call, amount: Usd) -> Result<Reservation, OverLimit> {
        let prices = self.0.prices.current();
        let model = call.requested_model.as_ref().map(|model| prices.family(model));
        // A limit may have been set under a name that the list has made another's since.
        let concerns = |name: &ModelName| model.as_ref().is_some_and(|model| prices.family(name) == *model);
        let of_model = limits.models().filter(|(name, _)| concerns(name)).collect();
        let held =
            Held { nanos: amount.nanos().max(0), user: limits.member_behind(&call.user).clone(), model };
        let month = call.usage_date.first_of_month();
        let account = self.account(&call.organization);
        let (wants_reading, reserved) = lock(&account).reserve(limits, of_model, month, &held);
        if wants_reading {
            self.0.wanted.notify_one();
        }
        reserved?;
        let organization = call.organization.clone();
        Ok(Reservation { guard: self.clone(), organization, month, held: Some(held) })
    }

    /// A call of our own is over: what is held becomes its price where that is known, and nothing where it failed.
    /// The record says afterwards what is held until it is booked. It must be given here once.
    pub(crate) fn settle(&self, settled: &mut Settled) {
        let call = &mut settled.call;
        let Some(before) = &call.held else { return };
        let after = match &settled.outcome {
            Outcome::Failed { .. } => None,
            Outcome::Unknown { .. } => return,
            Outcome::Exact(usage) => {
                let model = usage.model.as_ref().or(call.requested_model.as_ref());
                let model = model.map(|model| self.0.prices.current().family(model));
                // A cost that cannot be true waits for a person, and the reservation counts until then.
                let cost = Some(usage.cost()).filter(|cost| (Usd::ZERO..=COST_AT_MOST).contains(cost));
                let price = cost.and_then(|cost| call.markup_rate.apply(cost)).map(Usd::nanos);
                let nanos = price.unwrap_or(before.nanos);
                Some(Held { nanos, user: before.user.clone(), model })
            }
        };
        let account = self.account(&call.organization);
        let mut account = lock(&account);
        let month = call.usage_date.first_of_month();
        account.release(month, before);
        if let Some(after) = &after {
            account.hold(month, after);
        }
        drop(account);
        call.held = after;
    }

    /// These records are booked. What is held for them counts until the next reading, which has them. Each must be
    /// given here once, in a [turn](Self::turn) that began before they were booked.
    pub(crate) fn booked<'a>(&self, records: impl IntoIterator<Item = &'a Call>) {
        for call in records {
            if let Some(held) = &call.held {
                let account = self.account(&call.organization);
                lock(&account).booked(call.usage_date.first_of_month(), held);
            }
        }
    }

    /// Waits until nobody books or reads. Whoever books own records, and whoever reads the database for
    /// [`Self::take`], does it in a turn.
    pub async fn turn(&self) -> Turn<'_, ()> {
        self.0.turn.lock().await
    }

    /// Takes over what the database said in the turn that lasts: whatever was booked before is in it.
    pub fn take(&self, readings: Vec<Reading>, _turn: &Turn<'_, ()>) {
        for reading in readings {
            let account = self.account(&reading.organization);
            lock(&account).take(reading);
        }
    }

    /// Waits until a call asks for a reading.
    pub async fn wanted(&self) {
        self.0.wanted.notified().await;
    }

    /// Whether an organization's figures of a month may have changed since the last reading: it had calls, or
    /// something is held, or there is no reading of one of its limits.
    pub fn is_due(&self, organization: &OrganizationId, limits: &Limits, month: UsageDate) -> bool {
        let account =
            self.0.accounts.read().unwrap_or_else(PoisonError::into_inner).get(organization).cloned();
        account.is_none_or(|account| lock(&account).is_due(limits, month))
    }

    /// Whether one of an organization's limits was never read, so that it would begin with a wrong sum.
    pub fn is_unread(&self, organization: &OrganizationId, limits: &Limits, month: UsageDate) -> bool {
        let account =
            self.0.accounts.read().unwrap_or_else(PoisonError::into_inner).get(organization).cloned();
        account.is_none_or(|account| lock(&account).is_unread(limits, month))
    }

    /// What is held of a month for the calls of this process: those in flight, and those whose records are not booked.
    pub fn in_flight(&self, organization: &OrganizationId, month: UsageDate, subject: &LimitSubject) -> Usd {
        let account =
            self.0.accounts.read().unwrap_or_else(PoisonError::into_inner).get(organization).cloned();
        let family = match subject {
            LimitSubject::Model(model) => Some(LimitSubject::Model(self.0.prices.current().family(model))),
            LimitSubject::Organization | LimitSubject::Member(_) => None,
        };
        let subject = family.as_ref().unwrap_or(subject);
        account.map_or(Usd::ZERO, |account| lock(&account).in_flight(month, subject))
    }

    /// The last readings, to be kept for a start without a database.
    pub fn readings(&self) -> Vec<Reading> {
        let accounts = self.0.accounts.read().unwrap_or_else(PoisonError::into_inner);
        let mut readings: Vec<_> = accounts
            .iter()
            .flat_map(|(organization, account)| lock(account).readings(organization))
            .collect();
        readings.sort_by(|a, b| (&a.organization, a.month).cmp(&(&b.organization, b.month)));
        readings
    }

    /// From where on records of the journal count when they are booked.
    pub(crate) fn counts(&self, position: Position) -> bool {
        self.0.counted_from.get().is_none_or(|from| position >= *from)
    }

    fn account(&self, organization: &OrganizationId) -> Arc<Mutex<Account>> {
        let accounts = self.0.accounts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(organization) {
            return Arc::clone(account);
        }
        drop(accounts);
        let mut accounts = self.0.accounts.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.entry(organization.clone()).or_default())
    }
}

/// An account is valid whatever its last holder did: each change is a few additions that do not fail.
fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is reserved for a call that was not sent yet. Dropped, it is released.
#[must_use]
pub struct Reservation {
    guard: LimitGuard,
    organization: OrganizationId,
    month: UsageDate,
    held: Option<Held>,
}

impl Reservation {
    /// What is held, for the call to carry.
    pub fn held(&self) -> Option<Held> {
        self.held.clone()
    }

    /// From now on the call's records say what becomes of it.
    pub(crate) fn keep(mut self) {
        self.held = None;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            lock(&self.guard.account(&self.organization)).release(self.month, &held);
        }
    }
}
