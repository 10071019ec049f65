//! The sums of one organization.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::{Duration, Instant},
};

use mai_client_organization::{LimitSubject, Limits};
use mai_primitives::{ModelName, OrganizationId, UsageDate, Usd};

use super::{Held, OverLimit, Reading};

/// A call that finds an older reading asks for a new one.
const FRESH: Duration = Duration::from_secs(2);

/// At most two months: a call may have begun in the one before.
#[derive(Default)]
pub(super) struct Account {
    books: Vec<Book>,
}

/// A month of an organization, in nano-dollars of client price.
struct Book {
    /// Its first day.
    month: UsageDate,
    /// What the database said last, by limit.
    read: HashMap<LimitSubject, i64>,
    read_at: Option<Instant>,
    /// What this process adds to that.
    own: Sums,
    /// The part of it that the next reading will have.
    booked: Sums,
    /// Whether there were calls since the last reading.
    touched: bool,
}

/// Sums of the organization, and of each member and model of whom there is one.
#[derive(Default)]
struct Sums(HashMap<LimitSubject, i64>);

impl Sums {
    fn get(&self, subject: &LimitSubject) -> i64 {
        self.0.get(subject).copied().unwrap_or_default()
    }

    fn add(&mut self, held: &Held, sign: i64) {
        let member = LimitSubject::Member(held.user.clone());
        let model = held.model.clone().map(LimitSubject::Model);
        for subject in [LimitSubject::Organization, member].into_iter().chain(model) {
            self.add_to(subject, held.nanos.saturating_mul(sign));
        }
    }

    /// A sum of zero is not kept, so that memory follows what is held.
    fn add_to(&mut self, subject: LimitSubject, nanos: i64) {
        // What is in flight stays far below the range: each call holds at most what one may cost.
        match self.0.entry(subject) {
            Entry::Occupied(mut sum) => match sum.get().saturating_add(nanos) {
                0 => {
                    sum.remove();
                }
                more => *sum.get_mut() = more,
            },
            Entry::Vacant(_) if nanos == 0 => {}
            Entry::Vacant(none) => {
                none.insert(nanos);
            }
        }
    }
}

impl Account {
    /// Adds what is held for a call unless a limit has no room for it; `of_model` are the limits of the held model.
    /// Tells as well whether a new reading is wanted. A refusal may want one too: others may have settled for less
    /// what the last reading had, and only a reading tells of that.
    pub(super) fn reserve(
        &mut self,
        limits: &Limits,
        of_model: Vec<(ModelName, Usd)>,
        month: UsageDate,
        held: &Held,
    ) -> (bool, Result<(), OverLimit>) {
        let Some(book) = self.book(month) else { return (false, Ok(())) };
        let of_member =
            limits.member(&held.user).map(|limit| (LimitSubject::Member(held.user.clone()), limit));
        let of_all = limits.organization().map(|limit| (LimitSubject::Organization, limit));
        let of_model = of_model.into_iter().map(|(model, limit)| (LimitSubject::Model(model), limit));
        let mut wants_reading = book.read_at.is_none_or(|at| at.elapsed() > FRESH);
        for (subject, limit) in of_all.into_iter().chain(of_member).chain(of_model) {
            let used = book.used(&subject, held);
            wants_reading |= !book.read.contains_key(&subject);
            if used >= limit.nanos() || used.saturating_add(held.nanos) > limit.nanos() {
                // Else nothing would be due, and the reading that is asked for would leave this book out.
                book.touched |= wants_reading;
                return (wants_reading, Err(OverLimit { subject, limit }));
            }
        }
        book.own.add(held, 1);
        book.touched = true;
        (wants_reading, Ok(()))
    }

    /// Adds what is held for a call whatever the limits say.
    pub(super) fn hold(&mut self, month: UsageDate, held: &Held) {
        if let Some(book) = self.book(month) {
            book.own.add(held, 1);
            book.touched = true;
        }
    }

    /// Takes away what was held for a call.
    pub(super) fn release(&mut self, month: UsageDate, held: &Held) {
        if let Some(book) = self.book(month) {
            book.own.add(held, -1);
        }
    }

    /// What is held for a call is booked.
    pub(super) fn booked(&mut self, month: UsageDate, held: &Held) {
        if let Some(book) = self.book(month) {
            book.booked.add(held, 1);
            book.touched = true;
        }
    }

    /// Replaces what the database said before.
    pub(super) fn take(&mut self, reading: Reading) {
        let Some(book) = self.book(reading.month) else { return };
        for (subject, nanos) in std::mem::take(&mut book.booked.0) {
            book.own.add_to(subject, -nanos);
        }
        book.read = reading.used.into_iter().collect();
        book.read_at = Some(Instant::now());
        book.touched = false;
    }

    /// Takes over a reading of an earlier process, of which nobody knows how old it is.
    pub(super) fn begin_with(&mut self, reading: Reading) {
        if let Some(book) = self.book(reading.month) {
            book.read = reading.used.into_iter().collect();
        }
    }

    pub(super) fn is_due(&self, limits: &Limits, month: UsageDate) -> bool {
        let Some(book) = self.books.iter().find(|book| book.month == month) else { return true };
        book.touched || !book.own.0.is_empty() || !book.has_read_all(limits)
    }

    /// Whether a limit of the month was never read.
    pub(super) fn is_unread(&self, limits: &Limits, month: UsageDate) -> bool {
        self.books.iter().find(|book| book.month == month).is_none_or(|book| !book.has_read_all(limits))
    }

    pub(super) fn in_flight(&self, month: UsageDate, subject: &LimitSubject) -> Usd {
        let book = self.books.iter().find(|book| book.month == month);
        let nanos = book.map(|book| book.own.get(subject).saturating_sub(book.booked.get(subject)));
        Usd::from_nanos(nanos.unwrap_or_default())
    }

    pub(super) fn readings(&self, organization: &OrganizationId) -> Vec<Reading> {
        let books = self.books.iter().filter(|book| !book.read.is_empty());
        let reading = |book: &Book| {
            let mut used: Vec<_> =
                book.read.iter().map(|(subject, nanos)| (subject.clone(), *nanos)).collect();
            used.sort_unstable();
            Reading { organization: organization.clone(), month: book.month, used }
        };
        books.map(reading).collect()
    }

    /// The book of a month; none for one that is over since the month before the last.
    fn book(&mut self, month: UsageDate) -> Option<&mut Book> {
        if let Some(place) = self.books.iter().position(|book| book.month == month) {
            return self.books.get_mut(place);
        }
        self.books.push(Book::new(month));
        self.books.sort_unstable_by_key(|book| std::cmp::Reverse(book.month));
        self.books.truncate(2);
        self.books.iter_mut().find(|book| book.month == month)
    }
}

impl Book {
    fn new(month: UsageDate) -> Self {
        Self {
            month,
            read: HashMap::new(),
            read_at: None,
            own: Sums::default(),
            booked: Sums::default(),
            touched: false,
        }
    }

    /// What counts against a limit that concerns a call. A reading knows the limit of a model by the name under which
    /// it was set, own sums know the model by the name of its family, which is that of the call.
    fn used(&self, subject: &LimitSubject, held: &Held) -> i64 {
        let read = self.read.get(subject).copied().unwrap_or_default();
        let own = match (subject, &held.model) {
            (LimitSubject::Model(_), Some(family)) => self.own.get(&LimitSubject::Model(family.clone())),
            _ => self.own.get(subject),
        };
        read.saturating_add(own)
    }

    fn has_read_all(&self, limits: &Limits) -> bool {
        limits.subjects().all(|subject| self.read.contains_key(&subject))
    }
}
