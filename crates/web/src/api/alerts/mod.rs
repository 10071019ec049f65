//! `alerts`, `alert-destinations` and `alert-deliveries`: what was noticed, who hears of it, and what became
//! of that.
//!
//! An administrator reaches what is the own organization's, the reseller everything. A destination is found by
//! its id alone, so that those of the reseller, which belong to no organization, have the same paths.

use actix_web::{HttpResponse, get, web};
use mai_alerts::{AlertKind, AlertModel, AlertQuery};
use mai_primitives::{OrganizationId, UnixTime};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    Api, ApiError,
    asked::Asked,
    caller::{Caller, Role},
    error::ReadRefusals,
    paging,
};

pub(crate) mod deliveries;
pub(crate) mod destinations;
pub(crate) mod shown;

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_alerts)
        .service(destinations::list_destinations)
        .service(destinations::create_destination)
        .service(destinations::update_destination)
        .service(destinations::remove_destination)
        .service(destinations::rotate_secret)
        .service(destinations::test_destination)
        .service(destinations::replay_destination)
        .service(deliveries::list_deliveries)
        .service(deliveries::replay_delivery);
}

/// Whose things the caller may reach: none means everybody's.
fn owner(caller: &Caller) -> Result<Option<OrganizationId>, ApiError> {
    caller.not_a_member()?;
    Ok(match &caller.role {
        Role::Admin(organization) => Some(organization.clone()),
        Role::Member(..) | Role::Reseller => None,
    })
}

/// The organization that a list is about; none means all, for the reseller only.
fn listed(caller: &Caller, named: Option<&str>) -> Result<Option<OrganizationId>, ApiError> {
    match (caller.is_reseller(), named) {
        (true, None) => Ok(None),
        _ => caller.administered(named).map(Some),
    }
}

/// Where the next page begins.
type Place = (i64, String);

/// The place that a cursor names.
pub(crate) fn place(cursor: Option<&str>) -> Result<Option<(UnixTime, String)>, ApiError> {
    let place: Option<Place> = cursor.map(paging::decode).transpose()?;
    Ok(place.map(|(at, id)| (UnixTime::from_seconds(at), id)))
}

/// What was noticed. Figures of `spend` are USD of the client's price as decimal texts, those of `requests`
/// whole numbers as texts.
#[derive(Serialize, ToSchema)]
struct Alert {
    /// A UUID; the `webhook-id` of its webhooks.
    id: String,
    client_org_id: String,
    /// What people called the organization when it was raised.
    organization_name: String,
    /// `limit_reached`, `anomaly` or `test`.
    kind: &'static str,
    /// `organization`, `member` or `model`.
    scope: &'static str,
    /// The member's user id, or the model's name; null for the organization.
    subject: Option<String>,
    /// What people called the subject when it was raised.
    subject_name: Option<String>,
    /// The organization's local month as `YYYY-MM`, or its local day; null for a test.
    period: Option<String>,
    /// How much of the limit was used up: 50, 80 or 100; null where there is no limit.
    threshold_percent: Option<i32>,
    /// `spend` or `requests`.
    measure: &'static str,
    /// The figure when it was raised.
    value: String,
    /// The limit, or from which figure on it stands out.
    bound: String,
    /// The median of the days before an anomaly.
    median: Option<String>,
    /// Unix seconds.
    created_at: i64,
}

impl From<AlertModel> for Alert {
    fn from(row: AlertModel) -> Self {
        let is_test = row.kind == AlertKind::Test;
        Self {
            client_org_id: row.client_org_id.to_string(),
            kind: row.kind.as_str(),
            scope: row.scope.as_str(),
            subject: Some(row.subject).filter(|subject| !is_test && !subject.is_empty()),
            subject_name: row.subject_name,
            organization_name: row.organization_name,
            period: (!is_test).then_some(row.period),
            threshold_percent: (row.kind == AlertKind::LimitReached).then_some(row.threshold),
            measure: row.measure.as_str(),
            value: row.measure.shown(row.value),
            bound: row.measure.shown(row.bound),
            median: row.typical.map(|figure| row.measure.shown(figure)),
            created_at: row.created_at.seconds(),
            id: row.id,
        }
    }
}

/// What an alert can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertKind)]
enum Kind {
    /// A part of a monthly limit is used up.
    LimitReached,
    /// A day stands far outside of a member's or a model's own history.
    Anomaly,
}

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only those about this organization; an administrator sees those of the own organization only.
    client_org_id: Option<String>,
    /// Only those of this kind.
    #[param(inline)]
    kind: Option<Kind>,
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of alerts, the newest first.
#[derive(Serialize, ToSchema)]
struct Alerts {
    success: bool,
    items: Vec<Alert>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// Alerts that were raised, the newest first.
#[utoipa::path(
    tag = "alerts",
    extensions(("x-access" = json!("admin"))),
    params(Query),
    responses((status = 200, description = "A page of alerts", body = Alerts), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/alerts")]
async fn list_alerts(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = listed(&caller, query.client_org_id.as_deref())?;
    let limit = paging::limit(query.limit)?;
    let kind = query.kind.map(|kind| match kind {
        Kind::LimitReached => AlertKind::LimitReached,
        Kind::Anomaly => AlertKind::Anomaly,
    });
    let before = place(query.cursor.as_deref())?;
    let wanted = AlertQuery { organization, kind, before, limit: paging::rows_for(limit) };
    let rows = api.alerts.raised.list(wanted).await?;
    let (rows, next_cursor) = paging::cut(rows, limit, |row| (row.created_at.seconds(), row.id.clone()))?;
    let items = rows.into_iter().map(Alert::from).collect();
    Ok(HttpResponse::Ok().json(Alerts { success: true, items, next_cursor }))
}
