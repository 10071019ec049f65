//! [`Statement`]: what a statement says, and its canonical JSON.
//!
//! The JSON's fields stand in the order of the structs, without spaces, and amounts have exactly their digits. It is what
//! is stored, hashed and, without the reseller's own figures, handed to the organization. A field may be added
//! with another `format`; none is ever renamed.

use mai_primitives::{Pln, UsageDate, Usd, UsdPlnRate};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{exact, parties::Language, vat::Vat};
use crate::error::{Error, Result};

/// The form of the JSON.
pub const FORMAT: u32 = 1;

/// Whether a statement can still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It shows what would be issued now.
    Draft,
    /// It is stored for good.
    Issued,
}

/// What an organization owes for a month. All amounts in PLN are none while no rate is certain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`FORMAT`].
    pub format: u32,
    /// Whether it can still change.
    pub state: State,
    /// `2026/11/0001`; none of a draft.
    pub number: Option<String>,
    /// `YYYY-MM`.
    pub month: String,
    /// The first and the last day, in the organization's zone.
    pub period: Period,
    /// The seller's local day of issue; none of a draft.
    pub issue_date: Option<UsageDate>,
    /// The language of its PDF.
    pub language: Language,
    /// Who sells.
    pub seller: Seller,
    /// Who buys.
    pub buyer: Buyer,
    /// The rate of the month's usage; none while it is not certain.
    pub rate: Option<Rate>,
    /// Usage by model, in the order of their names.
    pub usage: Vec<UsageLine>,
    /// Seats, those for the most days first.
    pub subscription: Vec<SeatLines>,
    /// What changed in earlier months after they were issued, by month and model.
    pub corrections: Vec<Correction>,
    /// The sums.
    pub totals: Totals,
    /// How it is taxed.
    pub vat: VatOf,
}

/// The days that a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// The first day.
    pub from: UsageDate,
    /// The last day.
    pub to: UsageDate,
    /// The IANA name of the zone whose days they are.
    pub time_zone: String,
}

/// The reseller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seller {
    /// Its name.
    pub name: Option<String>,
    /// Its address, of several lines.
    pub address: Option<String>,
    /// Its number for taxes (NIP).
    pub tax_id: Option<String>,
}

/// The organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buyer {
    /// The organization's id.
    pub client_org_id: String,
    /// Its legal name.
    pub name: String,
    /// Its address, of several lines.
    pub address: Option<String>,
    /// Its number for taxes (NIP, or an EU VAT number).
    pub tax_id: Option<String>,
    /// Where statements go.
    pub email: Option<String>,
}

/// A rate with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// PLN for one USD.
    #[serde(with = "exact::rate")]
    pub usd_pln: UsdPlnRate,
    /// The number of NBP's table A.
    pub table_no: String,
    /// The day of that table.
    pub effective_date: UsageDate,
    /// Which policy chose it: `before_period_end` or `before_issue_day`.
    pub policy: String,
}

/// Usage of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageLine {
    /// The model that answered.
    pub model: String,
    /// The display name of its author; none where the name has no author.
    pub provider: Option<String>,
    /// Generations.
    pub requests: i64,
    /// Tokens of prompts; none where the ledger no longer has all generations of the month.
    pub input_tokens: Option<i64>,
    /// Tokens of answers; none like the above.
    pub output_tokens: Option<i64>,
    /// Both together.
    pub total_tokens: i64,
    /// The client price.
    #[serde(with = "exact::usd")]
    pub cost_usd: Usd,
    /// It in PLN, rounded half away from zero to the grosz.
    #[serde(with = "exact::pln_option")]
    pub cost_pln: Option<Pln>,
    /// Only the reseller's copy has it.
    #[serde(rename = "reseller", default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnFigures>,
}

/// What only the reseller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnFigures {
    /// What OpenRouter charged.
    #[serde(with = "exact::usd")]
    pub raw_cost_usd: Usd,
    /// The client price without it.
    #[serde(with = "exact::usd")]
    pub markup_usd: Usd,
}

/// Seats for the same number of days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatLines {
    /// How many.
    pub seats: i64,
    /// For how many days each.
    pub days: u32,
    /// Of so many.
    pub days_in_month: u32,
    /// The price of one for the whole month, by the tier of the month.
    #[serde(with = "exact::pln")]
    pub price_pln: Pln,
    /// All of them; each is rounded half away from zero to the grosz.
    #[serde(with = "exact::pln")]
    pub cost_pln: Pln,
}

/// What changed of a model in an earlier month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// The month in which it was used, `YYYY-MM`.
    pub month: String,
    /// The model.
    pub model: String,
    /// The display name of its author.
    pub provider: Option<String>,
    /// Generations more, or less than zero.
    pub requests: i64,
    /// Tokens more or less.
    pub total_tokens: i64,
    /// Client price more or less.
    #[serde(with = "exact::usd")]
    pub cost_usd: Usd,
    /// The rate of the statement that billed the month.
    #[serde(with = "exact::rate")]
    pub usd_pln: UsdPlnRate,
    /// The number of its table.
    pub table_no: String,
    /// The day of that table.
    pub effective_date: UsageDate,
    /// What the month and model come to in PLN by that rate now, rounded half away from zero to the grosz, without what all
    /// statements have charged of them before. So it may differ by a grosz from what the change alone would come to.
    #[serde(with = "exact::pln")]
    pub cost_pln: Pln,
    /// Only the reseller's copy has it.
    #[serde(rename = "reseller", default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnFigures>,
}

/// The sums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Client price of the month's usage.
    #[serde(with = "exact::usd")]
    pub usage_usd: Usd,
    /// Client price of the corrections.
    #[serde(with = "exact::usd")]
    pub corrections_usd: Usd,
    /// The sum of the rounded lines of usage.
    #[serde(with = "exact::pln_option")]
    pub usage_pln: Option<Pln>,
    /// The sum of the seats.
    #[serde(with = "exact::pln")]
    pub subscription_pln: Pln,
    /// The sum of the rounded corrections.
    #[serde(with = "exact::pln")]
    pub corrections_pln: Pln,
    /// The sum of all lines.
    #[serde(with = "exact::pln_option")]
    pub net_pln: Option<Pln>,
    /// The tax on it, rounded once.
    #[serde(with = "exact::pln_option")]
    pub vat_pln: Option<Pln>,
    /// Both together.
    #[serde(with = "exact::pln_option")]
    pub gross_pln: Option<Pln>,
    /// Only the reseller's copy has it.
    #[serde(rename = "reseller", default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnFigures>,
}

/// How a statement is taxed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VatOf {
    /// In basis points; none where VAT does not apply.
    pub rate_basis_points: Option<u32>,
    /// The rule by which it does not apply, or another note.
    pub note: Option<String>,
}

impl VatOf {
    /// The rate, or that there is none.
    pub fn vat(&self) -> Vat {
        self.rate_basis_points.map_or(Vat::NotApplicable, Vat::Rate)
    }
}

impl Statement {
    /// The canonical JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::Document)
    }

    /// Reads it.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(Error::Document)
    }

    /// The organization's copy: without what OpenRouter charged and what was added to it.
    #[must_use]
    pub fn client_copy(&self) -> Self {
        let mut copy = self.clone();
        copy.usage.iter_mut().for_each(|line| line.own = None);
        copy.corrections.iter_mut().for_each(|line| line.own = None);
        copy.totals.own = None;
        copy
    }
}

/// Hex SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let halves = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.filter_map(|half| char::from_digit(half.into(), 16)).collect()
}
