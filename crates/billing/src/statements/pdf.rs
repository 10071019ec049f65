//! A statement as a PDF: the organization's copy, from nothing but what the statement says.

use mai_exchange_rates::StatementRatePolicy;
use mai_pdf::{Align, Block, Column, Document, Party, Row, Table, render};

use super::{
    document::{Correction, Statement},
    parties::Language,
    vat::Vat,
    words::{Words, decimal, places, pln, usd, whole, words},
};
use crate::error::Result;

/// The bytes of a statement's PDF. They depend on nothing but the statement and the version of this program.
pub fn pdf(statement: &Statement) -> Result<Vec<u8>> {
    Ok(render(&document(&statement.client_copy()))?)
}

/// How a table's columns are laid out: how wide, and whether they have numbers.
type Shape<const N: usize> = [(u16, Align); N];

const USAGE: Shape<8> = [
    (32, Align::Left),
    (17, Align::Left),
    (12, Align::Right),
    (16, Align::Right),
    (16, Align::Right),
    (16, Align::Right),
    (20, Align::Right),
    (16, Align::Right),
];
const SUBSCRIPTION: Shape<5> =
    [(40, Align::Left), (12, Align::Right), (14, Align::Right), (24, Align::Right), (20, Align::Right)];
const CORRECTIONS: Shape<7> = [
    (12, Align::Left),
    (32, Align::Left),
    (12, Align::Right),
    (17, Align::Right),
    (20, Align::Right),
    (30, Align::Right),
    (17, Align::Right),
];
const SUMMARY: Shape<2> = [(60, Align::Left), (40, Align::Right)];

/// What the document says, in order.
fn document(statement: &Statement) -> Document {
    let language = statement.language;
    let words = words(language);
    let title = match &statement.number {
        Some(number) => format!("{} {number}", words.title),
        None => format!("{} {}", words.draft_title, statement.month),
    };
    let mut blocks = vec![Block::Title(title.clone())];
    if statement.number.is_none() {
        blocks.push(Block::Notice(words.draft_notice.to_owned()));
    }
    blocks.push(Block::Facts(facts(statement, words)));
    blocks.push(Block::Parties([seller(statement, words), buyer(statement, words)]));
    if !statement.usage.is_empty() {
        blocks.push(Block::Heading(words.usage.to_owned()));
        blocks.push(Block::Table(usage(statement, words)));
    }
    if !statement.subscription.is_empty() {
        blocks.push(Block::Heading(words.subscription.to_owned()));
        blocks.push(Block::Table(subscription(statement, words)));
    }
    if !statement.corrections.is_empty() {
        blocks.push(Block::Heading(words.corrections.to_owned()));
        blocks.push(Block::Table(corrections(statement, words)));
        blocks.push(Block::Paragraph(words.corrections_note.to_owned()));
    }
    blocks.push(Block::Heading(words.summary.to_owned()));
    blocks.push(Block::Table(summary(statement, words)));
    if statement.totals.gross_pln.is_some_and(|gross| gross.grosz() < 0) {
        blocks.push(Block::Notice(words.refund.to_owned()));
    }
    blocks.push(Block::Paragraph(words.rounding.to_owned()));
    if let Some(note) = &statement.vat.note {
        blocks.push(Block::Paragraph(format!("{}: {note}", words.vat)));
    }
    Document {
        title,
        language: language.as_str(),
        author: statement.seller.name.clone().unwrap_or_default(),
        footer: words.footer.to_owned(),
        blocks,
    }
}

fn facts(statement: &Statement, words: &Words) -> Vec<(String, String)> {
    let period = &statement.period;
    let days = format!("{} – {} ({} {})", period.from, period.to, words.zone, period.time_zone);
    let mut facts = vec![(words.period.to_owned(), days)];
    if let Some(day) = statement.issue_date {
        facts.push((words.issue_date.to_owned(), day.to_string()));
    }
    let rate = match &statement.rate {
        Some(rate) => {
            let policy = match rate.policy.parse() {
                Ok(StatementRatePolicy::BeforePeriodEnd) => words.before_period_end,
                Ok(StatementRatePolicy::BeforeIssueDay) => words.before_issue_day,
                Err(_) => rate.policy.as_str(),
            };
            let number = decimal(statement.language, &rate.usd_pln.to_string(), 4);
            let (table, of, no) = (words.table, words.of, &rate.table_no);
            format!("1 USD = {number} PLN, {table} {no} {of} {} ({policy})", rate.effective_date)
        }
        None => words.no_rate.to_owned(),
    };
    facts.push((words.rate.to_owned(), rate));
    facts
}

fn seller(statement: &Statement, words: &Words) -> Party {
    let seller = &statement.seller;
    let name = seller.name.clone().unwrap_or_else(|| "–".to_owned());
    party(words.seller, name, seller.address.as_deref(), seller.tax_id.as_deref(), None, words)
}

fn buyer(statement: &Statement, words: &Words) -> Party {
    let buyer = &statement.buyer;
    let (address, tax_id, email) =
        (buyer.address.as_deref(), buyer.tax_id.as_deref(), buyer.email.as_deref());
    party(words.buyer, buyer.name.clone(), address, tax_id, email, words)
}

fn party(
    heading: &str,
    name: String,
    address: Option<&str>,
    tax_id: Option<&str>,
    email: Option<&str>,
    words: &Words,
) -> Party {
    let mut lines = vec![name];
    lines.extend(address.into_iter().flat_map(str::lines).map(str::to_owned));
    lines.extend(tax_id.map(|tax_id| format!("{} {tax_id}", words.tax_id)));
    lines.extend(email.map(str::to_owned));
    Party { heading: heading.to_owned(), lines }
}

fn columns<const N: usize>(titles: [&str; N], shape: Shape<N>) -> Vec<Column> {
    let columns = titles.into_iter().zip(shape);
    columns.map(|(title, (width, align))| Column { title: title.to_owned(), width, align }).collect()
}

fn row<const N: usize>(cells: [String; N]) -> Row {
    Row { cells: cells.into(), is_total: false }
}

fn total<const N: usize>(cells: [String; N]) -> Row {
    Row { cells: cells.into(), is_total: true }
}

fn usage(statement: &Statement, words: &Words) -> Table {
    let language = statement.language;
    let totals = &statement.totals;
    let amounts = statement.usage.iter().map(|line| line.cost_usd).chain([totals.usage_usd]);
    let places = places(amounts);
    let count = |number: Option<i64>| number.map_or_else(|| "–".to_owned(), |number| whole(language, number));
    let zloty = |amount: Option<mai_primitives::Pln>| {
        amount.map_or_else(|| "–".to_owned(), |amount| pln(language, amount))
    };
    let mut rows = Vec::new();
    for line in &statement.usage {
        rows.push(row([
            line.model.clone(),
            line.provider.clone().unwrap_or_else(|| "–".to_owned()),
            whole(language, line.requests),
            count(line.input_tokens),
            count(line.output_tokens),
            whole(language, line.total_tokens),
            usd(language, line.cost_usd, places),
            zloty(line.cost_pln),
        ]));
    }
    let sum = |of: fn(&super::document::UsageLine) -> Option<i64>| {
        statement.usage.iter().map(of).try_fold(0_i64, |sum, number| sum.checked_add(number?))
    };
    rows.push(total([
        words.sum.to_owned(),
        String::new(),
        count(sum(|line| Some(line.requests))),
        count(sum(|line| line.input_tokens)),
        count(sum(|line| line.output_tokens)),
        count(sum(|line| Some(line.total_tokens))),
        usd(language, totals.usage_usd, places),
        zloty(totals.usage_pln),
    ]));
    Table { columns: columns(words.usage_columns, USAGE), rows, indent: 0 }
}

fn subscription(statement: &Statement, words: &Words) -> Table {
    let language = statement.language;
    let mut rows = Vec::new();
    for line in &statement.subscription {
        let is_whole = line.days == line.days_in_month;
        rows.push(row([
            if is_whole { words.full_month } else { words.part_of_month }.to_owned(),
            whole(language, line.seats),
            format!("{} / {}", line.days, line.days_in_month),
            pln(language, line.price_pln),
            pln(language, line.cost_pln),
        ]));
    }
    let seats = statement.subscription.iter().map(|line| line.seats).fold(0, i64::saturating_add);
    rows.push(total([
        words.sum.to_owned(),
        whole(language, seats),
        String::new(),
        String::new(),
        pln(language, statement.totals.subscription_pln),
    ]));
    Table { columns: columns(words.subscription_columns, SUBSCRIPTION), rows, indent: 0 }
}

fn corrections(statement: &Statement, words: &Words) -> Table {
    let language = statement.language;
    let totals = &statement.totals;
    let amounts = statement.corrections.iter().map(|line| line.cost_usd).chain([totals.corrections_usd]);
    let places = places(amounts);
    let line = |line: &Correction| {
        row([
            line.month.clone(),
            line.model.clone(),
            whole(language, line.requests),
            whole(language, line.total_tokens),
            usd(language, line.cost_usd, places),
            format!("{} ({})", decimal(language, &line.usd_pln.to_string(), 4), line.table_no),
            pln(language, line.cost_pln),
        ])
    };
    let mut rows: Vec<Row> = statement.corrections.iter().map(line).collect();
    rows.push(total([
        words.sum.to_owned(),
        String::new(),
        String::new(),
        String::new(),
        usd(language, totals.corrections_usd, places),
        String::new(),
        pln(language, totals.corrections_pln),
    ]));
    Table { columns: columns(words.correction_columns, CORRECTIONS), rows, indent: 0 }
}

fn summary(statement: &Statement, words: &Words) -> Table {
    let (language, totals) = (statement.language, &statement.totals);
    let zloty = |amount: Option<mai_primitives::Pln>| {
        amount.map_or_else(|| "–".to_owned(), |amount| format!("{} PLN", pln(language, amount)))
    };
    let vat = match statement.vat.vat() {
        vat @ Vat::Rate(_) => {
            let percent = vat.percent().unwrap_or_default();
            format!("{} {}\u{a0}%", words.vat, percent.replace('.', point(language)))
        }
        Vat::NotApplicable => format!("{} ({})", words.vat, words.not_applicable),
    };
    let dollars = totals.usage_usd.checked_add(totals.corrections_usd);
    let dollars =
        dollars.map_or_else(|| "–".to_owned(), |sum| format!("{} USD", usd(language, sum, places([sum]))));
    let rows = vec![
        row([words.usage_usd.to_owned(), dollars]),
        row([words.net.to_owned(), zloty(totals.net_pln)]),
        row([vat, zloty(totals.vat_pln)]),
        total([words.gross.to_owned(), zloty(totals.gross_pln)]),
    ];
    Table { columns: columns(["", ""], SUMMARY), rows, indent: 45 }
}

const fn point(language: Language) -> &'static str {
    match language {
        Language::Polish => ",",
        Language::English => ".",
    }
}
