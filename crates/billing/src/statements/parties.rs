//! Who sells and who buys, as statements name them.

use diesel::prelude::*;
use mai_global_settings::Change;
use mai_primitives::{OrganizationId, UnixTime};
use mai_storage::{DbConnection, load_for_update, on_backend, text_enum};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    schema::{billing_profiles, billing_settings},
    vat::Vat,
};
use crate::error::{Error, Result};

/// The row of the settings.
const SETTINGS: i64 = 1;
/// How many characters names, addresses, tax ids and notes may have.
const NAME: usize = 200;
const ADDRESS: usize = 400;
const TAX_ID: usize = 40;
const NOTE: usize = 400;

/// Whether a text may have several lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    Several,
}

text_enum! {
    /// The language of an organization's PDF.
    #[derive(Default)]
    pub enum Language {
        /// Polish.
        #[default]
        Polish = "pl",
        /// English.
        English = "en",
    }
}

text_enum! {
    /// When numbers begin again.
    #[derive(Default)]
    pub enum Numbering {
        /// With each month of issue: `2026/11/0001`.
        #[default]
        Monthly = "monthly",
        /// With each year: `2026/0001`.
        Yearly = "yearly",
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Who sells, how it is taxed, and how statements are numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingSettings {
    /// The reseller's name. Nothing is issued before name, address and tax id are set.
    pub seller_name: Option<String>,
    /// Its address, of several lines.
    pub seller_address: Option<String>,
    /// Its number for taxes (NIP).
    pub seller_tax_id: Option<String>,
    /// The tax of organizations that have none of their own.
    pub vat: Vat,
    /// By which rule VAT does not apply, or another note that statements show.
    pub vat_note: Option<String>,
    /// When numbers begin again.
    pub numbering: Numbering,
    /// When they were last changed; 0 while they never were.
    pub updated_at: UnixTime,
}

/// A partial update of them.
#[derive(Debug, Clone, Default)]
pub struct SettingsForm {
    /// 1 to 200 characters.
    pub seller_name: Change<String>,
    /// 1 to 400 characters.
    pub seller_address: Change<String>,
    /// 1 to 40 characters.
    pub seller_tax_id: Change<String>,
    /// The tax.
    pub vat: Option<Vat>,
    /// 1 to 400 characters.
    pub vat_note: Change<String>,
    /// When numbers begin again.
    pub numbering: Option<Numbering>,
}

/// What a statement says about its buyer beside the organization's name and address for bills.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BillingProfile {
    /// None means the organization's name.
    pub legal_name: Option<String>,
    /// Its address, of several lines.
    pub address: Option<String>,
    /// Its number for taxes.
    pub tax_id: Option<String>,
    /// None means what the settings say, note included.
    pub vat: Option<Vat>,
    /// By which rule VAT does not apply.
    pub vat_note: Option<String>,
    /// The language of the PDF.
    pub language: Language,
}

/// A partial update of it.
#[derive(Debug, Clone, Default)]
pub struct ProfileForm {
    /// 1 to 200 characters.
    pub legal_name: Change<String>,
    /// 1 to 400 characters.
    pub address: Change<String>,
    /// 1 to 40 characters.
    pub tax_id: Change<String>,
    /// The tax; cleared means what the settings say.
    pub vat: Change<Vat>,
    /// 1 to 400 characters.
    pub vat_note: Change<String>,
    /// The language of the PDF.
    pub language: Option<Language>,
}

/// A text of a form without spaces around it.
fn text(field: &'static str, change: Change<String>, at_most: usize, lines: Lines) -> Result<Change<String>> {
    let Change::Set(text) = change else { return Ok(change) };
    let text = text.trim().replace("\r\n", "\n");
    if text.is_empty() || text.chars().count() > at_most {
        return Err(Error::Invalid { field, reason: format!("must have 1 to {at_most} characters") });
    }
    if text.chars().any(|letter| letter.is_control() && !(lines == Lines::Several && letter == '\n')) {
        return Err(Error::Invalid { field, reason: "must have no control characters".to_owned() });
    }
    Ok(Change::Set(text))
}

fn with_note(vat: Vat, note: Option<&String>) -> Result<()> {
    if vat == Vat::NotApplicable && note.is_none() {
        let reason = "must say by which rule VAT does not apply".to_owned();
        return Err(Error::Invalid { field: "vat_note", reason });
    }
    Ok(())
}

/// The note after a change. That of a sale which was not taxed here does not explain a rate: it goes with what it explained,
/// unless another is sent.
fn note(
    change: Change<String>,
    old: Option<String>,
    was: Option<Vat>,
    is: Option<Vat>,
) -> Result<Option<String>> {
    let stays = was != Some(Vat::NotApplicable) || is == was;
    Ok(text("vat_note", change, NOTE, Lines::Several)?.apply(old.filter(|_| stays)))
}

impl BillingSettings {
    /// What they are after a change.
    pub(crate) fn changed(self, form: SettingsForm, now: UnixTime) -> Result<Self> {
        let vat = form.vat.unwrap_or(self.vat);
        let changed = Self {
            seller_name: text("seller_name", form.seller_name, NAME, Lines::One)?.apply(self.seller_name),
            seller_address: text("seller_address", form.seller_address, ADDRESS, Lines::Several)?
                .apply(self.seller_address),
            seller_tax_id: text("seller_tax_id", form.seller_tax_id, TAX_ID, Lines::One)?
                .apply(self.seller_tax_id),
            vat,
            vat_note: note(form.vat_note, self.vat_note, Some(self.vat), Some(vat))?,
            numbering: form.numbering.unwrap_or(self.numbering),
            updated_at: now,
        };
        with_note(changed.vat, changed.vat_note.as_ref())?;
        Ok(changed)
    }

    /// Whether the seller is named as far as a statement needs it.
    pub fn is_complete(&self) -> bool {
        self.seller_name.is_some() && self.seller_address.is_some() && self.seller_tax_id.is_some()
    }
}

impl BillingProfile {
    /// What it is after a change.
    pub(crate) fn changed(self, form: ProfileForm) -> Result<Self> {
        let vat = form.vat.apply(self.vat);
        let changed = Self {
            legal_name: text("legal_name", form.legal_name, NAME, Lines::One)?.apply(self.legal_name),
            address: text("address", form.address, ADDRESS, Lines::Several)?.apply(self.address),
            tax_id: text("tax_id", form.tax_id, TAX_ID, Lines::One)?.apply(self.tax_id),
            vat,
            vat_note: note(form.vat_note, self.vat_note, self.vat, vat)?,
            language: form.language.unwrap_or(self.language),
        };
        if let Some(vat) = changed.vat {
            with_note(vat, changed.vat_note.as_ref())?;
        }
        Ok(changed)
    }
}

type SettingsRow =
    (i64, Option<String>, Option<String>, Option<String>, String, Option<String>, Numbering, UnixTime);

fn vat(text: &str) -> Result<Vat> {
    text.parse().map_err(|_| Error::Stored(format!("the VAT `{text}`")))
}

fn settings_of(row: SettingsRow) -> Result<BillingSettings> {
    let (_, seller_name, seller_address, seller_tax_id, text, vat_note, numbering, updated_at) = row;
    let vat = vat(&text)?;
    Ok(BillingSettings { seller_name, seller_address, seller_tax_id, vat, vat_note, numbering, updated_at })
}

/// The settings.
pub(crate) fn settings(conn: &mut DbConnection) -> Result<BillingSettings> {
    settings_of(billing_settings::table.find(SETTINGS).first(conn)?)
}

/// The settings, locked until the transaction ends. All who issue a statement or change the settings stand in a queue here.
pub(crate) fn locked_settings(conn: &mut DbConnection) -> Result<BillingSettings> {
    let rows: Vec<SettingsRow> = load_for_update!(conn, billing_settings::table.find(SETTINGS))?;
    let row = rows.into_iter().next().ok_or(Error::Storage(mai_storage::Error::NotFound))?;
    settings_of(row)
}

pub(crate) fn store_settings(conn: &mut DbConnection, settings: &BillingSettings) -> Result<()> {
    diesel::update(billing_settings::table.find(SETTINGS))
        .set((
            billing_settings::seller_name.eq(&settings.seller_name),
            billing_settings::seller_address.eq(&settings.seller_address),
            billing_settings::seller_tax_id.eq(&settings.seller_tax_id),
            billing_settings::vat.eq(settings.vat.to_string()),
            billing_settings::vat_note.eq(&settings.vat_note),
            billing_settings::numbering.eq(settings.numbering),
            billing_settings::updated_at.eq(settings.updated_at),
        ))
        .execute(conn)?;
    Ok(())
}

type ProfileRow = (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>, Language);

/// The profile of an organization; the defaults where none was stored.
pub(crate) fn profile(conn: &mut DbConnection, id: &OrganizationId) -> Result<BillingProfile> {
    use billing_profiles as t;
    let row: Option<ProfileRow> = t::table
        .find(id)
        .select((t::legal_name, t::address, t::tax_id, t::vat, t::vat_note, t::language))
        .first(conn)
        .optional()?;
    let Some((legal_name, address, tax_id, text, vat_note, language)) = row else {
        return Ok(BillingProfile::default());
    };
    let vat = text.as_deref().map(vat).transpose()?;
    Ok(BillingProfile { legal_name, address, tax_id, vat, vat_note, language })
}

pub(crate) fn store_profile(
    conn: &mut DbConnection,
    id: &OrganizationId,
    profile: &BillingProfile,
    now: UnixTime,
) -> Result<()> {
    use billing_profiles as t;
    let values = (
        t::legal_name.eq(&profile.legal_name),
        t::address.eq(&profile.address),
        t::tax_id.eq(&profile.tax_id),
        t::vat.eq(profile.vat.map(|vat| vat.to_string())),
        t::vat_note.eq(&profile.vat_note),
        t::language.eq(profile.language),
        t::updated_at.eq(now),
    );
    on_backend!(conn, inner => diesel::insert_into(t::table)
        .values((t::client_org_id.eq(id), values.clone()))
        .on_conflict(t::client_org_id)
        .do_update()
        .set(values)
        .execute(inner))?;
    Ok(())
}
