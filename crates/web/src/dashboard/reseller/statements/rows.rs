//! How it stands with each organization's statement of a month, as a row, and the sum of the rows.

use mai_billing::{
    BillingMonth,
    statements::{Closing, Standing},
};
use mai_primitives::{OrganizationId, Pln, Usd, display};

use crate::{
    api::{
        ApiError,
        statements::closing::{Failure, Sums},
    },
    dashboard::{
        address::Address,
        format,
        frame::{Frame, ResellerTab, Tab},
        parties::{hold_text, seats, with_seats},
    },
};

/// An organization and its statement.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) id: String,
    /// Its statement, or the draft of it; its list where there is neither.
    pub(super) href: String,
    /// The class and the text.
    pub(super) state: (&'static str, String),
    /// What holds it back, and what else is to be known.
    pub(super) notes: Vec<String>,
    /// Number and day of issue.
    pub(super) number: Option<(String, String)>,
    pub(super) usage: String,
    pub(super) net: String,
    /// What of it is for seats.
    pub(super) seats: Option<String>,
    pub(super) vat: String,
    pub(super) gross: String,
    /// Where it is issued, once nothing holds it back.
    pub(super) issue: Option<String>,
    /// Whether it is issued or has nothing to bill, so that closing the month changes nothing.
    pub(super) is_closed: bool,
    /// Whether it was issued just now.
    pub(super) is_new: bool,
}

/// What rows come to. An amount that is not certain yet is in none of the sums, and counted.
#[derive(Default)]
pub(super) struct Sum {
    usage: Usd,
    net: Pln,
    seats: Pln,
    vat: Pln,
    gross: Pln,
    unknown: i64,
}

impl Sum {
    fn add(&mut self, sums: Sums, seats: Option<Pln>) -> Result<(), ApiError> {
        let out = || ApiError::unbookable("the sum leaves the range of amounts");
        let usage = sums.usage_usd.unwrap_or(Usd::ZERO);
        self.usage = self.usage.checked_add(usage).ok_or_else(out)?;
        for (sum, amount) in [
            (&mut self.net, sums.net),
            (&mut self.seats, seats),
            (&mut self.vat, sums.vat),
            (&mut self.gross, sums.gross),
        ] {
            *sum = sum.checked_add(amount.unwrap_or(Pln::ZERO)).ok_or_else(out)?;
        }
        self.unknown += i64::from(sums.usage_usd.is_some() && sums.gross.is_none());
        Ok(())
    }

    pub(super) fn usage(&self) -> String {
        display::usd(self.usage)
    }

    pub(super) fn net(&self) -> String {
        display::pln(self.net)
    }

    /// What of the net is for seats, where it is something.
    pub(super) fn seats(&self, frame: &Frame) -> Option<String> {
        (self.seats > Pln::ZERO).then(|| with_seats(frame, self.seats))
    }

    pub(super) fn vat(&self) -> String {
        display::pln(self.vat)
    }

    pub(super) fn gross(&self) -> String {
        display::pln(self.gross)
    }

    /// Of how many the amount in PLN is not certain yet, or could not be computed.
    pub(super) const fn unknown(&self) -> i64 {
        self.unknown
    }
}

/// The row of an organization, which goes into the sum. `found` says how it stands and whether it was issued just now.
pub(super) fn row(
    frame: &Frame,
    id: &OrganizationId,
    name: String,
    month: BillingMonth,
    found: Result<(Closing, bool), Failure>,
    sum: &mut Sum,
) -> Result<Row, ApiError> {
    let list = Tab::Statements.path(id);
    let (closing, is_new) = match found {
        Ok(found) => found,
        Err(failure) => {
            sum.unknown += 1;
            return Ok(failed(frame, id, name, list, failure));
        }
    };
    let sums = Sums::of(&closing.standing);
    let seats = sums.net.and(seats(&closing.standing)?);
    sum.add(sums, seats)?;
    let mut notes = notes(frame, &closing);
    let one = format!("{list}/{month}");
    let may_issue = matches!(closing.standing, Standing::Ready(_));
    let is_closed = matches!(closing.standing, Standing::Issued(_) | Standing::NothingToBill);
    let (href, number, state) = match closing.standing {
        Standing::NothingToBill => (list, None, ("", frame.t("statements-nothing"))),
        Standing::Issued(row) => {
            let day = format::date(frame.language, row.issue_date);
            (one, Some((row.number, day)), ("ok", frame.t("statements-issued")))
        }
        Standing::Ready(_) => (one, None, ("warn", frame.t("statements-ready"))),
        Standing::Held(_, holds) => {
            notes.splice(0..0, holds.into_iter().map(|hold| hold_text(frame, hold)));
            (one, None, ("warn", frame.t("statements-held")))
        }
    };
    let pln = |amount: Option<Pln>| amount.map_or_else(|| "–".to_owned(), display::pln);
    Ok(Row {
        name,
        issue: may_issue.then(|| issue_link(month, Some(id))),
        id: id.to_string(),
        href,
        state,
        notes,
        number,
        usage: sums.usage_usd.map_or_else(|| "–".to_owned(), display::usd),
        net: pln(sums.net),
        seats: seats.map(|seats| with_seats(frame, seats)),
        vat: pln(sums.vat),
        gross: pln(sums.gross),
        is_closed,
        is_new,
    })
}

/// Where one is asked whether a month is issued: of an organization, or of all.
pub(super) fn issue_link(month: BillingMonth, id: Option<&OrganizationId>) -> String {
    let organization = id.map(OrganizationId::as_str).unwrap_or_default();
    let month = month.to_string();
    let asked = [("month", month.as_str()), ("confirm", "issue"), ("organization", organization)];
    Address::to(ResellerTab::Statements.path()).with(&asked).link()
}

/// What is to be known of a month beside its state.
fn notes(frame: &Frame, closing: &Closing) -> Vec<String> {
    let mut notes = Vec::new();
    if closing.pending_generations > 0 {
        notes.push(frame.language.count("statements-pending", closing.pending_generations));
    }
    if !closing.unbilled_months.is_empty() {
        let months: Vec<_> = closing
            .unbilled_months
            .iter()
            .map(|month| format::month(frame.language, month.first()))
            .collect();
        notes.push(frame.with("statements-unbilled", &months.join(", ")));
    }
    notes
}

fn failed(frame: &Frame, id: &OrganizationId, name: String, href: String, failure: Failure) -> Row {
    let nothing = || "–".to_owned();
    Row {
        name,
        id: id.to_string(),
        href,
        state: ("bad", frame.t("statements-failed")),
        notes: vec![failure.message],
        number: None,
        usage: nothing(),
        net: nothing(),
        seats: None,
        vat: nothing(),
        gross: nothing(),
        issue: None,
        is_closed: false,
        is_new: false,
    }
}
