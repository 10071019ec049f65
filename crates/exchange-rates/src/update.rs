//! [`RateUpdater`]: brings the stored tables up to date with NBP.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mai_primitives::{Clock, OrganizationCalendar, UsageDate};
use mai_storage::Storage;
use tokio::sync::Mutex;

use crate::{
    error::{Error, Result},
    model::PublishedRate,
    nbp::{LONGEST_RANGE, NbpClient, SHORTEST_RANGE, archive_begins},
    published::KnownDays,
    query,
};

/// So many days before the first day that needs a rate the tables begin, and so many known days are asked
/// for once more with the next ones: a table that came late is found, and one that was changed is noticed.
const OVERLAP: u64 = SHORTEST_RANGE - 1;

/// More requests than all tables since 2002 take.
const MAX_ROUNDS: u32 = 200;

/// NBP's calendar: the days of Warsaw.
pub fn warsaw() -> OrganizationCalendar {
    OrganizationCalendar::default()
}

/// What an update has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    /// The tables that are new.
    pub added: Vec<PublishedRate>,
    /// Those of them that are of days that were known to have none. Days that were given the rate of the
    /// table before keep it.
    pub late: Vec<PublishedRate>,
    /// Tables of which NBP now says something else. What is stored stays.
    pub differing: Vec<Differing>,
    /// The days of which it is now known whether they have a table.
    pub known: Option<KnownDays>,
}

/// A stored table of which NBP now says something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// What is stored, and stays.
    pub stored: PublishedRate,
    /// What NBP says now.
    pub received: PublishedRate,
}

/// Brings the stored tables up to date. Clones share one flight: whoever comes while it is under way waits
/// for it and takes its outcome.
#[derive(Clone)]
pub struct RateUpdater {
    storage: Storage,
    nbp: NbpClient,
    clock: Arc<dyn Clock>,
    /// The last flight: from which day on it brought the tables up to date, and what it found.
    flight: Arc<Mutex<Option<(UsageDate, Update)>>>,
    landed: Arc<AtomicU64>,
}

impl RateUpdater {
    /// An updater of `storage`.
    pub fn new(storage: Storage, nbp: NbpClient, clock: Arc<dyn Clock>) -> Self {
        Self { storage, nbp, clock, flight: Arc::default(), landed: Arc::default() }
    }

    /// Fetches every table that is missing, from ten days before `first_day` up to now.
    ///
    /// It may be asked for at any time and by several processes at once: tables are only ever added, and
    /// what is known already is not asked for. Today counts as known once its table is there or it is over
    /// in Warsaw, so that "not yet" is never taken for "none". What was fetched before an error stays.
    pub async fn bring_up_to_date(&self, first_day: UsageDate) -> Result<Update> {
        let before = self.landed.load(Ordering::SeqCst);
        let mut flight = self.flight.lock().await;
        if let Some((first, update)) = flight.as_ref()
            && self.landed.load(Ordering::SeqCst) != before
            && *first <= first_day
        {
            return Ok(update.clone());
        }
        let update = self.update(first_day).await?;
        *flight = Some((first_day, update.clone()));
        self.landed.fetch_add(1, Ordering::SeqCst);
        Ok(update)
    }

    async fn update(&self, first_day: UsageDate) -> Result<Update> {
        let mut update = Update { known: self.storage.read(query::known).await?, ..Update::default() };
        for _ in 0..MAX_ROUNDS {
            let now = self.clock.now();
            let today = warsaw().usage_date(now);
            let Some(asked) = next_range(update.known, first_day, today) else { return Ok(update) };
            let tables = self.nbp.tables(asked, now.into()).await?;
            let has_today = tables.last().is_some_and(|table| table.effective_date == today);
            let certain = if has_today { today } else { asked.through.min(today.minus_days(1)) };
            let known = KnownDays { from: asked.from, through: certain };
            let stored = self.storage.write(move |conn| query::store(conn, known, &tables)).await?;
            update.added.extend(stored.added);
            update.late.extend(stored.late);
            update.differing.extend(stored.differing);
            update.known = self.storage.read(query::known).await?;
            if asked.through == today {
                return Ok(update);
            }
        }
        Err(Error::TooManyRounds(MAX_ROUNDS))
    }
}

/// What to ask NBP for next, when it is `today` in Warsaw: first what is missing at the beginning, then what
/// came since. None when nothing is missing.
pub(crate) fn next_range(
    known: Option<KnownDays>,
    first_day: UsageDate,
    today: UsageDate,
) -> Option<KnownDays> {
    let first = first_day.min(today).minus_days(OVERLAP).max(archive_begins());
    let longest = LONGEST_RANGE - 1;
    let Some(known) = known else {
        return Some(KnownDays { from: first, through: first.plus_days(longest).min(today) });
    };
    if first < known.from {
        let from = first.max(known.from.minus_days(longest + 1));
        // A short range is made longer by days that are known.
        let through = known.from.minus_days(1).max(from.plus_days(OVERLAP));
        return Some(KnownDays { from, through: through.min(today) });
    }
    if known.through >= today {
        return None;
    }
    let from = known.through.minus_days(OVERLAP);
    Some(KnownDays { from, through: from.plus_days(longest).min(today) })
}
