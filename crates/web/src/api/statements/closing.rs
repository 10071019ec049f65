//! The reseller's closing of a month: what would be issued, what holds each back, and issuing.

use actix_web::{HttpResponse, get, post, web};
use mai_billing::{
    BillingMonth,
    statements::{Closing, Standing},
};
use mai_primitives::OrganizationId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::{
    Api, ApiError,
    asked::Asked,
    caller::{Caller, unknown_organization},
    error::{ReadRefusals, Refusals},
    json_money::{JsonPln, JsonUsd},
    paging,
};

/// How it stands with an organization's statement of a month.
#[derive(Serialize, ToSchema)]
#[schema(as = StatementClosing)]
struct Item {
    client_org_id: String,
    organization_name: String,
    /// `issued`, `ready` (it would be issued as it is), `held` or `nothing_to_bill`.
    state: &'static str,
    /// What holds it back.
    held_by: Vec<HeldBy>,
    /// Generations of the month whose cost is not known yet; they become corrections later.
    pending_generations: i64,
    number: Option<String>,
    #[schema(format = Date)]
    issue_date: Option<String>,
    /// Client price of usage and corrections.
    usage_usd: Option<JsonUsd>,
    /// Null while no rate is certain.
    net_pln: Option<JsonPln>,
    vat_pln: Option<JsonPln>,
    gross_pln: Option<JsonPln>,
    /// Whether this request has issued it.
    is_new: bool,
}

/// Why a statement cannot be issued yet.
#[derive(Serialize, ToSchema)]
struct HeldBy {
    /// `month_not_over`, `no_certain_rate` or `seller_incomplete`.
    code: &'static str,
    /// For people.
    message: String,
}

impl Item {
    fn new(closing: Closing, is_new: bool) -> Self {
        let mut item = Self {
            client_org_id: closing.client_org_id.to_string(),
            organization_name: closing.organization_name,
            state: "nothing_to_bill",
            held_by: Vec::new(),
            pending_generations: closing.pending_generations,
            number: None,
            issue_date: None,
            usage_usd: None,
            net_pln: None,
            vat_pln: None,
            gross_pln: None,
            is_new,
        };
        let statement = match closing.standing {
            Standing::NothingToBill => return item,
            Standing::Issued(row) => {
                item.state = "issued";
                item.number = Some(row.number);
                item.issue_date = Some(row.issue_date.to_string());
                item.usage_usd = Some(JsonUsd(row.usage_usd));
                item.net_pln = Some(JsonPln(row.net));
                item.vat_pln = Some(JsonPln(row.vat));
                item.gross_pln = Some(JsonPln(row.gross));
                return item;
            }
            Standing::Ready(statement) => {
                item.state = "ready";
                statement
            }
            Standing::Held(statement, holds) => {
                item.state = "held";
                let held = holds.into_iter();
                item.held_by =
                    held.map(|hold| HeldBy { code: hold.as_str(), message: hold.to_string() }).collect();
                statement
            }
        };
        let totals = statement.totals;
        item.usage_usd = totals.usage_usd.checked_add(totals.corrections_usd).map(JsonUsd);
        item.net_pln = totals.net_pln.map(JsonPln);
        item.vat_pln = totals.vat_pln.map(JsonPln);
        item.gross_pln = totals.gross_pln.map(JsonPln);
        item
    }
}

/// A page of organizations by their ids.
#[derive(Serialize, ToSchema)]
#[schema(as = StatementClosings)]
struct ClosingPage {
    success: bool,
    /// `YYYY-MM`.
    month: String,
    items: Vec<Item>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// Which month and organizations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// `YYYY-MM`; by default the last month that is over in the service's zone.
    month: Option<String>,
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The last month that is over.
fn last_month(api: &Api) -> BillingMonth {
    BillingMonth::of(api.time_zone.usage_date(api.clock.now())).before()
}

/// How it stands with each organization's statement of a month. Drafts are computed anew; nothing is changed.
#[utoipa::path(
    tag = "statements",
    extensions(("x-access" = json!("reseller"))),
    params(Query),
    responses((status = 200, description = "A page of organizations", body = ClosingPage), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/statements")]
pub(super) async fn list_closings(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let query: Query = asked.query()?;
    let limit = paging::limit(query.limit)?;
    let month = query.month.as_deref().map(str::parse).transpose()?.unwrap_or_else(|| last_month(&api));
    let after = query.cursor.as_deref().map(paging::decode).transpose()?;
    let closings = api.statements.closings(month, after, limit.saturating_add(1)).await?;
    let (closings, next_cursor) = paging::cut(closings, limit, |one| one.client_org_id.clone())?;
    let items = closings.into_iter().map(|closing| Item::new(closing, false)).collect();
    Ok(HttpResponse::Ok().json(ClosingPage { success: true, month: month.to_string(), items, next_cursor }))
}

/// What to issue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct IssueForm {
    /// `YYYY-MM`.
    month: String,
    /// One organization; without it all are issued, a page of them at a time.
    client_org_id: Option<String>,
    /// Organizations of this page: 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Issues the statements of a month that nothing holds back. What was issued before stays as it is, and asking again
/// changes nothing.
#[utoipa::path(
    tag = "statements",
    extensions(("x-access" = json!("reseller"))),
    request_body = IssueForm,
    responses((status = 200, description = "How it stands now", body = ClosingPage), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/statements/issue")]
pub(super) async fn issue_statements(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let form: IssueForm = asked.json().await?;
    let month: BillingMonth = form.month.parse()?;
    let limit = paging::limit(form.limit)?;
    let statements = api.statements.acting_as(caller.actor.clone());
    let (ids, next_cursor) = if let Some(named) = &form.client_org_id {
        (vec![OrganizationId::new(named).map_err(|_| unknown_organization())?], None)
    } else {
        let after = form.cursor.as_deref().map(paging::decode).transpose()?;
        let found = statements.closings(month, after, limit.saturating_add(1)).await?;
        let (found, next_cursor) = paging::cut(found, limit, |one| one.client_org_id.clone())?;
        (found.into_iter().map(|one| one.client_org_id).collect(), next_cursor)
    };
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        let issuing = statements.issue(&id, month).await?;
        items.push(Item::new(issuing.closing, issuing.is_new));
    }
    Ok(HttpResponse::Ok().json(ClosingPage { success: true, month: month.to_string(), items, next_cursor }))
}
