//! `anomalies`: days on which a member or a model stands far outside its own history.

use actix_web::{HttpResponse, get, post, web};
use mai_batch::{AnomalyKey, AnomalyModel, Measure, SubjectKind};
use mai_primitives::{OrganizationId, UnixTime, UsageDate, Usd};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    Api, ApiError,
    asked::{Asked, day},
    caller::Caller,
    error::{ReadRefusals, Refusals},
    gateway_keys::administered,
    paging,
};

/// How many days are listed where no range is named, and at most.
const DAYS_LISTED: u64 = 90;
const DAYS_AT_MOST: u64 = 400;
/// The longest word about an anomaly, in characters.
const LONGEST_NOTE: usize = 300;

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_anomalies).service(acknowledge_anomaly);
}

/// A day that stands out. Figures of `spend` are USD of the client's price as decimal texts, those of
/// `requests` whole numbers as texts.
#[derive(Serialize, ToSchema)]
struct Anomaly {
    /// The organization's local day.
    usage_date: String,
    /// `member` or `model`.
    kind: &'static str,
    /// The member's user id, or the model's name.
    subject: String,
    /// `spend` or `requests`.
    measure: &'static str,
    /// The day's figure.
    value: String,
    /// The median of the days before.
    median: String,
    /// Their median absolute deviation.
    deviation: String,
    /// From which figure on the day would have stood out.
    threshold: String,
    /// How many active days before were looked at.
    history_days: i32,
    /// What OpenRouter charged for the subject on the day, in USD; only for the reseller.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_cost: Option<String>,
    /// Unix seconds.
    detected_at: i64,
    acknowledged_at: Option<i64>,
    /// Who acknowledged it: kind and id, as in the audit log.
    acknowledged_by: Option<String>,
    note: Option<String>,
}

impl Anomaly {
    fn new(row: AnomalyModel, is_reseller: bool) -> Self {
        let figure = |number: i64| match row.measure {
            Measure::Spend => Usd::from_nanos(number).to_string(),
            Measure::Requests => number.to_string(),
        };
        Self {
            usage_date: row.usage_date.to_string(),
            kind: row.subject_kind.as_str(),
            measure: row.measure.as_str(),
            value: figure(row.value),
            median: figure(row.median),
            deviation: figure(row.deviation),
            threshold: figure(row.threshold),
            history_days: row.history_days,
            raw_cost: is_reseller.then(|| row.raw_cost.to_string()),
            detected_at: row.detected_at.seconds(),
            acknowledged_at: row.acknowledged_at.map(UnixTime::seconds),
            acknowledged_by: row.acknowledged_by,
            note: row.note,
            subject: row.subject,
        }
    }
}

/// Which anomalies.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// The first day, `YYYY-MM-DD`; by default 90 days in all.
    start_date: Option<String>,
    /// The last day; by default today.
    end_date: Option<String>,
    /// Only those that nobody has acknowledged.
    #[serde(default)]
    only_new: bool,
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of anomalies, the newest day first.
#[derive(Serialize, ToSchema)]
struct Anomalies {
    success: bool,
    items: Vec<Anomaly>,
    /// How many there are on all pages.
    total: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// Days on which a member or a model stands far outside its own history, the newest first.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization"), Query),
    responses((status = 200, description = "A page of anomalies", body = Anomalies), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/anomalies")]
async fn list_anomalies(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let query: Query = asked.query()?;
    let limit = paging::limit(query.limit)?;
    let today = api.time_zone.usage_date(api.clock.now());
    // An organization's day may have begun before that of the service's zone.
    let to = day("end_date", query.end_date.as_deref())?.unwrap_or_else(|| today.plus_days(1));
    let from = day("start_date", query.start_date.as_deref())?;
    let from = from.unwrap_or_else(|| to.minus_days(DAYS_LISTED - 1));
    within_reach(from, to)?;
    let rows = api.anomalies.list(&organization, from, to).await?;
    let wanted = rows.into_iter().filter(|row| !query.only_new || row.acknowledged_at.is_none());
    let key = |row: &AnomalyModel| {
        let key = row.key();
        let (kind, measure) = (key.subject_kind.as_str().to_owned(), key.measure.as_str().to_owned());
        (key.usage_date, kind, key.subject, measure)
    };
    let page = paging::page(wanted.collect(), paging::Order::Desc, limit, query.cursor.as_deref(), key)?;
    let (total, next_cursor) = (page.total, page.next_cursor);
    let items = page.items.into_iter().map(|row| Anomaly::new(row, caller.is_reseller())).collect();
    Ok(HttpResponse::Ok().json(Anomalies { success: true, items, total, next_cursor }))
}

/// Refuses days of which no list is made.
pub(crate) fn within_reach(from: UsageDate, to: UsageDate) -> Result<(), ApiError> {
    if from > to {
        return Err(ApiError::field("start_date", "must not be after end_date"));
    }
    if from.plus_days(DAYS_AT_MOST) < to {
        return Err(ApiError::field("start_date", "must be at most 400 days before end_date"));
    }
    Ok(())
}

/// Which anomaly somebody knows of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acknowledgement {
    /// The local day, `YYYY-MM-DD`.
    pub(crate) usage_date: String,
    /// `member` or `model`.
    pub(crate) kind: String,
    /// The member's user id, or the model's name.
    pub(crate) subject: String,
    /// `spend` or `requests`.
    pub(crate) measure: String,
    /// A word about it, at most 300 characters.
    pub(crate) note: Option<String>,
}

/// An anomaly that somebody knows of.
#[derive(Serialize, ToSchema)]
struct Acknowledged {
    success: bool,
    anomaly: Anomaly,
}

/// Says that one knows of an anomaly. Who did so first stays.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization")),
    request_body = Acknowledgement,
    responses((status = 200, description = "It is acknowledged", body = Acknowledged), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients/{client_id}/anomalies/acknowledge")]
async fn acknowledge_anomaly(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let row = acknowledge(&caller, &api, &organization, asked.json().await?).await?;
    let anomaly = Anomaly::new(row, caller.is_reseller());
    Ok(HttpResponse::Ok().json(Acknowledged { success: true, anomaly }))
}

/// Says in the name of the caller that an anomaly is known.
pub(crate) async fn acknowledge(
    caller: &Caller,
    api: &Api,
    organization: &OrganizationId,
    said: Acknowledgement,
) -> Result<AnomalyModel, ApiError> {
    let required = || ApiError::field("usage_date", "must be a day as YYYY-MM-DD");
    let key = AnomalyKey {
        usage_date: day("usage_date", Some(&said.usage_date))?.ok_or_else(required)?,
        subject_kind: said.kind.parse::<SubjectKind>().map_err(|why| ApiError::field("kind", why))?,
        measure: said.measure.parse::<Measure>().map_err(|why| ApiError::field("measure", why))?,
        subject: said.subject,
    };
    let note = said.note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > LONGEST_NOTE || note.contains('\0')) {
        return Err(ApiError::field("note", "must have at most 300 characters and no NUL"));
    }
    if key.subject.contains('\0') {
        return Err(ApiError::field("subject", "must not contain NUL"));
    }
    let anomalies = api.anomalies.acting_as(caller.actor.clone());
    Ok(anomalies.acknowledge(organization, key, note).await?)
}
