//! What was billed: an organization's issued statements, for the reseller also drafts, and who buys.

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_billing::{
    BillingMonth,
    statements::{Standing, StatementModel},
};
use mai_primitives::{OrganizationId, display};

use super::Here;
use crate::{
    api::{
        ApiError, paging,
        statements::closing::{Sums, standing},
    },
    dashboard::{
        address::{Address, encoded_part},
        cursor::{self, Leafing},
        figures::Notice,
        format,
        forms::{done, onward, refused},
        frame::{Frame, Tab},
        parties::{BUYER_REFUSALS, BuyerFields, BuyerForm, hold_text, issued_seats, seats, with_seats},
        visit::{Visit, page, page_as},
    },
};

mod one;

/// What is below `/organizations/{organization}`.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/statements")
                .route(web::get().to(async |visit: Visit| visit.answer(show).await))
                .route(web::post().to(async |visit: Visit, form: web::Form<BuyerForm>| {
                    visit.answer(async |visit: &Visit| save_buyer(visit, form.into_inner()).await).await
                })),
        )
        .route("/statements/{month}", web::get().to(async |visit: Visit| visit.answer(one::show).await));
}

/// The forms in which a statement can be had.
const FORMATS: [(&str, &str); 3] = [("pdf", "PDF"), ("csv", "CSV"), ("json", "JSON")];

/// A statement as a file.
struct File {
    href: String,
    name: String,
    label: &'static str,
}

/// A statement's files, from the API's own route.
fn files(organization: &OrganizationId, month: BillingMonth) -> Vec<File> {
    let id = encoded_part(organization.as_str());
    let path = format!("/api/v1/client-organizations/clients/{id}/statements/{month}");
    let file = |(format, label): (&str, &'static str)| File {
        href: Address::to(path.as_str()).with(&[("format", format)]).link(),
        name: format!("statement-{month}.{format}"),
        label,
    };
    FORMATS.map(file).into()
}

/// The page of a statement.
fn path_of(organization: &OrganizationId, month: BillingMonth) -> String {
    format!("{}/{month}", Tab::Statements.path(organization))
}

#[derive(Template)]
#[template(path = "statements/list.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    drafts: Vec<Draft>,
    rows: Vec<Row>,
    leafing: Leafing,
    buyer: BuyerFields,
    /// The VAT of organizations that have none of their own.
    default_vat: String,
    action: String,
}

/// What would be issued, as the reseller sees it before it is.
struct Draft {
    month: String,
    href: String,
    usage: String,
    net: String,
    /// What of it is for seats.
    seats: Option<String>,
    gross: String,
    /// Why it cannot be issued yet.
    held: Vec<String>,
}

struct Row {
    number: String,
    href: String,
    month: String,
    issued: String,
    usage: String,
    net: String,
    /// What of it is for seats.
    seats: Option<String>,
    vat: String,
    gross: String,
    rate: String,
    evidence: String,
    files: Vec<File>,
}

async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Statements).await?;
    let notices = done(visit, &["statements-buyer-saved"]).into_iter().collect();
    let buyer = BuyerFields::from(visit.api.statements.profile(&here.id).await?);
    page(&filled(visit, &here, notices, buyer).await?)
}

async fn filled(
    visit: &Visit,
    here: &Here,
    notices: Vec<Notice>,
    buyer: BuyerFields,
) -> Result<Page, ApiError> {
    let frame = here.frame(visit).await?;
    let before: Option<String> = cursor::asked(visit).map(paging::decode).transpose()?;
    let before = before.map(|month| month.parse()).transpose()?;
    let rows = visit.api.statements.list(&here.id, before, cursor::rows_to_read()).await?;
    let (rows, leafing) = cursor::cut(&visit.address, rows, |row| BillingMonth::of(row.month).to_string())?;
    Ok(Page {
        notices,
        drafts: drafts(visit, here, &frame).await?,
        rows: rows.into_iter().map(|statement| row(&frame, statement)).collect::<Result<_, _>>()?,
        leafing,
        buyer,
        default_vat: default_vat(visit, &frame).await?,
        action: Tab::Statements.path(&here.id),
        frame,
    })
}

/// The drafts of the running month and of the one before, which only the reseller sees.
async fn drafts(visit: &Visit, here: &Here, frame: &Frame) -> Result<Vec<Draft>, ApiError> {
    let mut drafts = Vec::new();
    if !here.caller.is_reseller() || cursor::asked(visit).is_some() {
        return Ok(drafts);
    }
    let present = BillingMonth::of(here.today);
    for month in [present, present.before()] {
        let (sums, seats, held) = match standing(&visit.api.statements, &here.id, month).await {
            Ok(closing) => {
                let (sums, seats) = (Sums::of(&closing.standing), seats(&closing.standing)?);
                match closing.standing {
                    Standing::Issued(_) | Standing::NothingToBill => continue,
                    Standing::Ready(_) => (sums, seats, Vec::new()),
                    Standing::Held(_, holds) => {
                        (sums, seats, holds.into_iter().map(|hold| hold_text(frame, hold)).collect())
                    }
                }
            }
            // A month that cannot be computed hides neither itself nor the others.
            Err(failure) => (Sums::default(), None, vec![failure.message]),
        };
        drafts.push(Draft {
            month: format::month(frame.language, month.first()),
            href: path_of(&here.id, month),
            usage: sums.usage_usd.map_or_else(unknown, display::usd),
            net: sums.net.map_or_else(unknown, display::pln),
            seats: sums.net.and(seats).map(|seats| with_seats(frame, seats)),
            gross: sums.gross.map_or_else(unknown, display::pln),
            held,
        });
    }
    Ok(drafts)
}

/// The VAT of organizations that have none of their own.
async fn default_vat(visit: &Visit, frame: &Frame) -> Result<String, ApiError> {
    Ok(match visit.api.statements.settings().await?.vat.percent() {
        Some(percent) => frame.with("statements-vat-default-of", &percent),
        None => frame.t("statements-vat-none"),
    })
}

/// What stands for an amount that is not certain yet.
fn unknown() -> String {
    "–".to_owned()
}

fn row(frame: &Frame, statement: StatementModel) -> Result<Row, ApiError> {
    let month = BillingMonth::of(statement.month);
    let day = format::date(frame.language, statement.rate_effective_date);
    Ok(Row {
        href: path_of(&statement.client_org_id, month),
        month: format::month(frame.language, month.first()),
        issued: format::date(frame.language, statement.issue_date),
        usage: display::usd(statement.usage_usd),
        net: display::pln(statement.net),
        seats: issued_seats(&statement)?.map(|seats| with_seats(frame, seats)),
        vat: display::pln(statement.vat),
        gross: display::pln(statement.gross),
        rate: format::rate(frame.language, statement.usd_pln_rate),
        evidence: frame
            .language
            .with_all("statements-table", &[("table", &statement.rate_table_no), ("day", &day)]),
        files: files(&statement.client_org_id, month),
        number: statement.number,
    })
}

/// Changes who buys; the reseller's only.
async fn save_buyer(visit: &Visit, form: BuyerForm) -> Result<HttpResponse, ApiError> {
    let here = Here::sent(visit, Tab::Statements, &form.csrf_token).await?;
    here.caller.reseller()?;
    let fields = form.fields;
    match saved(visit, &here, &fields).await {
        Ok(()) => Ok(onward(&Address::to(Tab::Statements.path(&here.id)), "statements-buyer-saved")),
        Err(refusal) => {
            let notice = refused(&here.frame(visit).await?, refusal.clone(), &BUYER_REFUSALS)?;
            page_as(&filled(visit, &here, vec![notice], fields).await?, HttpResponse::from_error(refusal))
        }
    }
}

async fn saved(visit: &Visit, here: &Here, fields: &BuyerFields) -> Result<(), ApiError> {
    let old = visit.api.statements.profile(&here.id).await?;
    let statements = visit.api.statements.acting_as(here.caller.actor.clone());
    statements.update_profile(&here.id, fields.change(&old)?).await?;
    Ok(())
}
