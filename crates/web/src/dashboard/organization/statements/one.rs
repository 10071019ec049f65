//! One statement as a page: what is billed by line, the sums, the rate with its evidence, and who sells and buys.

use actix_web::HttpResponse;
use askama::Template;
use mai_billing::{
    BillingMonth,
    statements::{Correction, SeatLines, State, Statement, UsageLine},
};
use mai_primitives::{Pln, UsageDate, UsdPlnRate, display};

use super::{File, files, unknown};
use crate::{
    api::{ApiError, statements::statement},
    dashboard::{
        format,
        frame::{Frame, Tab},
        organization::Here,
        table::{Pager, paged},
        visit::{Visit, page},
    },
};

#[derive(Template)]
#[template(path = "statements/one.html")]
struct Page {
    frame: Frame,
    back: String,
    is_draft: bool,
    is_resellers: bool,
    files: Vec<File>,
    facts: Vec<(String, String)>,
    seller: Party,
    buyer: Party,
    usage: Vec<UsageRow>,
    pager: Pager,
    usage_usd: String,
    usage_pln: String,
    seats: Vec<SeatRow>,
    seats_pln: String,
    corrections: Vec<CorrectionRow>,
    corrections_usd: String,
    corrections_pln: String,
    totals: Vec<(String, String)>,
    gross: String,
    /// By which rule VAT does not apply, or another note.
    note: Option<String>,
    /// SHA-256 of what was issued, by which copies are checked.
    hashes: Vec<(String, String)>,
}

/// Who sells or buys: a name, and lines below it.
struct Party {
    name: String,
    lines: Vec<String>,
}

struct UsageRow {
    model: String,
    provider: String,
    requests: String,
    input: String,
    output: String,
    tokens: String,
    usd: String,
    pln: String,
    /// What OpenRouter charged and what was added, for the reseller.
    own: Option<(String, String)>,
}

struct SeatRow {
    seats: String,
    days: String,
    price: String,
    cost: String,
}

struct CorrectionRow {
    month: String,
    model: String,
    requests: String,
    tokens: String,
    usd: String,
    rate: String,
    evidence: String,
    pln: String,
}

/// The page.
pub(super) async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Statements).await?;
    let month: BillingMonth =
        visit.part("month")?.parse().map_err(|_| ApiError::not_found("there is no such month"))?;
    let statement = statement(&here.caller, &visit.api, &here.id, month).await?;
    let mut frame = here.frame(visit).await?;
    frame.title = match &statement.number {
        Some(number) => frame.with("statements-title", number),
        None => frame.with("statements-draft-title", &format::month(frame.language, month.first())),
    };
    let hashes = hashes(visit, &here, &frame, month).await?;
    let totals = &statement.totals;
    let (facts, sums) = (facts(&frame, &statement, month), sums(&frame, &statement));
    let (usage, pager) = paged(statement.usage, &visit.address, &frame)?;
    let page_ = Page {
        back: Tab::Statements.path(&here.id),
        is_draft: statement.state == State::Draft,
        is_resellers: here.caller.is_reseller(),
        files: files(&here.id, month),
        facts,
        usage_usd: display::usd(totals.usage_usd),
        usage_pln: zloty(totals.usage_pln),
        seats_pln: display::pln(totals.subscription_pln),
        corrections_usd: display::usd(totals.corrections_usd),
        corrections_pln: display::pln(totals.corrections_pln),
        gross: zloty(totals.gross_pln),
        totals: sums,
        seller: party(
            statement.seller.name,
            statement.seller.address,
            tax_id(&frame, statement.seller.tax_id),
            None,
        ),
        buyer: party(
            Some(statement.buyer.name),
            statement.buyer.address,
            tax_id(&frame, statement.buyer.tax_id),
            statement.buyer.email,
        ),
        usage: usage.into_iter().map(|line| usage_row(&frame, line)).collect(),
        pager,
        seats: statement.subscription.iter().map(|line| seat_row(&frame, line)).collect(),
        corrections: statement.corrections.into_iter().map(|line| correction_row(&frame, line)).collect(),
        note: statement.vat.note,
        hashes,
        frame,
    };
    page(&page_)
}

/// The hashes of an issued statement; that of the stored document is for the reseller, as in the API.
async fn hashes(
    visit: &Visit,
    here: &Here,
    frame: &Frame,
    month: BillingMonth,
) -> Result<Vec<(String, String)>, ApiError> {
    let Some(row) = visit.api.statements.find(&here.id, month).await? else { return Ok(Vec::new()) };
    let mut hashes = vec![(frame.t("statements-pdf-hash"), row.pdf_sha256)];
    if here.caller.is_reseller() {
        hashes.push((frame.t("statements-document-hash"), row.document_sha256));
    }
    Ok(hashes)
}

fn zloty(amount: Option<Pln>) -> String {
    amount.map_or_else(unknown, display::pln)
}

fn facts(frame: &Frame, statement: &Statement, month: BillingMonth) -> Vec<(String, String)> {
    let day = |day: UsageDate| format::date(frame.language, day);
    let period = format!("{} – {}", day(statement.period.from), day(statement.period.to));
    let mut facts = vec![
        (frame.t("statements-number"), statement.number.clone().unwrap_or_else(unknown)),
        (frame.t("month"), format::month(frame.language, month.first())),
        (frame.t("statements-period"), format!("{period} ({})", statement.period.time_zone)),
        (frame.t("statements-issued-on"), statement.issue_date.map_or_else(unknown, day)),
    ];
    if let Some(rate) = &statement.rate {
        facts.push((frame.t("rate"), format::rate(frame.language, rate.usd_pln)));
        facts.push((frame.t("statements-evidence"), table(frame, &rate.table_no, rate.effective_date)));
    } else {
        facts.push((frame.t("rate"), frame.t("statements-held-rate")));
    }
    facts
}

fn table(frame: &Frame, number: &str, day: UsageDate) -> String {
    let day = format::date(frame.language, day);
    frame.language.with_all("statements-table", &[("table", number), ("day", &day)])
}

/// What net, VAT and gross are made of, without gross itself.
fn sums(frame: &Frame, statement: &Statement) -> Vec<(String, String)> {
    let totals = &statement.totals;
    let vat = match statement.vat.vat().percent() {
        Some(percent) => frame.with("statements-vat-of", &percent),
        None => frame.t("statements-vat-none"),
    };
    let mut sums = vec![
        (frame.t("statements-usage"), zloty(totals.usage_pln)),
        (frame.t("statements-seats"), display::pln(totals.subscription_pln)),
    ];
    if !statement.corrections.is_empty() {
        sums.push((frame.t("statements-corrections"), display::pln(totals.corrections_pln)));
    }
    sums.extend([(frame.t("statements-net"), zloty(totals.net_pln)), (vat, zloty(totals.vat_pln))]);
    sums
}

fn tax_id(frame: &Frame, id: Option<String>) -> Option<String> {
    id.map(|id| format!("{}: {id}", frame.t("statements-tax-id")))
}

fn party(
    name: Option<String>,
    address: Option<String>,
    tax_id: Option<String>,
    email: Option<String>,
) -> Party {
    let address = address.unwrap_or_default();
    let lines = address.lines().map(str::to_owned).chain(tax_id).chain(email);
    Party { name: name.unwrap_or_else(unknown), lines: lines.collect() }
}

fn usage_row(frame: &Frame, line: UsageLine) -> UsageRow {
    let known = |tokens: Option<i64>| tokens.map_or_else(unknown, |tokens| frame.number(tokens));
    UsageRow {
        model: line.model,
        provider: line.provider.unwrap_or_default(),
        requests: frame.number(line.requests),
        input: known(line.input_tokens),
        output: known(line.output_tokens),
        tokens: frame.number(line.total_tokens),
        usd: display::usd(line.cost_usd),
        pln: zloty(line.cost_pln),
        own: line.own.map(|own| (display::usd(own.raw_cost_usd), display::usd(own.markup_usd))),
    }
}

fn seat_row(frame: &Frame, line: &SeatLines) -> SeatRow {
    let (charged, all) = (frame.number(line.days.into()), frame.number(line.days_in_month.into()));
    SeatRow {
        seats: frame.number(line.seats),
        days: frame.language.with_all("seats-days-of", &[("charged", &charged), ("all", &all)]),
        price: display::pln(line.price_pln),
        cost: display::pln(line.cost_pln),
    }
}

fn correction_row(frame: &Frame, line: Correction) -> CorrectionRow {
    let month = line.month.parse::<BillingMonth>();
    let rate: UsdPlnRate = line.usd_pln;
    CorrectionRow {
        month: month.map_or(line.month, |month| format::month(frame.language, month.first())),
        model: line.model,
        requests: frame.number(line.requests),
        tokens: frame.number(line.total_tokens),
        usd: display::usd(line.cost_usd),
        rate: format::rate(frame.language, rate),
        evidence: table(frame, &line.table_no, line.effective_date),
        pln: display::pln(line.cost_pln),
    }
}
