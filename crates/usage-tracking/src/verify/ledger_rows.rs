//! What each row of the ledger must say about itself.

use diesel::prelude::*;
use mai_generation_processing::{
    ProcessedGenerationModel, UsageSource,
    schema::{pending_generations as pending, processed_generations as ledger},
};
use mai_primitives::{GenerationId, OrganizationId, UsageDate, Usd, exact_sum};
use mai_storage::DbConnection;

use super::{LedgerLaw, Mismatch, MismatchKind, walk::Days};

/// How many rows are in memory at once: some megabytes.
pub(crate) const PAGE_ROWS: usize = 5_000;

/// The next [`PAGE_ROWS`] rows of an organization after an id, by id. The order of ids is the
/// database's own, in which it also compares them.
pub(super) fn page(
    conn: &mut DbConnection,
    org: &OrganizationId,
    days: Days,
    after: Option<&GenerationId>,
) -> mai_storage::Result<Vec<ProcessedGenerationModel>> {
    let mut rows = ledger::table
        .filter(ledger::client_org_id.eq(org))
        .order(ledger::id)
        .limit(i64::try_from(PAGE_ROWS).unwrap_or(i64::MAX))
        .into_boxed();
    if let Some(after) = after {
        rows = rows.filter(ledger::id.gt(after));
    }
    if let Some(from) = days.from {
        rows = rows.filter(ledger::generation_date.ge(from));
    }
    if let Some(to) = days.to {
        rows = rows.filter(ledger::generation_date.le(to));
    }
    Ok(rows.load(conn)?)
}

/// The laws that a row breaks.
pub(super) fn check(row: &ProcessedGenerationModel) -> Vec<Mismatch> {
    let tokens = row.input_tokens.checked_add(row.output_tokens);
    let price = row.markup_rate.apply(row.total_cost);
    let broken = [
        (tokens != Some(row.total_tokens))
            .then_some(LedgerLaw::TotalTokens { stored: row.total_tokens, computed: tokens }),
        (price != Some(row.markup_cost))
            .then_some(LedgerLaw::MarkupCost { stored: row.markup_cost, computed: price }),
        (row.source != UsageSource::Manual && cost_of(&row.cost_text) != Some(row.total_cost))
            .then(|| LedgerLaw::CostText { stored: row.total_cost, text: row.cost_text.clone() }),
    ];
    let mismatch = |law| mismatch(&row.client_org_id, row.generation_date, row.id.clone(), law);
    broken.into_iter().flatten().map(mismatch).collect()
}

/// Generations of the ledger that are pending as well, though their booking should have ended that.
pub(super) fn booked_and_pending(
    conn: &mut DbConnection,
    org: &OrganizationId,
    days: Days,
) -> mai_storage::Result<Vec<Mismatch>> {
    let waiting = pending::table.filter(pending::client_org_id.eq(org)).select(pending::id);
    let rows: Vec<(GenerationId, UsageDate)> = ledger::table
        .filter(ledger::client_org_id.eq(org))
        .filter(ledger::id.eq_any(waiting))
        .filter(ledger::source.eq_any(UsageSource::ALL.iter().filter(|source| source.ends_look_up())))
        .select((ledger::id, ledger::generation_date))
        .load(conn)?;
    let among = |(_, date): &(GenerationId, UsageDate)| days.contain(*date);
    let mismatch = |(id, date)| mismatch(org, date, id, LedgerLaw::NotPending);
    Ok(rows.into_iter().filter(among).map(mismatch).collect())
}

fn mismatch(org: &OrganizationId, usage_date: UsageDate, id: GenerationId, law: LedgerLaw) -> Mismatch {
    Mismatch { client_org_id: org.clone(), usage_date, kind: MismatchKind::Generation { id, law } }
}

/// The cost that a text says: one decimal number, or for BYOK two with a `+` between them, which are
/// added exactly and rounded once.
fn cost_of(text: &str) -> Option<Usd> {
    let plus = text
        .char_indices()
        .zip(text.chars().skip(1))
        .find(|((_, before), next)| *next == '+' && !matches!(before, 'e' | 'E'));
    match plus {
        None => Usd::parse(text).ok(),
        Some(((at, before), _)) => {
            let (left, rest) = text.split_at(at + before.len_utf8());
            Usd::parse(&exact_sum(left, rest.strip_prefix('+')?)?).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_one_number_or_the_exact_sum_of_two() {
        for (text, nanos) in [
            ("0.0015", Some(1_500_000)),
            ("5.7915e-06", Some(5_792)),
            ("1.5E+1", Some(15_000_000_000)),
            ("0+0.21976", Some(219_760_000)),
            ("1.5E+1+2e+0", Some(17_000_000_000)),
            ("0.0000000004+0.0000000004", Some(1)),
            ("", None),
            ("+1", None),
            ("1+", None),
            ("1+2+3", None),
            ("one", None),
            ("ż+1", None),
        ] {
            assert_eq!(cost_of(text).map(Usd::nanos), nanos, "{text}");
        }
    }
}
