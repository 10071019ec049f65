//! The audit of the ledger: every report that contradicts what was booked, and every pending
//! generation that a person dismissed.

use std::cmp::Reverse;

use diesel::prelude::*;
use mai_primitives::{GenerationId, MarkupRate, ModelName, OrganizationId, UnixTime, UsageDate, Usd, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, Result, on_backend, text_enum};
use sha2::{Digest, Sha256};

use crate::{
    model::{ProcessedGenerationModel, UsageSource},
    pending::PendingGenerationModel,
    schema::generation_audit as audit,
};

text_enum! {
    /// What was done.
    pub enum AuditAction {
        /// The report had more authority: the booked row was rewritten.
        Corrected = "corrected",
        /// The report had no more authority than the booked row, which stayed as it was.
        Refused = "refused",
        /// A person decided that a pending generation was not charged.
        Dismissed = "dismissed",
    }
}

/// A row of `generation_audit`. The `booked_…` fields are what the ledger had before, the
/// `reported_…` fields what the report says; costs are OpenRouter's, dates local days.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = audit, treat_none_as_default_value = false)]
pub struct GenerationAuditModel {
    /// Whose generation it is.
    pub client_org_id: OrganizationId,
    /// The generation.
    pub generation_id: GenerationId,
    /// A hash of the action and the report, so that a repeated report makes no second row.
    pub id: String,
    /// What was done.
    pub action: AuditAction,
    /// A person's reason; set for [`AuditAction::Dismissed`] only.
    pub reason: Option<String>,
    /// The source of the booked row; none, as all `booked_…` fields, where nothing was booked.
    pub booked_source: Option<UsageSource>,
    /// The source of the booked token counts.
    pub booked_tokens_source: Option<UsageSource>,
    /// The booked cost.
    pub booked_cost: Option<Usd>,
    /// The booked tokens of the prompt.
    pub booked_input_tokens: Option<i64>,
    /// The booked tokens of the answer.
    pub booked_output_tokens: Option<i64>,
    /// Whether the booked token counts are an estimate.
    pub booked_tokens_estimated: Option<bool>,
    /// The booked model.
    pub booked_model_name: Option<ModelName>,
    /// The member for whom it was booked.
    pub booked_user_id: Option<UserId>,
    /// The day on which it was booked.
    pub booked_date: Option<UsageDate>,
    /// The booked markup rate.
    pub booked_markup_rate: Option<MarkupRate>,
    /// The source of the report; none, as the figures, for [`AuditAction::Dismissed`].
    pub reported_source: Option<UsageSource>,
    /// The reported cost.
    pub reported_cost: Option<Usd>,
    /// The reported tokens of the prompt.
    pub reported_input_tokens: Option<i64>,
    /// The reported tokens of the answer.
    pub reported_output_tokens: Option<i64>,
    /// Whether the reported token counts are an estimate.
    pub reported_tokens_estimated: Option<bool>,
    /// The reported model, or the one that a dismissed generation was asked of.
    pub reported_model_name: Option<ModelName>,
    /// The reported member.
    pub reported_user_id: Option<UserId>,
    /// The reported day.
    pub reported_date: Option<UsageDate>,
    /// The markup rate at which the report was priced.
    pub reported_markup_rate: Option<MarkupRate>,
    /// When the row was written.
    pub created_at: UnixTime,
}

impl GenerationAuditModel {
    /// A report that contradicts the booked row, and what was done about it.
    pub fn of_report(
        action: AuditAction,
        booked: &ProcessedGenerationModel,
        report: &ProcessedGenerationModel,
    ) -> Self {
        let id = hash(&format!(
            "{action}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}",
            report.source,
            report.total_cost.nanos(),
            report.input_tokens,
            report.output_tokens,
            report.tokens_estimated,
            report.model_name,
            report.user_id,
            report.generation_date,
            report.markup_rate,
        ));
        Self {
            client_org_id: report.client_org_id.clone(),
            generation_id: report.id.clone(),
            id,
            action,
            reason: None,
            booked_source: Some(booked.source),
            booked_tokens_source: Some(booked.tokens_source),
            booked_cost: Some(booked.total_cost),
            booked_input_tokens: Some(booked.input_tokens),
            booked_output_tokens: Some(booked.output_tokens),
            booked_tokens_estimated: Some(booked.tokens_estimated),
            booked_model_name: Some(booked.model_name.clone()),
            booked_user_id: Some(booked.user_id.clone()),
            booked_date: Some(booked.generation_date),
            booked_markup_rate: Some(booked.markup_rate),
            reported_source: Some(report.source),
            reported_cost: Some(report.total_cost),
            reported_input_tokens: Some(report.input_tokens),
            reported_output_tokens: Some(report.output_tokens),
            reported_tokens_estimated: Some(report.tokens_estimated),
            reported_model_name: Some(report.model_name.clone()),
            reported_user_id: Some(report.user_id.clone()),
            reported_date: Some(report.generation_date),
            reported_markup_rate: Some(report.markup_rate),
            created_at: report.processed_at,
        }
    }

    /// A pending generation that a person dismissed for this reason.
    pub(crate) fn of_dismissal(dismissed: PendingGenerationModel, reason: &str, now: UnixTime) -> Self {
        let action = AuditAction::Dismissed;
        Self {
            client_org_id: dismissed.client_org_id,
            generation_id: dismissed.id,
            id: hash(&format!("{action}\n{}\n{reason}", now.seconds())),
            action,
            reason: Some(reason.to_owned()),
            booked_source: None,
            booked_tokens_source: None,
            booked_cost: None,
            booked_input_tokens: None,
            booked_output_tokens: None,
            booked_tokens_estimated: None,
            booked_model_name: None,
            booked_user_id: None,
            booked_date: None,
            booked_markup_rate: None,
            reported_source: None,
            reported_cost: None,
            reported_input_tokens: None,
            reported_output_tokens: None,
            reported_tokens_estimated: None,
            reported_model_name: dismissed.requested_model,
            reported_user_id: Some(dismissed.user_id),
            reported_date: Some(dismissed.generation_date),
            reported_markup_rate: Some(dismissed.markup_rate),
            created_at: now,
        }
    }

    /// The native counts that one side of the row has for this cost.
    fn native_counts(&self, cost: Usd) -> impl Iterator<Item = NativeCounts> {
        let sides = [
            (
                self.booked_cost,
                self.booked_tokens_estimated,
                (self.booked_tokens_source, self.booked_input_tokens, self.booked_output_tokens),
            ),
            (
                self.reported_cost,
                self.reported_tokens_estimated,
                (self.reported_source, self.reported_input_tokens, self.reported_output_tokens),
            ),
        ];
        sides.into_iter().filter_map(move |side| match side {
            (Some(its_cost), Some(false), (Some(source), Some(input_tokens), Some(output_tokens)))
                if its_cost == cost =>
            {
                Some(NativeCounts { input_tokens, output_tokens, source })
            }
            _ => None,
        })
    }
}

/// 32 hexadecimal digits.
fn hash(content: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(content.as_bytes()).into();
    let nibbles = digest.into_iter().take(16).flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}

/// Native token counts that somebody reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeCounts {
    /// Tokens of the prompt.
    pub input_tokens: i64,
    /// Tokens of the answer.
    pub output_tokens: i64,
    /// Who reported them.
    pub source: UsageSource,
}

/// The native counts of the most authoritative report of a generation with this cost, the first of
/// equal ones, among the reports that were refused or corrected; none when there are none.
/// `unwritten` are rows that are not in the table yet.
pub fn best_native_counts(
    conn: &mut DbConnection,
    org: &OrganizationId,
    id: &GenerationId,
    cost: Usd,
    unwritten: &[GenerationAuditModel],
) -> Result<Option<NativeCounts>> {
    let mut rows: Vec<GenerationAuditModel> = audit::table
        .filter(audit::client_org_id.eq(org))
        .filter(audit::generation_id.eq(id))
        .order((audit::created_at, audit::id))
        .load(conn)?;
    rows.extend(unwritten.iter().filter(|row| row.generation_id == *id).cloned());
    let counts = rows.iter().flat_map(|row| row.native_counts(cost));
    // Of equal ones `min_by_key` takes the first.
    Ok(counts.min_by_key(|counts| Reverse(counts.source.authority())))
}

/// Inserts the rows that are not there yet.
pub fn insert_audit(conn: &mut DbConnection, rows: &[GenerationAuditModel]) -> Result<()> {
    let mut sorted: Vec<&GenerationAuditModel> = rows.iter().collect();
    sorted.sort_by(|a, b| (&a.generation_id, &a.id).cmp(&(&b.generation_id, &b.id)));
    for chunk in sorted.chunks(BATCH_ROWS) {
        on_backend!(conn, c => diesel::insert_into(audit::table)
            .values(chunk.to_vec())
            .on_conflict((audit::client_org_id, audit::generation_id, audit::id))
            .do_nothing()
            .execute(c))?;
    }
    Ok(())
}

/// At most `limit` rows of one organization or of all, the newest first.
pub fn list_audit(
    conn: &mut DbConnection,
    org: Option<&OrganizationId>,
    limit: i64,
) -> Result<Vec<GenerationAuditModel>> {
    let mut rows = audit::table
        .order((audit::created_at.desc(), audit::generation_id, audit::id))
        .limit(limit)
        .into_boxed();
    if let Some(org) = org {
        rows = rows.filter(audit::client_org_id.eq(org));
    }
    Ok(rows.load(conn)?)
}

/// All rows of one generation, the newest first.
pub fn audit_of(
    conn: &mut DbConnection,
    org: &OrganizationId,
    id: &GenerationId,
) -> Result<Vec<GenerationAuditModel>> {
    let rows = audit::table.filter(audit::client_org_id.eq(org)).filter(audit::generation_id.eq(id));
    Ok(rows.order((audit::created_at.desc(), audit::id)).load(conn)?)
}

/// Where a page of the audit ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPageKey {
    /// When the row was written.
    pub created_at: UnixTime,
    /// The generation.
    pub generation_id: GenerationId,
    /// The id of the row.
    pub id: String,
}

/// Which rows to list, the newest first.
#[derive(Debug, Clone)]
pub struct AuditPageQuery {
    /// Whose.
    pub organization: OrganizationId,
    /// Only those behind this one.
    pub after: Option<AuditPageKey>,
    /// At most this many.
    pub limit: i64,
}

/// A page of one organization's rows.
pub fn page_audit(conn: &mut DbConnection, query: &AuditPageQuery) -> Result<Vec<GenerationAuditModel>> {
    let mut rows = audit::table
        .filter(audit::client_org_id.eq(&query.organization))
        .order((audit::created_at.desc(), audit::generation_id.desc(), audit::id.desc()))
        .limit(query.limit)
        .into_boxed();
    if let Some(AuditPageKey { created_at, generation_id, id }) = &query.after {
        let same = audit::generation_id.eq(generation_id).and(audit::id.lt(id));
        let behind = audit::created_at.eq(created_at).and(audit::generation_id.lt(generation_id).or(same));
        rows = rows.filter(audit::created_at.lt(created_at).or(behind));
    }
    Ok(rows.load(conn)?)
}
