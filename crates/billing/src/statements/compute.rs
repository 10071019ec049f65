//! From what was gathered to the lines and sums of a draft: pure functions.

use std::{collections::BTreeMap, fmt};

use mai_exchange_rates::{PublishedRate, StatementRatePolicy};
use mai_primitives::{ModelName, Pln, Usd};
use mai_usage_tracking::{Totals as Sums, provider_name};

use super::{
    document::{
        Buyer, Correction, FORMAT, OwnFigures, Period, Rate, SeatLines, Seller, State, Statement, Totals,
        UsageLine, VatOf,
    },
    gather::{BilledMonth, Change, Tokens},
    parties::{BillingProfile, BillingSettings},
    vat::Vat,
};
use crate::{
    error::{Error, Result},
    month::BillingMonth,
    subscription::Subscription,
};

/// Why a statement cannot be issued yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The month is not over in the organization's zone.
    MonthNotOver,
    /// It is not certain which of NBP's tables counts.
    NoCertainRate,
    /// The seller has no name, address or tax id.
    SellerIncomplete,
}

impl Hold {
    /// A stable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MonthNotOver => "month_not_over",
            Self::NoCertainRate => "no_certain_rate",
            Self::SellerIncomplete => "seller_incomplete",
        }
    }
}

/// For people.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MonthNotOver => "the month is not over in the organization's time zone",
            Self::NoCertainRate => "it is not certain yet which of NBP's tables counts",
            Self::SellerIncomplete => "the seller's name, address and tax id are not all set",
        })
    }
}

/// What a draft is made of.
pub(crate) struct Parts<'a> {
    pub(crate) month: BillingMonth,
    pub(crate) time_zone: &'static str,
    pub(crate) settings: &'a BillingSettings,
    pub(crate) profile: &'a BillingProfile,
    pub(crate) client_org_id: String,
    pub(crate) organization_name: String,
    pub(crate) billing_email: Option<String>,
    pub(crate) policy: StatementRatePolicy,
    /// The table that counts, where it is certain.
    pub(crate) table: Option<&'a PublishedRate>,
    pub(crate) used: BTreeMap<ModelName, Sums>,
    pub(crate) token_kinds: BTreeMap<ModelName, Tokens>,
    pub(crate) seats: Subscription,
    pub(crate) changes: Vec<(BilledMonth, Vec<Change>)>,
}

/// The draft.
pub(crate) fn draft(parts: Parts<'_>) -> Result<Statement> {
    let month = parts.month;
    let out_of_range = || Error::OutOfRange(month);
    let rate = parts.table.map(|table| Rate {
        usd_pln: table.rate,
        table_no: table.table_no.clone(),
        effective_date: table.effective_date,
        policy: parts.policy.as_str().to_owned(),
    });
    let usage = usage(&parts, rate.as_ref())?;
    let corrections = corrections(&parts)?;
    let subscription = seat_lines(&parts.seats, month);
    let (vat, note) = match parts.profile.vat {
        Some(vat) => (vat, parts.profile.vat_note.clone()),
        None => (parts.settings.vat, parts.settings.vat_note.clone()),
    };
    let totals = totals(&usage, &subscription, &corrections, vat).ok_or_else(out_of_range)?;
    let rate_basis_points = match vat {
        Vat::Rate(points) => Some(points),
        Vat::NotApplicable => None,
    };
    Ok(Statement {
        format: FORMAT,
        state: State::Draft,
        number: None,
        month: month.to_string(),
        period: Period { from: month.first(), to: month.last(), time_zone: parts.time_zone.to_owned() },
        issue_date: None,
        language: parts.profile.language,
        seller: Seller {
            name: parts.settings.seller_name.clone(),
            address: parts.settings.seller_address.clone(),
            tax_id: parts.settings.seller_tax_id.clone(),
        },
        buyer: Buyer {
            client_org_id: parts.client_org_id,
            name: parts.profile.legal_name.clone().unwrap_or(parts.organization_name),
            address: parts.profile.address.clone(),
            tax_id: parts.profile.tax_id.clone(),
            email: parts.billing_email,
        },
        rate,
        usage,
        subscription,
        corrections,
        totals,
        vat: VatOf { rate_basis_points, note },
    })
}

fn own(sums: &Sums) -> Option<OwnFigures> {
    let markup_usd = sums.markup_cost.checked_sub(sums.raw_cost)?;
    Some(OwnFigures { raw_cost_usd: sums.raw_cost, markup_usd })
}

fn usage(parts: &Parts<'_>, rate: Option<&Rate>) -> Result<Vec<UsageLine>> {
    let line = |(model, sums): (&ModelName, &Sums)| {
        let cost_pln = match rate {
            Some(rate) => Some(rate.usd_pln.convert(sums.markup_cost)?),
            None => None,
        };
        let kinds = parts.token_kinds.get(model);
        Some(UsageLine {
            model: model.to_string(),
            provider: model.author().map(|slug| provider_name(slug).to_owned()),
            requests: sums.requests,
            input_tokens: kinds.map(|(input, _)| *input),
            output_tokens: kinds.map(|(_, output)| *output),
            total_tokens: sums.tokens,
            cost_usd: sums.markup_cost,
            cost_pln,
            own: Some(own(sums)?),
        })
    };
    let lines: Option<Vec<_>> = parts.used.iter().map(line).collect();
    lines.ok_or(Error::OutOfRange(parts.month))
}

fn corrections(parts: &Parts<'_>) -> Result<Vec<Correction>> {
    let mut lines = Vec::new();
    for (billed, changes) in &parts.changes {
        for Change { model, difference, cost_pln } in changes {
            lines.push(Correction {
                month: billed.month.to_string(),
                model: model.to_string(),
                provider: model.author().map(|slug| provider_name(slug).to_owned()),
                requests: difference.requests,
                total_tokens: difference.tokens,
                cost_usd: difference.markup_cost,
                usd_pln: billed.usd_pln,
                table_no: billed.table_no.clone(),
                effective_date: billed.effective_date,
                cost_pln: *cost_pln,
                own: Some(own(difference).ok_or(Error::OutOfRange(billed.month))?),
            });
        }
    }
    Ok(lines)
}

/// Seats for the same days cost the same, since one price holds for all; those for the most days come first.
fn seat_lines(subscription: &Subscription, month: BillingMonth) -> Vec<SeatLines> {
    let mut by_days = BTreeMap::<u32, (i64, i64)>::new();
    for line in &subscription.lines {
        let (seats, grosz) = by_days.entry(line.days_charged).or_default();
        *seats += 1;
        *grosz += line.cost.grosz();
    }
    let lines = by_days.into_iter().rev().map(|(days, (seats, grosz))| SeatLines {
        seats,
        days,
        days_in_month: month.days(),
        price_pln: subscription.price_per_user,
        cost_pln: Pln::from_grosz(grosz),
    });
    lines.collect()
}

/// The sums; none where one leaves the range.
pub(crate) fn totals(
    usage: &[UsageLine],
    subscription: &[SeatLines],
    corrections: &[Correction],
    vat: Vat,
) -> Option<Totals> {
    let usage_usd = Usd::checked_sum(usage.iter().map(|line| line.cost_usd))?;
    let corrections_usd = Usd::checked_sum(corrections.iter().map(|line| line.cost_usd))?;
    let subscription_pln = Pln::checked_sum(subscription.iter().map(|line| line.cost_pln))?;
    let corrections_pln = Pln::checked_sum(corrections.iter().map(|line| line.cost_pln))?;
    // None where a line waits for its rate: what is unknown must not look like a zero.
    let usage_pln = usage.iter().map(|line| line.cost_pln).collect::<Option<Vec<_>>>();
    let usage_pln = match usage_pln {
        Some(lines) => Some(Pln::checked_sum(lines)?),
        None => None,
    };
    let net_pln = match usage_pln {
        Some(usage) => Some(Pln::checked_sum([usage, subscription_pln, corrections_pln])?),
        None => None,
    };
    let (vat_pln, gross_pln) = match net_pln {
        Some(net) => {
            let tax = vat.of(net)?;
            (Some(tax), Some(net.checked_add(tax)?))
        }
        None => (None, None),
    };
    let own = usage.iter().map(|line| line.own).chain(corrections.iter().map(|line| line.own)).flatten();
    let own = OwnFigures {
        raw_cost_usd: Usd::checked_sum(own.clone().map(|own| own.raw_cost_usd))?,
        markup_usd: Usd::checked_sum(own.map(|own| own.markup_usd))?,
    };
    Some(Totals {
        usage_usd,
        corrections_usd,
        usage_pln,
        subscription_pln,
        corrections_pln,
        net_pln,
        vat_pln,
        gross_pln,
        own: Some(own),
    })
}
