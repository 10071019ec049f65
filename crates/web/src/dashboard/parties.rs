//! Who sells and who buys, as forms; and why a statement has to wait, in words.

use mai_billing::statements::{
    BillingProfile, BillingSettings, Hold, Numbering, ProfileForm, SettingsForm, Standing, Statement,
    StatementModel, Vat,
};
use mai_organization::global_settings::Change;
use mai_primitives::{Pln, display};
use serde::Deserialize;

use super::frame::Frame;
use crate::api::{
    ApiError,
    statements::parties::{basis_points, rate},
};

/// What a form's VAT can be, as the API has it.
const RATE: &str = "rate";
const NOT_APPLICABLE: &str = "not_applicable";
const DEFAULT: &str = "default";

/// What was wrong with the buyer, by the field.
pub(crate) const BUYER_REFUSALS: [(&str, &str); 5] = [
    ("legal_name", "statements-unfit-name"),
    ("address", "statements-unfit-address"),
    ("tax_id", "statements-unfit-tax-id"),
    ("vat_rate_basis_points", "statements-unfit-vat"),
    ("vat_note", "statements-unfit-note"),
];

/// What was wrong with the seller, by the field.
pub(crate) const SELLER_REFUSALS: [(&str, &str); 5] = [
    ("seller_name", "statements-unfit-name"),
    ("seller_address", "statements-unfit-address"),
    ("seller_tax_id", "statements-unfit-tax-id"),
    ("vat_rate_basis_points", "statements-unfit-vat"),
    ("vat_note", "statements-unfit-note"),
];

/// The form of who buys, with the proof of its session.
#[derive(Deserialize)]
pub(crate) struct BuyerForm {
    #[serde(default)]
    pub(crate) csrf_token: String,
    #[serde(flatten)]
    pub(crate) fields: BuyerFields,
}

/// Who buys, as it is typed.
#[derive(Deserialize)]
pub(crate) struct BuyerFields {
    pub(crate) legal_name: String,
    pub(crate) address: String,
    pub(crate) tax_id: String,
    /// `default`, `rate` or `not_applicable`.
    pub(crate) vat: String,
    /// In percent, such as `23`.
    pub(crate) vat_percent: String,
    pub(crate) vat_note: String,
    pub(crate) language: String,
}

impl From<BillingProfile> for BuyerFields {
    fn from(profile: BillingProfile) -> Self {
        let vat = profile.vat.map_or(DEFAULT, code);
        Self {
            vat: vat.to_owned(),
            vat_percent: profile.vat.and_then(Vat::percent).unwrap_or_default(),
            legal_name: profile.legal_name.unwrap_or_default(),
            address: profile.address.unwrap_or_default(),
            tax_id: profile.tax_id.unwrap_or_default(),
            vat_note: profile.vat_note.unwrap_or_default(),
            language: profile.language.as_str().to_owned(),
        }
    }
}

impl BuyerFields {
    /// What is changed of what is stored.
    pub(crate) fn change(&self, old: &BillingProfile) -> Result<ProfileForm, ApiError> {
        let language = self.language.parse().map_err(|why: String| ApiError::field("language", why))?;
        Ok(ProfileForm {
            legal_name: typed(&self.legal_name, old.legal_name.as_deref()),
            address: typed(&self.address, old.address.as_deref()),
            tax_id: typed(&self.tax_id, old.tax_id.as_deref()),
            vat: if self.vat == DEFAULT {
                Change::Clear
            } else {
                Change::Set(vat(&self.vat, &self.vat_percent)?)
            },
            vat_note: typed(&self.vat_note, old.vat_note.as_deref()),
            language: Some(language),
        })
    }
}

/// The form of who sells, with the proof of its session.
#[derive(Deserialize)]
pub(crate) struct SellerFields {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) tax_id: String,
    /// `rate` or `not_applicable`.
    pub(crate) vat: String,
    /// In percent, such as `23`.
    pub(crate) vat_percent: String,
    pub(crate) vat_note: String,
    /// `monthly` or `yearly`.
    pub(crate) numbering: String,
}

impl From<BillingSettings> for SellerFields {
    fn from(settings: BillingSettings) -> Self {
        Self {
            vat: code(settings.vat).to_owned(),
            vat_percent: settings.vat.percent().unwrap_or_default(),
            name: settings.seller_name.unwrap_or_default(),
            address: settings.seller_address.unwrap_or_default(),
            tax_id: settings.seller_tax_id.unwrap_or_default(),
            vat_note: settings.vat_note.unwrap_or_default(),
            numbering: settings.numbering.as_str().to_owned(),
        }
    }
}

impl SellerFields {
    /// What is changed of what is stored.
    pub(crate) fn change(&self, old: &BillingSettings) -> Result<SettingsForm, ApiError> {
        let numbering: Numbering =
            self.numbering.parse().map_err(|why: String| ApiError::field("numbering", why))?;
        Ok(SettingsForm {
            seller_name: typed(&self.name, old.seller_name.as_deref()),
            seller_address: typed(&self.address, old.seller_address.as_deref()),
            seller_tax_id: typed(&self.tax_id, old.seller_tax_id.as_deref()),
            vat: Some(vat(&self.vat, &self.vat_percent)?),
            vat_note: typed(&self.vat_note, old.vat_note.as_deref()),
            numbering: Some(numbering),
        })
    }
}

const fn code(vat: Vat) -> &'static str {
    if basis_points(vat).is_some() { RATE } else { NOT_APPLICABLE }
}

/// What a field changes. What was not touched stays, so that a note still goes with the VAT that it explained.
fn typed(text: &str, old: Option<&str>) -> Change<String> {
    let text = text.trim().replace("\r\n", "\n");
    match old {
        _ if text.is_empty() => Change::Clear,
        Some(old) if old == text => Change::Keep,
        _ => Change::Set(text),
    }
}

fn vat(code: &str, percent: &str) -> Result<Vat, ApiError> {
    match code {
        NOT_APPLICABLE => Ok(Vat::NotApplicable),
        RATE => {
            let unfit = || ApiError::field("vat_rate_basis_points", "must be 0 to 100 %");
            rate(hundredths(percent).ok_or_else(unfit)?)
        }
        _ => Err(ApiError::field("vat", "must be `default`, `rate` or `not_applicable`")),
    }
}

/// A percentage as people write it, such as `23` or `8,5`, in hundredths.
fn hundredths(text: &str) -> Option<u32> {
    let text = text.trim().trim_end_matches('%').trim_end().replace(',', ".");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 2 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let fraction: u32 = format!("{fraction:0<2}").parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(fraction)
}

/// What of a statement's net is for seats, where it is something. Of an issued one only its document tells; one that
/// cannot be read is found by `verify` and hides no list.
pub(crate) fn seats(standing: &Standing) -> Result<Option<Pln>, ApiError> {
    match standing {
        Standing::NothingToBill => Ok(None),
        Standing::Issued(row) => issued_seats(row),
        Standing::Ready(statement) | Standing::Held(statement, _) => Ok(seats_in(statement)),
    }
}

/// The same of an issued statement.
pub(crate) fn issued_seats(row: &StatementModel) -> Result<Option<Pln>, ApiError> {
    Ok(seats_in(&Statement::from_json(&row.document)?))
}

fn seats_in(statement: &Statement) -> Option<Pln> {
    Some(statement.totals.subscription_pln).filter(|seats| *seats > Pln::ZERO)
}

/// That a net has these seats in it.
pub(crate) fn with_seats(frame: &Frame, seats: Pln) -> String {
    frame.with("statements-with-seats", &display::pln(seats))
}

/// Why a statement has to wait.
pub(crate) fn hold_text(frame: &Frame, hold: Hold) -> String {
    match hold {
        Hold::MonthNotOver => frame.t("statements-held-month"),
        Hold::NoCertainRate => frame.t("statements-held-rate"),
        Hold::SellerIncomplete => frame.t("statements-held-seller"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_read_as_people_write_them() {
        for (text, read) in [
            ("23", Some(2_300)),
            (" 8,5 % ", Some(850)),
            ("0", Some(0)),
            ("7.25", Some(725)),
            ("100", Some(10_000)),
            ("", None),
            ("-1", None),
            ("1.234", None),
            ("x", None),
            ("99999999999", None),
        ] {
            assert_eq!(hundredths(text), read, "{text}");
        }
    }

    #[test]
    fn what_was_not_touched_stays() {
        assert_eq!(typed(" ", Some("a")), Change::Clear);
        assert_eq!(typed("a\r\nb", Some("a\nb")), Change::Keep);
        assert_eq!(typed("b", Some("a")), Change::Set("b".to_owned()));
    }
}
