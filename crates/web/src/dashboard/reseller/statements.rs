//! What was billed in a month, closing it, and who sells.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_billing::BillingMonth;
use mai_primitives::OrganizationId;
use serde::Deserialize;

use super::{frame, open, sent};
use crate::{
    api::{
        ApiError,
        caller::{Caller, unknown_organization},
        statements::closing::{issue, last_month, standing},
    },
    dashboard::{
        address::Address,
        figures::Notice,
        format,
        forms::{Confirm, done, onward, refused},
        frame::{Frame, Link, ResellerTab},
        parties::{SELLER_REFUSALS, SellerFields},
        table::{Pager, Search, paged},
        visit::{Visit, page, page_as},
    },
};

mod rows;

use rows::{Row, Sum, issue_link, row};

/// How long closing a month of many organizations may take. Each is issued by itself, and closing again goes on where
/// it was cut short.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/statements")
            .route(web::get().to(async |visit: Visit| visit.answer_within(PATIENCE, show).await))
            .route(web::post().to(async |visit: Visit, form: web::Form<Sent>| {
                visit
                    .answer_within(PATIENCE, async |visit: &Visit| change(visit, form.into_inner()).await)
                    .await
            })),
    );
}

/// A form of the page, with the proof of its session.
#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    csrf_token: String,
    #[serde(flatten)]
    change: Change,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Change {
    /// Who sells, how it is taxed and numbered.
    Seller(SellerFields),
    /// Issues a month, of one organization or of all.
    Issue { month: String, organization: Option<String> },
}

#[derive(Template)]
#[template(path = "statements/month.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    confirm: Option<Confirm>,
    month: String,
    previous: Link,
    next: Option<Link>,
    search: Option<Search>,
    rows: Vec<Row>,
    sum: Sum,
    pager: Option<Pager>,
    count: String,
    close: Option<String>,
    back: Option<String>,
    seller: SellerFields,
    action: String,
}

async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = open(visit).await?;
    let seller = SellerFields::from(visit.api.statements.settings().await?);
    let notices = done(visit, &["statements-seller-saved"]).into_iter().collect();
    page(&listed(visit, &caller, notices, seller).await?)
}

/// The month of the address; by default the last one that is over.
fn month_of(visit: &Visit) -> Result<BillingMonth, ApiError> {
    let month = match visit.address.get("month") {
        Some(month) => month.parse()?,
        None => last_month(&visit.api),
    };
    begun(visit, month)
}

/// Refuses months that have not begun, of which there is nothing to tell.
fn begun(visit: &Visit, month: BillingMonth) -> Result<BillingMonth, ApiError> {
    if month > last_month(&visit.api).after() {
        return Err(ApiError::field("month", "has not begun"));
    }
    Ok(month)
}

fn month_link(visit: &Visit, month: BillingMonth) -> Link {
    let search = visit.address.get("search").unwrap_or_default();
    let address = Address::to(ResellerTab::Statements.path());
    Link {
        href: address.with(&[("month", &month.to_string()), ("search", search)]).link(),
        label: format::month(visit.language, month.first()),
        is_current: false,
    }
}

async fn listed(
    visit: &Visit,
    caller: &Caller,
    mut notices: Vec<Notice>,
    seller: SellerFields,
) -> Result<Page, ApiError> {
    let frame = frame(visit, caller, ResellerTab::Statements).await?;
    let month = month_of(visit)?;
    let mut all = visit.api.statements.organizations(None, i64::MAX).await?;
    let everybody = all.len();
    if let Some(text) = visit.address.get("search").map(str::to_lowercase) {
        all.retain(|(id, name)| [id.as_str(), name].iter().any(|one| one.to_lowercase().contains(&text)));
    }
    let count = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let (shown, pager) = paged(all, &visit.address, &frame)?;
    let (mut rows, mut sum) = (Vec::with_capacity(shown.len()), Sum::default());
    for (id, name) in shown {
        let found = standing(&visit.api.statements, &id, month).await;
        rows.push(row(&frame, &id, name, month, found.map(|closing| (closing, false)), &mut sum)?);
    }
    if !visit.api.statements.settings().await?.is_complete() {
        notices.push(Notice { kind: "warning", text: frame.t("statements-seller-incomplete") });
    }
    let here = month_link(visit, month);
    let is_over = month <= last_month(&visit.api);
    // Of a page or of what was searched for nobody can tell whether it is all.
    let is_closed = rows.len() == everybody && rows.iter().all(|row| row.is_closed);
    Ok(Page {
        notices,
        confirm: confirm(visit, &frame, month, everybody)?,
        previous: month_link(visit, month.before()),
        next: is_over.then(|| month_link(visit, month.after())),
        search: Some(Search::of(visit, &frame.t("organizations-search"))),
        rows,
        sum,
        pager: Some(pager),
        count: frame.language.count("organizations-count", count),
        close: (is_over && !is_closed).then(|| issue_link(month, None)),
        back: None,
        seller,
        action: here.href,
        month: here.label,
        frame,
    })
}

/// The question before issuing, of the organization that the address names or of all.
fn confirm(
    visit: &Visit,
    frame: &Frame,
    month: BillingMonth,
    everybody: usize,
) -> Result<Option<Confirm>, ApiError> {
    if visit.address.get("confirm") != Some("issue") {
        return Ok(None);
    }
    let back = month_link(visit, month);
    let mut fields = vec![("do", "issue".to_owned()), ("month", month.to_string())];
    let whose = if let Some(named) = visit.address.get("organization") {
        let id = OrganizationId::new(named).map_err(|_| unknown_organization())?;
        fields.push(("organization", id.to_string()));
        visit.known(&id)?.name.clone()
    } else {
        frame.language.count("organizations-count", i64::try_from(everybody).unwrap_or(i64::MAX))
    };
    let values = [("month", back.label.as_str()), ("whose", whose.as_str())];
    Ok(Some(Confirm {
        title: frame.language.with_all("statements-close-title", &values),
        text: frame.t("statements-close-text"),
        action: back.href.clone(),
        fields,
        submit: frame.t("statements-issue"),
        cancel: back.href,
    }))
}

async fn change(visit: &Visit, form: Sent) -> Result<HttpResponse, ApiError> {
    let caller = sent(visit, &form.csrf_token).await?;
    match form.change {
        Change::Seller(fields) => save_seller(visit, &caller, fields).await,
        Change::Issue { month, organization } => {
            issued(visit, &caller, begun(visit, month.parse()?)?, organization).await
        }
    }
}

/// Issues what can be issued, and tells how it stands with each.
async fn issued(
    visit: &Visit,
    caller: &Caller,
    month: BillingMonth,
    named: Option<String>,
) -> Result<HttpResponse, ApiError> {
    let statements = visit.api.statements.acting_as(caller.actor.clone());
    let frame = frame(visit, caller, ResellerTab::Statements).await?;
    let all = match named {
        Some(named) => {
            let id = OrganizationId::new(named).map_err(|_| unknown_organization())?;
            vec![(id.clone(), visit.known(&id)?.name.clone())]
        }
        None => statements.organizations(None, i64::MAX).await?,
    };
    let (mut rows, mut sum) = (Vec::with_capacity(all.len()), Sum::default());
    for (id, name) in all {
        let found = issue(&statements, &id, month).await;
        let found = found.map(|issuing| (issuing.closing, issuing.is_new));
        rows.push(row(&frame, &id, name, month, found, &mut sum)?);
    }
    let new = rows.iter().filter(|row| row.is_new).count();
    let text = frame.language.count("statements-issued-count", i64::try_from(new).unwrap_or(i64::MAX));
    let here = month_link(visit, month);
    page(&Page {
        notices: vec![Notice { kind: "info", text }],
        confirm: None,
        previous: month_link(visit, month.before()),
        next: None,
        search: None,
        count: frame.language.count("organizations-count", i64::try_from(rows.len()).unwrap_or(i64::MAX)),
        rows,
        sum,
        pager: None,
        close: None,
        back: Some(here.href.clone()),
        seller: SellerFields::from(visit.api.statements.settings().await?),
        action: here.href,
        month: here.label,
        frame,
    })
}

async fn save_seller(visit: &Visit, caller: &Caller, fields: SellerFields) -> Result<HttpResponse, ApiError> {
    let statements = visit.api.statements.acting_as(caller.actor.clone());
    let old = statements.settings().await?;
    let saved = match fields.change(&old) {
        Ok(form) => statements.update_settings(form).await.map_err(ApiError::from),
        Err(refusal) => Err(refusal),
    };
    match saved {
        Ok(_) => Ok(onward(&visit.address, "statements-seller-saved")),
        Err(refusal) => {
            let frame = frame(visit, caller, ResellerTab::Statements).await?;
            let notice = refused(&frame, refusal.clone(), &SELLER_REFUSALS)?;
            let page = listed(visit, caller, vec![notice], fields).await?;
            page_as(&page, HttpResponse::from_error(refusal))
        }
    }
}
