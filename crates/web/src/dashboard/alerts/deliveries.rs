//! What became of alerts at their destinations.

use std::collections::HashMap;

use actix_web::HttpResponse;
use askama::Template;
use mai_alerts::{AlertKind, AlertModel, DeliveryModel, DeliveryQuery, DeliveryState, DestinationModel};
use mai_primitives::OrganizationId;
use serde::Deserialize;

use super::{Place, View, destinations::channel, told};
use crate::{
    api::{
        ApiError,
        alerts::{deliveries::is_held, place as place_of},
        caller::unknown_organization,
    },
    dashboard::{
        cursor::{self, Leafing},
        figures::Notice,
        forms::{done, onward, refused},
        frame::{Frame, Link},
        visit::{Visit, page, page_as},
    },
};

const STATES: [(&str, &str, Option<DeliveryState>); 4] = [
    ("all", "alerts-all", None),
    ("waiting", "alerts-only-waiting", Some(DeliveryState::Waiting)),
    ("delivered", "alerts-only-delivered", Some(DeliveryState::Delivered)),
    ("failed", "alerts-only-failed", Some(DeliveryState::Failed)),
];

/// Which delivery is sent once more, and which organization its alert is about.
#[derive(Deserialize)]
pub(crate) struct ReplayForm {
    delivery: String,
    organization: String,
}

#[derive(Template)]
#[template(path = "alerts/deliveries.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    views: Vec<Link>,
    states: Vec<Link>,
    /// The destination to which the list is bound, and the list without that.
    only: Option<(String, String)>,
    rows: Vec<Row>,
    leafing: Leafing,
    action: String,
    is_of_all: bool,
}

struct Row {
    id: String,
    organization_id: String,
    organization: Option<Link>,
    created: String,
    headline: String,
    about: String,
    /// What the destination is called, and its page, unless it was removed.
    destination: (String, Option<String>),
    channel: String,
    attempts: String,
    last_attempt: Option<String>,
    state: (&'static str, String),
    /// When it is tried next, or what was wrong.
    detail: String,
    may_be_sent_again: bool,
}

/// The list, the newest first.
pub(super) async fn show(visit: &Visit, place: Place) -> Result<HttpResponse, ApiError> {
    let notices = done(visit, &["alerts-replayed"]).into_iter().collect();
    page(&listed(visit, place, notices).await?)
}

async fn listed(visit: &Visit, place: Place, notices: Vec<Notice>) -> Result<Page, ApiError> {
    let chosen = visit.address.get("state").unwrap_or("all");
    let state = STATES.iter().find(|(code, ..)| *code == chosen);
    let (_, _, state) = state.ok_or_else(|| ApiError::field("state", "is none that we know"))?;
    let destination = visit.address.get("destination").map(str::to_owned);
    let query = DeliveryQuery {
        organization: place.owner(),
        owner: place.owner(),
        destination: destination.clone(),
        state: *state,
        before: place_of(cursor::asked(visit))?,
        limit: cursor::rows_to_read(),
    };
    let rows = visit.api.alerts.deliveries.list(query).await?;
    let (rows, leafing) =
        cursor::cut(&visit.address, rows, |row| (row.created_at.seconds(), row.id.clone()))?;
    let wanted = rows.iter().map(|row| (row.client_org_id.clone(), row.alert_id.clone())).collect();
    let alerts = visit.api.alerts.raised.find(wanted).await?;
    let alerts: HashMap<String, AlertModel> = alerts.into_iter().map(|row| (row.id.clone(), row)).collect();
    let known = place.destinations(visit).await?;
    let list = place.list(View::Deliveries);
    let states = STATES.map(|(code, label, _)| Link {
        href: list
            .with(&[("destination", destination.as_deref().unwrap_or_default()), ("state", code)])
            .link(),
        label: place.frame.t(label),
        is_current: code == chosen,
    });
    let only = destination.map(|id| (known.get(&id).map_or(id, |row| row.name.clone()), list.link()));
    Ok(Page {
        rows: rows.into_iter().map(|one| row(visit, &place, one, &alerts, &known)).collect(),
        notices,
        views: place.views(View::Deliveries),
        states: states.into(),
        only,
        leafing,
        action: visit.address.with(&[("view", "deliveries")]).link(),
        is_of_all: place.organization.is_none(),
        frame: place.frame,
    })
}

fn row(
    visit: &Visit,
    place: &Place,
    delivery: DeliveryModel,
    alerts: &HashMap<String, AlertModel>,
    known: &HashMap<String, DestinationModel>,
) -> Row {
    let frame = &place.frame;
    let alert = alerts.get(&delivery.alert_id);
    let (headline, about) = alert.map(|alert| told(frame, alert)).unwrap_or_default();
    let destination = match known.get(&delivery.destination_id) {
        Some(row) => (row.name.clone(), Some(place.destination(&row.id).link())),
        None => (frame.t("alerts-destination-gone"), None),
    };
    let is_there = destination.1.is_some();
    Row {
        organization: place.about(visit, &delivery.client_org_id),
        organization_id: delivery.client_org_id.to_string(),
        created: place.at(delivery.created_at),
        headline,
        about,
        destination,
        channel: channel(frame, delivery.channel),
        attempts: frame.number(delivery.attempts.into()),
        last_attempt: delivery.last_attempt_at.map(|at| place.at(at)),
        state: state(visit, frame, &delivery),
        detail: detail(visit, place, &delivery),
        // Before the first attempt it is about to be sent anyway.
        may_be_sent_again: is_there
            && delivery.attempts > 0
            && alert.is_some_and(|alert| alert.kind != AlertKind::Test),
        id: delivery.id,
    }
}

/// Where it stands: a class and a text.
fn state(visit: &Visit, frame: &Frame, delivery: &DeliveryModel) -> (&'static str, String) {
    match delivery.state {
        DeliveryState::Waiting if is_held(delivery, &visit.api) => ("warn", frame.t("alerts-held")),
        DeliveryState::Waiting => ("warn", frame.t("alerts-waiting")),
        DeliveryState::Delivered => ("ok", frame.t("alerts-delivered")),
        DeliveryState::Failed => ("bad", frame.t("alerts-failed")),
    }
}

/// What was wrong with the last attempt, and when the next one is.
fn detail(visit: &Visit, place: &Place, delivery: &DeliveryModel) -> String {
    let status = delivery.last_status.map(|status| status.to_string());
    let wrong = delivery.last_error.clone().or(status);
    let is_due = delivery.state == DeliveryState::Waiting && !is_held(delivery, &visit.api);
    let next = is_due.then(|| place.frame.with("alerts-next", &place.at(delivery.next_attempt_at)));
    match delivery.state {
        DeliveryState::Delivered => delivery.delivered_at.map(|at| place.at(at)).unwrap_or_default(),
        DeliveryState::Waiting | DeliveryState::Failed => {
            wrong.into_iter().chain(next).collect::<Vec<_>>().join(" · ")
        }
    }
}

/// Sends a delivery once more.
pub(super) async fn replay(visit: &Visit, place: Place, form: ReplayForm) -> Result<HttpResponse, ApiError> {
    let organization = match place.owner() {
        Some(organization) => organization,
        None => OrganizationId::new(&form.organization).map_err(|_| unknown_organization())?,
    };
    let deliveries = visit.api.alerts.deliveries.acting_as(place.caller.actor.clone());
    match deliveries.replay(&organization, place.owner(), &form.delivery).await.map_err(ApiError::from) {
        Ok(_) => Ok(onward(&visit.address, "alerts-replayed")),
        Err(refusal) => {
            let notice = refused(&place.frame, refusal.clone(), &[("wrong_state", "alerts-not-now")])?;
            page_as(&listed(visit, place, vec![notice]).await?, HttpResponse::from_error(refusal))
        }
    }
}
