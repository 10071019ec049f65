//! One destination: what goes there, its secret, a test, and sending again what has failed.

use actix_web::HttpResponse;
use askama::Template;
use mai_alerts::{Channel, DeliveryModel, DeliveryState, DestinationModel, DestinationPatch, Language};
use mai_primitives::{OrganizationId, UsageDate};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{
    Place, View,
    destinations::{REFUSALS, channel, language, state},
};
use crate::{
    api::{
        ApiError,
        alerts::{
            destinations::{table, try_out},
            shown::{can_be_sent, previous_secret_until},
        },
        caller::unknown_organization,
    },
    dashboard::{
        figures::Notice,
        forms::{Confirm, done, onward, refused},
        frame::Frame,
        visit::{Visit, page, page_as},
    },
};

/// What is told of after it was done.
const DONE: [&str; 3] = ["alerts-saved", "alerts-switched-on", "alerts-switched-off"];

/// For how long the secret before a new one can sign too: seconds and text.
const GRACES: [(&str, &str); 4] = [
    ("86400", "alerts-grace-day"),
    ("604800", "alerts-grace-week"),
    ("2592000", "alerts-grace-month"),
    ("0", "alerts-grace-none"),
];

/// How many days back the form for sending again begins.
const DAYS_BACK: u64 = 7;

/// What is changed of a destination.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum OneChange {
    /// What is typed holds from now on.
    Save(SaveForm),
    /// Alerts go there again.
    Activate,
    /// What is raised goes there no longer; what waits, waits on.
    Deactivate,
    /// A new secret.
    Rotate { grace: String },
    /// An alert about nothing; one to the reseller's own destination names an organization.
    Test { organization: Option<String> },
    /// What has failed since a day is sent again.
    Replay { since: String },
    /// It is removed for good.
    Remove,
}

/// A destination as it is typed.
#[derive(Deserialize, Clone)]
pub(crate) struct SaveForm {
    name: String,
    target: String,
    language: String,
    limits: Option<String>,
    anomalies: Option<String>,
}

#[derive(Template)]
#[template(path = "alerts/destination.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    back: String,
    confirm: Option<Confirm>,
    secret: Option<(String, String)>,
    action: String,
    id: String,
    is_webhook: bool,
    is_active: bool,
    channel: String,
    state: (&'static str, String),
    facts: Vec<(String, String)>,
    form: SaveForm,
    graces: Vec<(&'static str, String)>,
    /// What a test can be about, for a destination of the reseller.
    organizations: Vec<(String, String)>,
    since: String,
    today: String,
    deliveries: String,
    remove: String,
}

/// The page.
pub(super) async fn show(visit: &Visit, place: Place) -> Result<HttpResponse, ApiError> {
    let row = found(visit, &place).await?;
    let notices = done(visit, &DONE).into_iter().collect();
    page(&filled(visit, place, row, notices, None))
}

async fn found(visit: &Visit, place: &Place) -> Result<DestinationModel, ApiError> {
    Ok(visit.api.alerts.destinations.get(place.owner(), &visit.part("destination")?).await?)
}

fn filled(
    visit: &Visit,
    mut place: Place,
    row: DestinationModel,
    notices: Vec<Notice>,
    secret: Option<(String, String)>,
) -> Page {
    let address = place.destination(&row.id);
    place.frame.title.clone_from(&row.name);
    let frame = &place.frame;
    let asks = visit.address.get("confirm") == Some("remove");
    let confirm = asks.then(|| Confirm {
        title: frame.with("alerts-remove-title", &row.name),
        text: frame.t("alerts-remove-text"),
        action: address.link(),
        fields: vec![("do", "remove".to_owned())],
        submit: frame.t("alerts-remove"),
        cancel: address.link(),
    });
    let form = SaveForm {
        name: row.name.clone(),
        target: row.target.clone(),
        language: row.language.as_str().to_owned(),
        limits: row.wants_limits.then(String::new),
        anomalies: row.wants_anomalies.then(String::new),
    };
    Page {
        notices,
        back: place.list(View::Destinations).link(),
        confirm,
        secret,
        action: address.link(),
        is_webhook: row.channel == Channel::Webhook,
        is_active: row.is_active,
        channel: channel(frame, row.channel),
        state: state(visit, frame, &row),
        facts: facts(visit, &place, &row),
        form,
        graces: GRACES.map(|(seconds, text)| (seconds, frame.t(text))).into(),
        organizations: if row.client_org_id.is_none() { organizations(visit) } else { Vec::new() },
        since: place.today.minus_days(DAYS_BACK).to_string(),
        today: place.today.to_string(),
        deliveries: place.list(View::Deliveries).with(&[("destination", &row.id)]).link(),
        remove: address.with(&[("confirm", "remove")]).link(),
        id: row.id,
        frame: place.frame,
    }
}

fn facts(visit: &Visit, place: &Place, row: &DestinationModel) -> Vec<(String, String)> {
    let frame = &place.frame;
    let mut facts = vec![
        (frame.t("alerts-created"), place.at(row.created_at)),
        (frame.t("alerts-updated"), place.at(row.updated_at)),
    ];
    let directory = visit.api.directory.current();
    let whose = match row.client_org_id.as_ref() {
        None => frame.t("alerts-all-organizations"),
        Some(id) => directory.organization(id).map_or_else(|| id.to_string(), |known| known.name.clone()),
    };
    facts.insert(0, (frame.t("organization"), whose));
    if let Some(at) = row.gone_at {
        facts.push((frame.t("alerts-gone-at"), place.at(at)));
    }
    if let Some(until) = previous_secret_until(row, &visit.api) {
        facts.push((frame.t("alerts-previous-until"), place.at(until)));
    }
    if !can_be_sent(row.channel, &visit.api) {
        facts.push((frame.t("alerts-held"), frame.t("alerts-no-mail")));
    }
    facts
}

fn organizations(visit: &Visit) -> Vec<(String, String)> {
    let directory = visit.api.directory.current();
    let mut all: Vec<_> =
        directory.organizations().map(|known| (known.id.to_string(), known.name.clone())).collect();
    all.sort_by_cached_key(|(_, name)| name.to_lowercase());
    all
}

/// A change, and what the page says of it.
pub(super) async fn change(visit: &Visit, place: Place, change: OneChange) -> Result<HttpResponse, ApiError> {
    let row = found(visit, &place).await?;
    let kept = match &change {
        OneChange::Save(form) => Some(form.clone()),
        _ => None,
    };
    match made(visit, &place, &row, change).await {
        Ok(Made::Onward(text)) => Ok(onward(&place.destination(&row.id), text)),
        Ok(Made::Gone) => Ok(onward(&place.list(View::Destinations), "alerts-removed")),
        Ok(Made::Told(notice)) => page(&filled(visit, place, row, vec![notice], None)),
        Ok(Made::Secret(row, secret)) => {
            let notices = vec![Notice { kind: "info", text: place.frame.t("alerts-rotated") }];
            let name = row.name.clone();
            page(&filled(visit, place, *row, notices, Some((name, secret))))
        }
        Err(refusal) => {
            let texts = [REFUSALS.as_slice(), &[("wrong_state", "alerts-not-now")]].concat();
            let notice = refused(&place.frame, refusal.clone(), &texts)?;
            let mut page = filled(visit, place, row, vec![notice], None);
            if let Some(form) = kept {
                page.form = form;
            }
            page_as(&page, HttpResponse::from_error(refusal))
        }
    }
}

/// What follows a change.
enum Made {
    /// The page says what was done.
    Onward(&'static str),
    /// There is no page any more.
    Gone,
    /// The answer says what became of it.
    Told(Notice),
    /// The answer shows the secret.
    Secret(Box<DestinationModel>, String),
}

async fn made(
    visit: &Visit,
    place: &Place,
    row: &DestinationModel,
    change: OneChange,
) -> Result<Made, ApiError> {
    let (destinations, owner) = (table(&place.caller, &visit.api), place.owner());
    let switched = |is_active| DestinationPatch { is_active: Some(is_active), ..DestinationPatch::default() };
    Ok(match change {
        OneChange::Save(form) => {
            destinations.update(owner, &row.id, patch(&form)?).await?;
            Made::Onward("alerts-saved")
        }
        OneChange::Activate => {
            destinations.update(owner, &row.id, switched(true)).await?;
            Made::Onward("alerts-switched-on")
        }
        OneChange::Deactivate => {
            destinations.update(owner, &row.id, switched(false)).await?;
            Made::Onward("alerts-switched-off")
        }
        OneChange::Rotate { grace } => {
            let seconds = grace.parse().map_err(|_| ApiError::field("grace", "is no number of seconds"))?;
            let made = destinations.rotate_secret(owner, &row.id, seconds).await?;
            let secret = made.secret.map(|secret| secret.expose_secret().to_owned());
            let secret = secret.ok_or_else(|| ApiError::wrong_state("only webhooks have a secret"))?;
            Made::Secret(Box::new(made.model), secret)
        }
        OneChange::Test { organization } => {
            let named = organization.map(OrganizationId::new).transpose();
            let named = named.map_err(|_| unknown_organization())?;
            let tried = try_out(&place.caller, &visit.api, owner, &row.id, named).await?;
            Made::Told(outcome(&place.frame, tried))
        }
        OneChange::Replay { since } => {
            let day = UsageDate::parse(&since);
            let day = day.map_err(|_| ApiError::field("since", "must be a day as YYYY-MM-DD"))?;
            let deliveries = visit.api.alerts.deliveries.acting_as(place.caller.actor.clone());
            let count = deliveries.replay_failed(owner, &row.id, place.calendar.start_of(day)).await?;
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            Made::Told(Notice {
                kind: "info",
                text: place.frame.language.count("alerts-replayed-count", count),
            })
        }
        OneChange::Remove => {
            destinations.remove(owner, &row.id).await?;
            Made::Gone
        }
    })
}

fn patch(form: &SaveForm) -> Result<DestinationPatch, ApiError> {
    let language: Language = language(&form.language)?;
    Ok(DestinationPatch {
        target: Some(form.target.clone()),
        name: Some(form.name.clone()),
        language: Some(language),
        wants_limits: Some(form.limits.is_some()),
        wants_anomalies: Some(form.anomalies.is_some()),
        is_active: None,
    })
}

/// What became of a test.
fn outcome(frame: &Frame, tried: DeliveryModel) -> Notice {
    if tried.state == DeliveryState::Delivered {
        return Notice { kind: "info", text: frame.t("alerts-test-delivered") };
    }
    let why = tried.last_error.or_else(|| tried.last_status.map(|status| status.to_string()));
    Notice { kind: "bad", text: frame.with("alerts-test-failed", &why.unwrap_or_else(|| "–".to_owned())) }
}
