//! The queries; each runs inside of the caller's transaction.

use diesel::prelude::*;
use mai_primitives::{MarkupRate, UnixTime};
use mai_storage::{DbConnection, Result, on_backend};

use crate::{
    model::GlobalSettingsModel,
    schema::{default_markup_rates, directory_revision, global_settings},
    subscription::{BillableRoles, SubscriptionTiers},
};

/// The settings, or none when none were ever stored.
pub fn settings(conn: &mut DbConnection) -> Result<Option<GlobalSettingsModel>> {
    Ok(global_settings::table.select(GlobalSettingsModel::as_select()).first(conn).optional()?)
}

/// Inserts the settings; a second time is a unique violation.
pub(crate) fn insert_settings(conn: &mut DbConnection, settings: &GlobalSettingsModel) -> Result<()> {
    diesel::insert_into(global_settings::table).values(settings).execute(conn)?;
    Ok(())
}

/// Overwrites the settings.
pub(crate) fn replace_settings(conn: &mut DbConnection, settings: &GlobalSettingsModel) -> Result<()> {
    diesel::update(global_settings::table).set(settings).execute(conn)?;
    Ok(())
}

/// What a seat costs and who needs one, each by the settings, or as built in where they say nothing.
pub fn subscription(conn: &mut DbConnection) -> Result<(SubscriptionTiers, BillableRoles)> {
    let settings = settings(conn)?;
    let (tiers, roles) = settings.map(|row| (row.subscription_tiers, row.billable_roles)).unwrap_or_default();
    Ok((tiers.unwrap_or_default(), roles.unwrap_or_default()))
}

/// The rate of an organization that has none of its own: that of the settings, or
/// [`MarkupRate::DEFAULT`] while there are no settings.
pub fn default_markup_rate(conn: &mut DbConnection) -> Result<MarkupRate> {
    let rate = global_settings::table.select(global_settings::default_markup_rate).first(conn).optional()?;
    Ok(rate.unwrap_or(MarkupRate::DEFAULT))
}

/// The default rate that held at an instant; [`MarkupRate::DEFAULT`] before there were settings.
pub fn default_markup_rate_at(conn: &mut DbConnection, at: UnixTime) -> Result<MarkupRate> {
    let rate = default_markup_rates::table
        .filter(default_markup_rates::valid_from.le(at))
        .order(default_markup_rates::valid_from.desc())
        .select(default_markup_rates::markup_rate)
        .first(conn)
        .optional()?;
    Ok(rate.unwrap_or(MarkupRate::DEFAULT))
}

/// Records that `rate` is the default from `from` on. Of several changes in one second the last counts.
pub(crate) fn record_default_rate(conn: &mut DbConnection, from: UnixTime, rate: MarkupRate) -> Result<()> {
    on_backend!(conn, inner => diesel::insert_into(default_markup_rates::table)
        .values((default_markup_rates::valid_from.eq(from), default_markup_rates::markup_rate.eq(rate)))
        .on_conflict(default_markup_rates::valid_from)
        .do_update()
        .set(default_markup_rates::markup_rate.eq(rate))
        .execute(inner))?;
    Ok(())
}

/// Increases the directory revision and returns the new one.
///
/// Every transaction after which a gateway must load again what it keeps in memory calls this before
/// it reads what it is going to change: the updated row is locked until the commit, so such
/// transactions follow one another on PostgreSQL as they do on SQLite, and none overwrites what it has
/// not seen.
pub fn bump_revision(conn: &mut DbConnection) -> Result<i64> {
    let revision = diesel::update(directory_revision::table)
        .set(directory_revision::revision.eq(directory_revision::revision + 1))
        .returning((directory_revision::revision,))
        .get_result::<(i64,)>(conn)?;
    Ok(revision.0)
}

/// The directory revision: a gateway loads its directory again when it differs from the one that the
/// directory was loaded at.
pub fn revision(conn: &mut DbConnection) -> Result<i64> {
    Ok(directory_revision::table.select(directory_revision::revision).first(conn)?)
}
