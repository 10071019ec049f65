//! The seed's rows on their way into the database.

use diesel::prelude::*;
use mai_organization::client_organization::{
    ClientOrganizationModel, DayRatePolicy, MemberModel, MemberSource, ProviderKeyState, StatementRatePolicy,
    UserClientMappingModel,
    schema::{client_organizations, members, organization_markup_rates, user_client_mapping},
};
use mai_organization::generation_processing::{
    NewGeneration, ProcessedGenerationCleanupLogModel, UsageSource, schema::processed_generation_cleanup_log,
};
use mai_organization::global_settings::bump_revision;
use mai_organization::usage_tracking::{
    ClientDailyUsageModel, ClientModelDailyUsageModel, ClientUserDailyUsageModel,
    schema::{client_daily_usage, client_model_daily_usage, client_user_daily_usage},
};
use mai_primitives::{UnixTime, Usd};
use mai_storage::{BATCH_ROWS, DbConnection, on_backend};

use crate::{
    daily::DailyRows,
    error::Result,
    people::Organization,
    usage::{Days, Model, Request},
};

/// The zone of all made-up organizations.
pub(crate) const ZONE: &str = "Europe/Warsaw";

/// Writes an organization with its members, made `oldest` days before the end.
pub(crate) fn organization(
    conn: &mut DbConnection,
    days: &Days,
    organization: &Organization,
    oldest: u64,
) -> Result<()> {
    bump_revision(conn)?;
    let at = |age: u64| days.calendar.start_of(days.end.minus_days(age));
    diesel::insert_into(client_organizations::table).values(row(organization, at(oldest))).execute(conn)?;
    diesel::insert_into(organization_markup_rates::table)
        .values((
            organization_markup_rates::client_org_id.eq(&organization.id),
            organization_markup_rates::valid_from.eq(at(oldest)),
            organization_markup_rates::markup_rate.eq(Some(organization.markup_rate)),
        ))
        .execute(conn)?;
    let (mut people, mut mappings) = (Vec::new(), Vec::new());
    for member in &organization.members {
        let created_at = at(member.came.unwrap_or(oldest).min(oldest));
        let (is_active, updated_at) = member.left.map_or((true, created_at), |left| (false, at(left)));
        people.push(MemberModel {
            client_org_id: organization.id.clone(),
            user_id: member.user_id.clone(),
            name: Some(member.name.clone()),
            email: Some(member.email.clone()),
            role: member.role,
            source: MemberSource::Demo,
            is_active,
            created_at,
            updated_at,
        });
        mappings.push(UserClientMappingModel {
            client_org_id: organization.id.clone(),
            user_id: member.user_id.clone(),
            openrouter_user_id: member.openrouter_user_id.clone(),
            is_active,
            created_at,
            updated_at,
        });
    }
    for chunk in people.chunks(BATCH_ROWS) {
        on_backend!(conn, c => diesel::insert_into(members::table).values(chunk).execute(c))?;
    }
    for chunk in mappings.chunks(BATCH_ROWS) {
        on_backend!(conn, c => diesel::insert_into(user_client_mapping::table).values(chunk).execute(c))?;
    }
    Ok(())
}

fn row(organization: &Organization, made: UnixTime) -> ClientOrganizationModel {
    ClientOrganizationModel {
        id: organization.id.clone(),
        name: organization.name.clone(),
        provider_key: ProviderKeyState::default(),
        openrouter_key_hash: None,
        webhook_secret: None,
        markup_rate: Some(organization.markup_rate),
        monthly_limit: Some(organization.monthly_limit),
        billing_email: Some(organization.billing_email.clone()),
        timezone: ZONE.to_owned(),
        drain_on_disconnect: false,
        site_url: None,
        day_rate_policy: DayRatePolicy::default(),
        statement_rate_policy: StatementRatePolicy::default(),
        is_active: true,
        created_at: made,
        updated_at: made,
    }
}

/// Writes new rows of the three daily tables, which must not exist yet.
///
/// Usage that is metered goes through `record_generations` instead: that decides by the ledger what is
/// new and adds to what is there, which these inserts, several times as fast, do not.
pub(crate) fn daily_rows(conn: &mut DbConnection, rows: &DailyRows) -> Result<()> {
    for chunk in rows.days.chunks(BATCH_ROWS) {
        let chunk: Vec<&ClientDailyUsageModel> = chunk.iter().collect();
        on_backend!(conn, c => diesel::insert_into(client_daily_usage::table).values(chunk).execute(c))?;
    }
    for chunk in rows.users.chunks(BATCH_ROWS) {
        let chunk: Vec<&ClientUserDailyUsageModel> = chunk.iter().collect();
        on_backend!(conn, c => diesel::insert_into(client_user_daily_usage::table).values(chunk).execute(c))?;
    }
    for chunk in rows.models.chunks(BATCH_ROWS) {
        let chunk: Vec<&ClientModelDailyUsageModel> = chunk.iter().collect();
        on_backend!(conn, c => diesel::insert_into(client_model_daily_usage::table).values(chunk).execute(c))?;
    }
    Ok(())
}

/// The requests of a day as the gateway would hand them in.
pub(crate) fn generations(
    days: &Days,
    organization: &Organization,
    models: &[Model],
    requests: &[Request],
    age: u64,
) -> Result<Vec<NewGeneration>> {
    let mut generations = Vec::with_capacity(requests.len());
    for request in requests {
        let (Some(member), Some(model)) =
            (organization.members.get(request.member), models.get(request.model))
        else {
            continue;
        };
        generations.push(NewGeneration {
            client_org_id: organization.id.clone(),
            id: request.id()?,
            generation_date: days.end.minus_days(age),
            total_cost: request.cost,
            cost_text: request.cost.to_string(),
            markup_rate: organization.markup_rate,
            user_id: member.user_id.clone(),
            openrouter_user_id: member.openrouter_user_id.clone(),
            model_name: model.name.clone(),
            requested_model: Some(model.name.clone()),
            serving_provider: Some(model.provider.to_owned()),
            input_tokens: request.input_tokens,
            output_tokens: request.output_tokens,
            cached_tokens: request.cached_tokens,
            cache_write_tokens: None,
            reasoning_tokens: request.reasoning_tokens,
            is_byok: false,
            tokens_estimated: false,
            streamed: request.streamed,
            source: UsageSource::Gateway,
            gateway_key_id: None,
            task: None,
            started_at: request.started_at,
        });
    }
    Ok(generations)
}

/// Says in the cleanup log that the ledger is complete for the last `ledger_days` days only, so that
/// nobody looks for the generations of the days before.
pub(crate) fn cleanup_log(conn: &mut DbConnection, days: &Days, ledger_days: u64) -> Result<()> {
    let cleanup = ProcessedGenerationCleanupLogModel {
        cleanup_date: days.end,
        // A cleanup on this day makes the ledger complete from two days later on.
        cutoff_date: days.end.minus_days(ledger_days + 1),
        days_retained: i32::try_from(ledger_days).unwrap_or(i32::MAX),
        records_before: 0,
        records_deleted: 0,
        records_remaining: 0,
        old_tokens_removed: 0,
        old_cost_removed: Usd::ZERO,
        storage_saved_bytes: 0,
        cleanup_duration_ms: 0,
        success: true,
        error_message: None,
        created_at: days.calendar.start_of(days.end),
    };
    diesel::insert_into(processed_generation_cleanup_log::table).values(cleanup).execute(conn)?;
    Ok(())
}
