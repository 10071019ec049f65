//! What became of alerts.

use actix_web::{HttpResponse, get, post, web};
use mai_alerts::{DeliveryModel, DeliveryQuery, DeliveryState};
use mai_primitives::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{listed, owner, place, shown::can_be_sent};
use crate::api::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::{ChangeRefusals, ReadRefusals},
    paging,
};

/// What became of an alert at a destination.
#[derive(Serialize, ToSchema)]
struct AlertDelivery {
    /// A UUID.
    id: String,
    /// The organization that the alert is about.
    client_org_id: String,
    /// The alert; the `webhook-id`.
    alert_id: String,
    destination_id: String,
    /// `webhook` or `email`.
    channel: &'static str,
    /// `waiting`, `held` (mail that waits for a mail server to be set up), `delivered` or `failed`.
    state: &'static str,
    /// How often it was begun, also before a replay.
    attempts: i32,
    /// When it is tried next, in Unix seconds; null where it is not.
    next_attempt_at: Option<i64>,
    /// When it was begun last, in Unix seconds.
    last_attempt_at: Option<i64>,
    /// The HTTP or SMTP status of the last attempt; null where there was no answer.
    last_status: Option<i32>,
    /// What was wrong with the last attempt.
    last_error: Option<String>,
    /// When it succeeded last, in Unix seconds.
    delivered_at: Option<i64>,
    /// Unix seconds.
    created_at: i64,
}

/// Whether it is mail that waits for a mail server to be set up.
pub(crate) fn is_held(row: &DeliveryModel, api: &Api) -> bool {
    row.state == DeliveryState::Waiting && !can_be_sent(row.channel, api)
}

impl AlertDelivery {
    fn shown(row: DeliveryModel, api: &Api) -> Self {
        let waits = row.state == DeliveryState::Waiting;
        let is_held = is_held(&row, api);
        Self {
            id: row.id,
            client_org_id: row.client_org_id.to_string(),
            alert_id: row.alert_id,
            destination_id: row.destination_id,
            channel: row.channel.as_str(),
            state: if is_held { "held" } else { row.state.as_str() },
            attempts: row.attempts,
            next_attempt_at: (waits && !is_held).then(|| row.next_attempt_at.seconds()),
            last_attempt_at: row.last_attempt_at.map(UnixTime::seconds),
            last_status: row.last_status,
            last_error: row.last_error,
            delivered_at: row.delivered_at.map(UnixTime::seconds),
            created_at: row.created_at.seconds(),
        }
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StateFilter {
    /// It will be tried; what is held is among it.
    Waiting,
    /// The receiver has it.
    Delivered,
    /// It was given up.
    Failed,
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only those of alerts about this organization; an administrator sees those to destinations of the own
    /// organization only.
    client_org_id: Option<String>,
    /// Only those to this destination.
    destination_id: Option<String>,
    /// Only those that stand so.
    #[param(inline)]
    state: Option<StateFilter>,
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of deliveries, the newest first.
#[derive(Serialize, ToSchema)]
struct AlertDeliveries {
    success: bool,
    items: Vec<AlertDelivery>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// What became of alerts, the newest first.
#[utoipa::path(
    tag = "alerts",
    extensions(("x-access" = json!("admin"))),
    params(Query),
    responses((status = 200, description = "A page of deliveries", body = AlertDeliveries), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/alert-deliveries")]
pub(super) async fn list_deliveries(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = listed(&caller, query.client_org_id.as_deref())?;
    let limit = paging::limit(query.limit)?;
    let wanted = DeliveryQuery {
        organization,
        owner: owner(&caller)?,
        destination: query.destination_id,
        state: query.state.map(|state| match state {
            StateFilter::Waiting => DeliveryState::Waiting,
            StateFilter::Delivered => DeliveryState::Delivered,
            StateFilter::Failed => DeliveryState::Failed,
        }),
        before: place(query.cursor.as_deref())?,
        limit: paging::rows_for(limit),
    };
    let rows = api.alerts.deliveries.list(wanted).await?;
    let (rows, next_cursor) = paging::cut(rows, limit, |row| (row.created_at.seconds(), row.id.clone()))?;
    let items = rows.into_iter().map(|row| AlertDelivery::shown(row, &api)).collect();
    Ok(HttpResponse::Ok().json(AlertDeliveries { success: true, items, next_cursor }))
}

/// One delivery.
#[derive(Serialize, ToSchema)]
#[schema(as = OneAlertDelivery)]
pub(super) struct OneDelivery {
    success: bool,
    delivery: AlertDelivery,
}

impl OneDelivery {
    pub(super) fn of(row: DeliveryModel, api: &Api) -> Self {
        Self { success: true, delivery: AlertDelivery::shown(row, api) }
    }
}

/// Which organization's delivery.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReplayQuery {
    /// The organization that the alert is about; by default an administrator's own, and the reseller names it.
    client_org_id: Option<String>,
}

/// Sends an alert once more, with the same id and the same bytes, wherever its delivery stands, but for a test. It must
/// rest for a minute after its last attempt, and a destination has at most 30 replays an hour.
#[utoipa::path(
    tag = "alerts",
    extensions(("x-access" = json!("admin"))),
    params(("delivery_id" = String, Path, description = "The delivery"), ReplayQuery),
    responses((status = 200, description = "It will be tried at once", body = OneDelivery), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/alert-deliveries/{delivery_id}/replay")]
pub(super) async fn replay_delivery(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: ReplayQuery = asked.query()?;
    let organization = caller.administered(query.client_org_id.as_deref())?;
    let deliveries = api.alerts.deliveries.acting_as(caller.actor.clone());
    let row = deliveries.replay(&organization, owner(&caller)?, asked.path("delivery_id")?).await?;
    Ok(HttpResponse::Ok().json(OneDelivery::of(row, &api)))
}
