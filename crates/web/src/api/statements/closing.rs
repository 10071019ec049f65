//! The reseller's closing of a month: what would be issued, what holds each back, and issuing.

use actix_web::{HttpResponse, get, post, web};
use mai_billing::{
    BillingMonth, Error as BillingError,
    statements::{Closing, Standing, StatementTable, service::Issuing},
};
use mai_primitives::{OrganizationId, Pln, Usd};
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
    /// `issued`, `ready` (it would be issued as it is), `held`, `nothing_to_bill`, or `failed`: it could not be computed or issued.
    state: &'static str,
    /// Why it has failed.
    error: Option<Failure>,
    /// What holds it back.
    held_by: Vec<HeldBy>,
    /// Generations of the month whose cost is not known yet. Of an `issued` month they become corrections of a later statement,
    /// of one that is `ready` or `held` if their cost comes after it is issued, and of one with `nothing_to_bill` they are billed
    /// by issuing it again.
    pending_generations: i64,
    /// Months before this one with usage and without a statement (`YYYY-MM`), from the first month on of which any
    /// organization has one. Nothing else bills them: they must be issued themselves.
    unbilled_months: Vec<String>,
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

/// Why an organization's statement could not be computed or issued; it has stopped no other.
#[derive(Serialize, ToSchema)]
#[schema(as = StatementFailure)]
pub(crate) struct Failure {
    /// As of a refusal.
    code: &'static str,
    /// For people.
    pub(crate) message: String,
}

impl Failure {
    fn new(id: &OrganizationId, month: BillingMonth, error: BillingError) -> Self {
        let told = tracing::error_span!("statement", client_org_id = %id, %month);
        let cause = error.to_string();
        // What is a failure of ours is logged where it becomes an answer; any other is logged here.
        let refusal = told.in_scope(|| ApiError::from(error));
        if refusal.status.is_client_error() {
            told.in_scope(|| tracing::warn!(error = %cause, "a statement cannot be made"));
        }
        Self { code: refusal.code, message: refusal.message }
    }
}

/// How it stands with an organization, or why that cannot be computed.
pub(crate) async fn standing(
    statements: &StatementTable,
    id: &OrganizationId,
    month: BillingMonth,
) -> Result<Closing, Failure> {
    statements.closing(id, month).await.map_err(|error| Failure::new(id, month, error))
}

/// Issues the statement of one among many, where nothing holds it back, or tells why it failed.
pub(crate) async fn issue(
    statements: &StatementTable,
    id: &OrganizationId,
    month: BillingMonth,
) -> Result<Issuing, Failure> {
    statements.issue(id, month).await.map_err(|error| Failure::new(id, month, error))
}

/// The sums of what was or would be issued. What is in PLN is none while no rate is certain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Client price of usage and corrections.
    pub(crate) usage_usd: Option<Usd>,
    /// The sum of all lines.
    pub(crate) net: Option<Pln>,
    /// The tax on it.
    pub(crate) vat: Option<Pln>,
    /// Both together.
    pub(crate) gross: Option<Pln>,
}

impl Sums {
    /// Those of a statement, whether it is issued or not; none where there is nothing to bill.
    pub(crate) fn of(standing: &Standing) -> Self {
        match standing {
            Standing::NothingToBill => Self::default(),
            Standing::Issued(row) => Self {
                usage_usd: Some(row.usage_usd),
                net: Some(row.net),
                vat: Some(row.vat),
                gross: Some(row.gross),
            },
            Standing::Ready(statement) | Standing::Held(statement, _) => {
                let totals = &statement.totals;
                Self {
                    usage_usd: totals.usage_usd.checked_add(totals.corrections_usd),
                    net: totals.net_pln,
                    vat: totals.vat_pln,
                    gross: totals.gross_pln,
                }
            }
        }
    }
}

impl Item {
    /// An item of which only the organization is known.
    fn named(id: &OrganizationId, name: String) -> Self {
        Self {
            client_org_id: id.to_string(),
            organization_name: name,
            state: "nothing_to_bill",
            error: None,
            held_by: Vec::new(),
            pending_generations: 0,
            unbilled_months: Vec::new(),
            number: None,
            issue_date: None,
            usage_usd: None,
            net_pln: None,
            vat_pln: None,
            gross_pln: None,
            is_new: false,
        }
    }

    fn failed(id: &OrganizationId, name: String, failure: Failure) -> Self {
        Self { state: "failed", error: Some(failure), ..Self::named(id, name) }
    }

    fn new(closing: Closing, is_new: bool) -> Self {
        let sums = Sums::of(&closing.standing);
        let mut item = Self {
            usage_usd: sums.usage_usd.map(JsonUsd),
            net_pln: sums.net.map(JsonPln),
            vat_pln: sums.vat.map(JsonPln),
            gross_pln: sums.gross.map(JsonPln),
            pending_generations: closing.pending_generations,
            unbilled_months: closing.unbilled_months.iter().map(ToString::to_string).collect(),
            is_new,
            ..Self::named(&closing.client_org_id, closing.organization_name)
        };
        match closing.standing {
            Standing::NothingToBill => {}
            Standing::Issued(row) => {
                item.state = "issued";
                item.number = Some(row.number);
                item.issue_date = Some(row.issue_date.to_string());
            }
            Standing::Ready(_) => item.state = "ready",
            Standing::Held(_, holds) => {
                item.state = "held";
                let held = holds.into_iter();
                item.held_by =
                    held.map(|hold| HeldBy { code: hold.as_str(), message: hold.to_string() }).collect();
            }
        }
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
pub(crate) fn last_month(api: &Api) -> BillingMonth {
    BillingMonth::of(api.time_zone.usage_date(api.clock.now())).before()
}

/// A page of the ids and names of organizations, and where the next begins.
async fn page(
    statements: &StatementTable,
    limit: Option<usize>,
    cursor: Option<&str>,
) -> Result<(Vec<(OrganizationId, String)>, Option<String>), ApiError> {
    let limit = paging::limit(limit)?;
    let after = cursor.map(paging::decode).transpose()?;
    let found = statements.organizations(after, paging::rows_for(limit)).await?;
    paging::cut(found, limit, |(id, _)| id.clone())
}

/// How it stands with each organization's statement of a month. Drafts are computed anew; nothing is changed. One
/// that cannot be computed is told as `failed` and stops no other.
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
    let month = query.month.as_deref().map(str::parse).transpose()?.unwrap_or_else(|| last_month(&api));
    let (found, next_cursor) = page(&api.statements, query.limit, query.cursor.as_deref()).await?;
    let mut items = Vec::with_capacity(found.len());
    for (id, name) in found {
        items.push(match standing(&api.statements, &id, month).await {
            Ok(closing) => Item::new(closing, false),
            Err(failure) => Item::failed(&id, name, failure),
        });
    }
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
/// changes nothing. One of many that cannot be issued is told as `failed` and stops no other.
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
    let statements = api.statements.acting_as(caller.actor.clone());
    let answer = |items, next_cursor| {
        HttpResponse::Ok().json(ClosingPage { success: true, month: month.to_string(), items, next_cursor })
    };
    if let Some(named) = &form.client_org_id {
        let id = OrganizationId::new(named).map_err(|_| unknown_organization())?;
        let issuing = statements.issue(&id, month).await?;
        return Ok(answer(vec![Item::new(issuing.closing, issuing.is_new)], None));
    }
    let (found, next_cursor) = page(&statements, form.limit, form.cursor.as_deref()).await?;
    let mut items = Vec::with_capacity(found.len());
    for (id, name) in found {
        items.push(match issue(&statements, &id, month).await {
            Ok(issuing) => Item::new(issuing.closing, issuing.is_new),
            Err(failure) => Item::failed(&id, name, failure),
        });
    }
    Ok(answer(items, next_cursor))
}
