//! Booking generations: the one function through which all usage enters the books.

use std::collections::{BTreeMap, HashMap, HashSet};

use mai_generation_processing::{Booked, NewGeneration, ProcessedGenerationModel, pending, query as ledger};
use mai_primitives::{
    GenerationId, ModelName, OpenRouterUserId, OrganizationId, UnixTime, UsageDate, UserId,
};
use mai_storage::DbConnection;

use crate::{
    daily,
    error::{Error, Result},
    totals::Totals,
};

/// What became of a generation that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It was booked now.
    New,
    /// It was booked before, with the same cost and tokens.
    Duplicate,
    /// It was booked before, with another cost or other tokens. Nothing was changed.
    Conflict,
}

/// Sums of new generations by the keys of the daily tables. The maps are sorted, so that two
/// batches take their locks in the same order.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) days: BTreeMap<UsageDate, Totals>,
    pub(crate) users: BTreeMap<(UsageDate, UserId), (OpenRouterUserId, Totals)>,
    pub(crate) models: BTreeMap<(UsageDate, ModelName), Totals>,
}

impl Sums {
    /// Adds what one member used of one model on one day. The first id that names the member counts.
    pub(crate) fn add(
        &mut self,
        date: UsageDate,
        (user_id, openrouter_user_id): (&UserId, &OpenRouterUserId),
        model: &ModelName,
        part: Totals,
    ) -> Result<()> {
        let add = |total: &mut Totals| -> Result<()> {
            *total = total.checked_add(part)?;
            Ok(())
        };
        add(self.days.entry(date).or_default())?;
        let user = self.users.entry((date, user_id.clone()));
        add(&mut user.or_insert_with(|| (openrouter_user_id.clone(), Totals::default())).1)?;
        add(self.models.entry((date, model.clone())).or_default())
    }
}

/// Books generations of one organization in the caller's write transaction and tells, in the order
/// of the input, what became of each.
///
/// A generation is booked once, whatever sources report it, in any order, how often: its row in
/// the ledger decides. The ledger rows and the three daily tables change together or not at all,
/// so their sums stay equal. Of an id that occurs twice in the input the first is taken.
///
/// Errors book nothing (the caller's transaction must end): a generation of another organization,
/// one with a cost or tokens below zero, and sums that leave the range.
pub fn record_generations(
    conn: &mut DbConnection,
    org: &OrganizationId,
    generations: &[NewGeneration],
    now: UnixTime,
) -> Result<Vec<Recorded>> {
    let rows = priced(org, generations, now)?;
    let mut first: BTreeMap<&GenerationId, &ProcessedGenerationModel> = BTreeMap::new();
    for row in &rows {
        first.entry(&row.id).or_insert(row);
    }
    let candidates: Vec<ProcessedGenerationModel> = first.values().map(|row| (*row).clone()).collect();
    let new = ledger::insert_new(conn, &candidates)?;
    let known: Vec<GenerationId> =
        first.keys().filter(|id| !new.contains(**id)).map(|id| (*id).clone()).collect();
    let booked = ledger::existing(conn, org, &known)?;
    let recorded = judge(&rows, &new, booked);

    let fresh = candidates.iter().filter(|row| new.contains(&row.id));
    daily::add(conn, org, &sums(fresh)?, now)?;

    let settled: Vec<GenerationId> = rows
        .iter()
        .zip(&recorded)
        .filter(|(_, recorded)| **recorded != Recorded::Conflict)
        .map(|(row, _)| row.id.clone())
        .collect();
    pending::delete_pending(conn, org, &settled)?;
    Ok(recorded)
}

/// The ledger rows of the input, in its order.
fn priced(
    org: &OrganizationId,
    generations: &[NewGeneration],
    now: UnixTime,
) -> Result<Vec<ProcessedGenerationModel>> {
    let row = |generation: &NewGeneration| {
        if generation.client_org_id == *org {
            Ok(generation.row(now)?)
        } else {
            Err(Error::ForeignGeneration { id: generation.id.clone(), org: org.clone() })
        }
    };
    generations.iter().map(row).collect()
}

/// The first row of an id that was inserted is new; every other is compared with what is booked.
fn judge(
    rows: &[ProcessedGenerationModel],
    new: &HashSet<GenerationId>,
    mut booked: HashMap<GenerationId, Booked>,
) -> Vec<Recorded> {
    let mut recorded = Vec::with_capacity(rows.len());
    for row in rows {
        recorded.push(match booked.get(&row.id) {
            Some(booked) if booked.agrees_with(&row.into()) => Recorded::Duplicate,
            Some(_) => Recorded::Conflict,
            None => {
                booked.insert(row.id.clone(), row.into());
                // Neither inserted nor found: the cleanup removed the old row just now. It was booked.
                if new.contains(&row.id) { Recorded::New } else { Recorded::Duplicate }
            }
        });
    }
    recorded
}

fn sums<'a>(rows: impl Iterator<Item = &'a ProcessedGenerationModel>) -> Result<Sums> {
    let mut sums = Sums::default();
    for row in rows {
        let part = Totals {
            tokens: row.total_tokens,
            requests: 1,
            raw_cost: row.total_cost,
            markup_cost: row.markup_cost,
        };
        let user = (&row.user_id, &row.openrouter_user_id);
        sums.add(row.generation_date, user, &row.model_name, part)?;
    }
    Ok(sums)
}
