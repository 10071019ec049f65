//! Booking generations: the one function through which all usage enters the books.

use std::collections::BTreeMap;

use mai_client_organization::{
    external_ids::{redirect, together},
    query::markup_rate_at,
};
use mai_generation_processing::{
    AuditAction, GenerationAuditModel, NewGeneration, ProcessedGenerationModel as Row,
    audit::{best_native_counts, insert_audit},
    pending, query as ledger,
};
use mai_primitives::{GenerationId, OrganizationId, UnixTime, UsageDate};
use mai_storage::DbConnection;

use crate::{
    daily,
    error::{Error, Result},
    repetition::{Repetition, completed, judge},
    sums::sums,
};

/// What became of a report that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It was booked now.
    New,
    /// It was booked before, with the same cost and tokens. Where the report has more authority, the
    /// row has taken over its other facts, such as the member and the day.
    Duplicate,
    /// It was booked before, with another cost or other tokens, from a source with less authority.
    /// The ledger and the daily usage now say what this report says; an audit row tells the difference.
    Corrected,
    /// It was booked before, with another cost or other tokens, from a source with at least this
    /// authority. Nothing was changed; an audit row tells the difference.
    Conflict,
    /// It is not in the ledger, and so old that the ledger would not show if it had been booked.
    /// Nothing was changed.
    TooOld,
}

/// Books reports of generations of one organization in the caller's write transaction and tells, in
/// the order of the input, what became of each.
///
/// A generation is booked once, whatever sources report it, in any order, how often. Reports of one id
/// are taken as arriving one after the other, within one input as well. In the end its row is what the
/// most authoritative source says ([`UsageSource::authority`]), of equal ones the first; only where
/// that one merely estimates the token counts, they are those of the best source that has the native
/// ones at the same cost, and where it does not know the task, that of another report stays. The ledger rows and the three daily tables change together or not at all, so
/// their sums stay equal.
///
/// A user who is registered under another id by now is counted as that member.
///
/// Reports from outside, which did not fix their rate when the call began, are priced with the rate
/// that the organization had at their start.
///
/// Errors book nothing (the caller's transaction must end): a generation of another organization,
/// one with a cost or tokens below zero, and sums that leave the range.
///
/// [`UsageSource::authority`]: mai_generation_processing::UsageSource::authority
pub fn record_generations(
    conn: &mut DbConnection,
    org: &OrganizationId,
    generations: &[NewGeneration],
    now: UnixTime,
) -> Result<Vec<Recorded>> {
    let reports = priced(conn, org, generations, now)?;
    book(conn, org, reports, OldReports::Refuse, now)
}

/// What happens to reports of days of which the ledger is no longer complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OldReports {
    /// They are [`Recorded::TooOld`].
    Refuse,
    /// They are booked: the caller knows that they were not.
    Book,
}

/// A ledger row in the course of the booking.
#[derive(Default)]
struct Entry {
    /// What the ledger had before; none for a new id.
    before: Option<Row>,
    /// What the ledger has to have afterwards; none while all reports were refused.
    after: Option<Row>,
}

/// As [`record_generations`], for reports that are priced already.
pub(crate) fn book(
    conn: &mut DbConnection,
    org: &OrganizationId,
    mut reports: Vec<Row>,
    old: OldReports,
    now: UnixTime,
) -> Result<Vec<Recorded>> {
    // Whoever assigns usage to members waits until this is committed, or was committed before; then the
    // further ids that it made are seen here.
    together(conn, org)?;
    redirect(conn, org, reports.iter_mut().map(|report| &mut report.user_id))?;
    let reports = reports.as_slice();
    let mut entries: BTreeMap<GenerationId, Entry> = ledger::insert_or_lock(conn, org, reports)?
        .into_iter()
        .map(|(id, before)| (id, Entry { after: before.clone(), before }))
        .collect();
    // Read after the rows are there: a cleanup that took their predecessors is then seen as well.
    let complete_from = match old {
        OldReports::Refuse => ledger::complete_from(conn)?,
        OldReports::Book => None,
    };
    let mut audit = Vec::new();
    let mut recorded = Vec::with_capacity(reports.len());
    for report in reports {
        let entry = entries.entry(report.id.clone()).or_default();
        recorded.push(entry.take(conn, report, complete_from, &mut audit)?);
    }

    write_ledger(conn, org, reports, &entries)?;
    insert_audit(conn, &audit)?;
    daily::add(conn, org, &sums(entries.values().map(|entry| (&entry.before, &entry.after)))?, now)?;

    // A person's word by the way for pending generations ends a look-up; a report that only claims to be
    // of the generation does not, or whoever pays could end it with a cost of nothing.
    let is_final = |id: &GenerationId| {
        let after = entries.get(id).and_then(|entry| entry.after.as_ref());
        old == OldReports::Book || after.is_some_and(|row| row.source.ends_look_up())
    };
    let settled = reports.iter().zip(&recorded).filter(|(report, recorded)| match recorded {
        Recorded::New | Recorded::Duplicate | Recorded::Corrected => is_final(&report.id),
        Recorded::Conflict | Recorded::TooOld => false,
    });
    let settled: Vec<GenerationId> = settled.map(|(report, _)| report.id.clone()).collect();
    pending::delete_pending(conn, org, &settled)?;
    Ok(recorded)
}

/// What became of the only report that was handed in.
pub(crate) fn only(recorded: &[Recorded]) -> Recorded {
    // One report went in, so one verdict comes out.
    recorded.first().copied().unwrap_or(Recorded::Duplicate)
}

/// The ledger rows of the input, in its order.
fn priced(
    conn: &mut DbConnection,
    org: &OrganizationId,
    generations: &[NewGeneration],
    now: UnixTime,
) -> Result<Vec<Row>> {
    let mut rows = Vec::with_capacity(generations.len());
    for generation in generations {
        if generation.client_org_id != *org {
            return Err(Error::ForeignGeneration { id: generation.id.clone(), org: org.clone() });
        }
        rows.push(if generation.source.is_of_our_gateway() {
            generation.row(now)?
        } else {
            let markup_rate = markup_rate_at(conn, org, generation.started_at)?;
            NewGeneration { markup_rate, ..generation.clone() }.row(now)?
        });
    }
    Ok(rows)
}

impl Entry {
    /// Takes the next report of this id.
    fn take(
        &mut self,
        conn: &mut DbConnection,
        report: &Row,
        complete_from: Option<UsageDate>,
        audit: &mut Vec<GenerationAuditModel>,
    ) -> Result<Recorded> {
        let Some(booked) = &self.after else {
            if complete_from.is_some_and(|first| report.generation_date < first) {
                return Ok(Recorded::TooOld);
            }
            self.after = Some(report.clone());
            return Ok(Recorded::New);
        };
        let (recorded, mut row) = match judge(booked, report) {
            Repetition::Agrees(row) => (Recorded::Duplicate, row),
            Repetition::Differs(action, row) => {
                audit.push(GenerationAuditModel::of_report(action, booked, report));
                match action {
                    AuditAction::Corrected => (Recorded::Corrected, row),
                    AuditAction::Refused | AuditAction::Dismissed => (Recorded::Conflict, row),
                }
            }
        };
        if recorded == Recorded::Corrected && row.tokens_estimated {
            // An earlier report, whose cost was another one than the booked, may know better.
            let (org, id, cost) = (&row.client_org_id, &row.id, row.total_cost);
            if let Some(counts) = best_native_counts(conn, org, id, cost, audit)? {
                row = completed(row, counts);
            }
        }
        if row != *booked {
            row.processed_at = report.processed_at;
            self.after = Some(row);
        }
        Ok(recorded)
    }
}

/// Brings the ledger from what [`ledger::insert_or_lock`] left to what the entries say.
fn write_ledger(
    conn: &mut DbConnection,
    org: &OrganizationId,
    reports: &[Row],
    entries: &BTreeMap<GenerationId, Entry>,
) -> Result<()> {
    // Of a new id the first report was inserted; a later one comes first here, and is replaced by it.
    let inserted: BTreeMap<&GenerationId, &Row> = reports.iter().rev().map(|row| (&row.id, row)).collect();
    let mut taken_back = Vec::new();
    for (id, entry) in entries {
        let there = entry.before.as_ref().or_else(|| inserted.get(id).copied());
        match &entry.after {
            Some(after) if there != Some(after) => ledger::rewrite(conn, after)?,
            Some(_) => {}
            None => taken_back.push(id),
        }
    }
    Ok(ledger::take_back(conn, org, &taken_back)?)
}
