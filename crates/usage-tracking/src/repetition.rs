//! What a report means of a generation that was booked before.

use mai_generation_processing::{
    AuditAction::{self, Corrected, Refused},
    ProcessedGenerationModel as Row,
    audit::NativeCounts,
};

/// What a repeated report is, and what the ledger's row has to be after it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Repetition {
    /// It agrees with what is booked; the row takes over what the report knows better.
    Agrees(Row),
    /// It contradicts what is booked. A refused one leaves the row as it is.
    Differs(AuditAction, Row),
}

/// Judges a report of a generation whose row is `booked`.
///
/// The cost decides, and the two token counts where both sides have native ones. The row becomes the
/// report's with more authority, except that native counts are kept before an estimate, whoever told
/// them. The counts therefore have an authority of their own: those that completed an estimate give
/// way to others from a source between. What the call was for only its client says, so that no report
/// without it takes it away.
pub(crate) fn judge(booked: &Row, report: &Row) -> Repetition {
    let has_more = report.source.authority() > booked.source.authority();
    let facts = if has_more { with_task(report, booked) } else { booked.clone() };
    if report.total_cost != booked.total_cost {
        return Repetition::Differs(if has_more { Corrected } else { Refused }, facts);
    }
    let has_better_counts = match (booked.tokens_estimated, report.tokens_estimated) {
        (true, false) => true,
        (false, true) => false,
        (true, true) => has_more,
        (false, false) => report.source.authority() > booked.tokens_source.authority(),
    };
    let row = with_counts(&facts, if has_better_counts { report } else { booked });
    let compared = !booked.tokens_estimated && !report.tokens_estimated;
    if compared && (booked.input_tokens, booked.output_tokens) != (report.input_tokens, report.output_tokens)
    {
        Repetition::Differs(if has_better_counts { Corrected } else { Refused }, row)
    } else {
        Repetition::Agrees(with_task(&row, report))
    }
}

/// The row, with the task of the other one where it has none.
fn with_task(row: &Row, other: &Row) -> Row {
    Row { task: row.task.clone().or_else(|| other.task.clone()), ..row.clone() }
}

fn with_counts(facts: &Row, counts: &Row) -> Row {
    Row {
        input_tokens: counts.input_tokens,
        output_tokens: counts.output_tokens,
        total_tokens: counts.total_tokens,
        tokens_estimated: counts.tokens_estimated,
        tokens_source: counts.tokens_source,
        ..facts.clone()
    }
}

/// The row with native counts in the place of its estimate.
pub(crate) fn completed(row: Row, counts: NativeCounts) -> Row {
    Row {
        input_tokens: counts.input_tokens,
        output_tokens: counts.output_tokens,
        // The sum was in range when the counts were reported.
        total_tokens: counts.input_tokens.saturating_add(counts.output_tokens),
        tokens_estimated: false,
        tokens_source: counts.source,
        ..row
    }
}
