//! What changed ledger rows mean for the daily tables.

use std::collections::BTreeMap;

use mai_generation_processing::ProcessedGenerationModel as Row;
use mai_primitives::{ModelName, OpenRouterUserId, UsageDate, UserId};

use crate::{error::Result, totals::Totals};

/// Differences by the keys of the daily tables, below zero where more was taken out than put in. The
/// maps are sorted, so that two batches take their locks in the same order.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) days: BTreeMap<UsageDate, Totals>,
    pub(crate) users: BTreeMap<(UsageDate, UserId), (OpenRouterUserId, Totals)>,
    pub(crate) models: BTreeMap<(UsageDate, ModelName), Totals>,
}

/// Sums of ledger rows, each as it was before and as it is now; none stands for a row that was not
/// there. Rows that count as before are left out.
pub(crate) fn sums<'a>(rows: impl Iterator<Item = (&'a Option<Row>, &'a Option<Row>)>) -> Result<Sums> {
    let mut sums = Sums::default();
    for (before, after) in rows {
        let (before, after) = (before.as_ref(), after.as_ref());
        if before.map(counted) == after.map(counted) {
            continue;
        }
        if let Some(row) = before {
            sums.add(row, totals(row).checked_neg()?)?;
        }
        if let Some(row) = after {
            sums.add(row, totals(row))?;
        }
    }
    Ok(sums)
}

fn totals(row: &Row) -> Totals {
    Totals { tokens: row.total_tokens, requests: 1, raw_cost: row.total_cost, markup_cost: row.markup_cost }
}

/// All of a row that the daily tables depend on.
fn counted(row: &Row) -> (UsageDate, &UserId, &ModelName, Totals) {
    (row.generation_date, &row.user_id, &row.model_name, totals(row))
}

impl Sums {
    fn add(&mut self, row: &Row, part: Totals) -> Result<()> {
        let day = row.generation_date;
        let add = |total: &mut Totals| -> Result<()> {
            *total = total.checked_add(part)?;
            Ok(())
        };
        add(self.days.entry(day).or_default())?;
        let user = self.users.entry((day, row.user_id.clone()));
        add(&mut user.or_insert_with(|| (row.openrouter_user_id.clone(), Totals::default())).1)?;
        add(self.models.entry((day, row.model_name.clone())).or_default())
    }
}
