//! Reading and storing tables; each function runs inside of the caller's transaction.

use std::collections::HashMap;

use diesel::prelude::*;
use mai_primitives::{UsageDate, UsdPlnRate};
use mai_storage::{BATCH_ROWS, DbConnection, load_for_update, on_backend};

use crate::{
    error::{Error, Result},
    model::{CurrentRate, PublishedRate},
    published::{KnownDays, Published},
    schema::{nbp_calendar, nbp_rates},
    update::Differing,
};

/// The row of known days.
const CALENDAR: i64 = 1;

/// How many days before a range its first day's table is looked for. NBP never paused for longer than
/// five days, at Christmas.
const REACH: u64 = 31;

/// The latest table that was published.
pub fn latest(conn: &mut DbConnection) -> Result<Option<PublishedRate>> {
    let tables = nbp_rates::table.order(nbp_rates::effective_date.desc());
    Ok(tables.first(conn).optional().map_err(mai_storage::Error::from)?)
}

/// The rate of days that have none of their own yet: the latest table, else the configured `fallback`.
pub fn current(conn: &mut DbConnection, fallback: Option<UsdPlnRate>) -> Result<Option<CurrentRate>> {
    let latest = latest(conn)?.map(CurrentRate::from);
    Ok(latest.or_else(|| fallback.map(CurrentRate::fallback)))
}

/// The days of which it is known whether they have a table.
pub fn known(conn: &mut DbConnection) -> Result<Option<KnownDays>> {
    let row = nbp_calendar::table.find(CALENDAR);
    let row = row.select((nbp_calendar::known_from, nbp_calendar::known_through)).first(conn).optional();
    let row: Option<(Option<UsageDate>, Option<UsageDate>)> = row.map_err(mai_storage::Error::from)?;
    row.map(known_days).ok_or(Error::NoCalendar)
}

fn known_days((from, through): (Option<UsageDate>, Option<UsageDate>)) -> Option<KnownDays> {
    Some(KnownDays { from: from?, through: through? })
}

/// What is needed to tell the tables of the days from `from` to `to`, both included.
pub fn published(conn: &mut DbConnection, from: UsageDate, to: UsageDate) -> Result<Published> {
    let tables: Vec<PublishedRate> = nbp_rates::table
        .filter(nbp_rates::effective_date.between(from.minus_days(REACH), to))
        .load(conn)
        .map_err(mai_storage::Error::from)?;
    Ok(Published::new(known(conn)?, tables))
}

/// What storing tables has found.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) added: Vec<PublishedRate>,
    pub(crate) late: Vec<PublishedRate>,
    pub(crate) differing: Vec<Differing>,
}

/// Stores the tables that are new and never changes one that is there; then the days of `known` are known
/// as well, unless a gap would be left between them and those that were.
///
/// The row of known days is locked first, so that several processes store one after another.
pub(crate) fn store(conn: &mut DbConnection, known: KnownDays, tables: &[PublishedRate]) -> Result<Stored> {
    let row = nbp_calendar::table.find(CALENDAR);
    let row = row.select((nbp_calendar::known_from, nbp_calendar::known_through));
    let locked: Vec<(Option<UsageDate>, Option<UsageDate>)> =
        load_for_update!(conn, row).map_err(mai_storage::Error::from)?;
    let before = known_days(locked.into_iter().next().ok_or(Error::NoCalendar)?);

    let there = stored(conn, tables)?;
    let mut found = Stored::default();
    for table in tables {
        match there.get(&table.effective_date) {
            Some(stored) if stored.says_the_same_as(table) => {}
            Some(stored) => {
                found.differing.push(Differing { stored: stored.clone(), received: table.clone() });
            }
            None => {
                if before.is_some_and(|known| known.contains(table.effective_date)) {
                    found.late.push(table.clone());
                }
                found.added.push(table.clone());
            }
        }
    }
    for chunk in found.added.chunks(BATCH_ROWS) {
        let chunk: Vec<&PublishedRate> = chunk.iter().collect();
        on_backend!(conn, c => diesel::insert_into(nbp_rates::table)
            .values(chunk)
            .on_conflict_do_nothing()
            .execute(c))
        .map_err(mai_storage::Error::from)?;
    }
    let after = before.map_or(Some(known), |before| before.joined(known));
    if let Some(after) = after.filter(|after| before != Some(*after)) {
        diesel::update(nbp_calendar::table.find(CALENDAR))
            .set((nbp_calendar::known_from.eq(after.from), nbp_calendar::known_through.eq(after.through)))
            .execute(conn)
            .map_err(mai_storage::Error::from)?;
    }
    Ok(found)
}

/// The stored tables of the same days.
fn stored(conn: &mut DbConnection, tables: &[PublishedRate]) -> Result<HashMap<UsageDate, PublishedRate>> {
    let days = tables.iter().map(|table| table.effective_date);
    let (Some(first), Some(last)) = (days.clone().min(), days.max()) else { return Ok(HashMap::new()) };
    let there: Vec<PublishedRate> = nbp_rates::table
        .filter(nbp_rates::effective_date.between(first, last))
        .load(conn)
        .map_err(mai_storage::Error::from)?;
    Ok(there.into_iter().map(|table| (table.effective_date, table)).collect())
}
