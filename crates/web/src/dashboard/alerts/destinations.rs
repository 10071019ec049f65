//! Where alerts go, and another destination.

use actix_web::HttpResponse;
use askama::Template;
use mai_alerts::{Channel, DestinationModel, Language, NewDestination};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{Place, View};
use crate::{
    api::{
        ApiError,
        alerts::{destinations::table, shown::can_be_sent},
    },
    dashboard::{
        figures::Notice,
        forms::{done, onward, refused},
        frame::{Frame, Link},
        visit::{Visit, page, page_as},
    },
};

/// What was wrong with a destination, by the field.
pub(super) const REFUSALS: [(&str, &str); 2] =
    [("target", "alerts-unfit-target"), ("name", "alerts-unfit-name")];

/// What is told of after it was done.
const DONE: [&str; 2] = ["alerts-made", "alerts-removed"];

/// A new destination as it is typed.
#[derive(Deserialize, Default)]
pub(crate) struct NewForm {
    name: String,
    channel: String,
    target: String,
    language: String,
    limits: Option<String>,
    anomalies: Option<String>,
}

#[derive(Template)]
#[template(path = "alerts/destinations.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    views: Vec<Link>,
    rows: Vec<Row>,
    form: NewForm,
    action: String,
    is_of_all: bool,
    /// A secret that was just made: of which destination, and the secret.
    secret: Option<(String, String)>,
}

struct Row {
    name: String,
    href: String,
    organization: Option<Link>,
    is_resellers: bool,
    channel: String,
    target: String,
    kinds: String,
    /// The class and the text.
    state: (&'static str, String),
}

/// The list.
pub(super) async fn show(visit: &Visit, place: Place) -> Result<HttpResponse, ApiError> {
    let notices = done(visit, &DONE).into_iter().collect();
    let form = NewForm {
        channel: Channel::Webhook.as_str().to_owned(),
        language: visit.language.code().to_owned(),
        limits: Some(String::new()),
        anomalies: Some(String::new()),
        ..NewForm::default()
    };
    page(&listed(visit, place, notices, form, None).await?)
}

async fn listed(
    visit: &Visit,
    place: Place,
    mut notices: Vec<Notice>,
    form: NewForm,
    secret: Option<(String, String)>,
) -> Result<Page, ApiError> {
    let all = visit.api.alerts.destinations.list(place.owner()).await?;
    if !visit.api.alerts.deliverer.has_mail() && all.iter().any(|row| row.channel == Channel::Email) {
        notices.push(Notice { kind: "warning", text: place.frame.t("alerts-no-mail") });
    }
    Ok(Page {
        rows: all.into_iter().map(|destination| row(visit, &place, destination)).collect(),
        notices,
        views: place.views(View::Destinations),
        form,
        action: place.path.clone(),
        is_of_all: place.organization.is_none(),
        secret,
        frame: place.frame,
    })
}

fn row(visit: &Visit, place: &Place, destination: DestinationModel) -> Row {
    let frame = &place.frame;
    Row {
        href: place.destination(&destination.id).link(),
        organization: destination.client_org_id.as_ref().and_then(|id| place.about(visit, id)),
        is_resellers: destination.client_org_id.is_none(),
        channel: channel(frame, destination.channel),
        kinds: kinds(frame, &destination),
        state: state(visit, frame, &destination),
        target: destination.target,
        name: destination.name,
    }
}

/// The way by which alerts go there.
pub(super) fn channel(frame: &Frame, channel: Channel) -> String {
    match channel {
        Channel::Webhook => frame.t("alerts-webhook"),
        Channel::Email => frame.t("email"),
    }
}

/// What a destination hears of.
fn kinds(frame: &Frame, destination: &DestinationModel) -> String {
    match (destination.wants_limits, destination.wants_anomalies) {
        (true, true) => {
            format!("{}, {}", frame.t("alerts-limits"), frame.t("alerts-anomalies").to_lowercase())
        }
        (true, false) => frame.t("alerts-limits"),
        (false, true) => frame.t("alerts-anomalies"),
        (false, false) => frame.t("alerts-of-nothing"),
    }
}

/// Whether anything goes there: a class and a text.
pub(super) fn state(visit: &Visit, frame: &Frame, destination: &DestinationModel) -> (&'static str, String) {
    match destination {
        gone if gone.gone_at.is_some() => ("bad", frame.t("alerts-gone")),
        inactive if !inactive.is_active => ("", frame.t("badge-inactive")),
        held if !can_be_sent(held.channel, &visit.api) => ("warn", frame.t("alerts-held")),
        _ => ("ok", frame.t("alerts-active")),
    }
}

/// The language of mail that a form names; it names none but these two.
pub(super) fn language(text: &str) -> Result<Language, ApiError> {
    text.parse().map_err(|why: String| ApiError::field("language", why))
}

/// Makes a destination. The secret of a webhook is shown here and nowhere else.
pub(super) async fn create(visit: &Visit, place: Place, form: NewForm) -> Result<HttpResponse, ApiError> {
    match made(visit, &place, &form).await {
        Ok((_, None)) => Ok(onward(&place.list(View::Destinations), "alerts-made")),
        Ok((name, Some(secret))) => {
            let notices = vec![Notice { kind: "info", text: place.frame.t("alerts-made") }];
            let form = NewForm { limits: form.limits, anomalies: form.anomalies, ..NewForm::default() };
            page(&listed(visit, place, notices, form, Some((name, secret))).await?)
        }
        Err(refusal) => {
            let texts = [REFUSALS.as_slice(), &[("wrong_state", "alerts-too-many")]].concat();
            let notice = refused(&place.frame, refusal.clone(), &texts)?;
            let page = listed(visit, place, vec![notice], form, None).await?;
            page_as(&page, HttpResponse::from_error(refusal))
        }
    }
}

async fn made(visit: &Visit, place: &Place, form: &NewForm) -> Result<(String, Option<String>), ApiError> {
    let channel = form.channel.parse().map_err(|why: String| ApiError::field("channel", why))?;
    let new = NewDestination {
        client_org_id: place.owner(),
        channel,
        target: form.target.clone(),
        name: form.name.clone(),
        language: language(&form.language)?,
        wants_limits: form.limits.is_some(),
        wants_anomalies: form.anomalies.is_some(),
    };
    let made = table(&place.caller, &visit.api).create(new).await?;
    Ok((made.model.name, made.secret.map(|secret| secret.expose_secret().to_owned())))
}
