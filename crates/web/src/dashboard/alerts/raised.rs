//! Alerts that were raised, whether they went anywhere or not.

use std::cmp::Reverse;

use actix_web::HttpResponse;
use askama::Template;
use mai_alerts::{AlertKind, AlertQuery};

use super::{Place, View, told};
use crate::{
    api::{ApiError, alerts::place as place_of},
    dashboard::{
        cursor::{self, Leafing},
        frame::{Frame, Link},
        visit::{Visit, page},
    },
};

const KINDS: [(&str, &str, Option<AlertKind>); 3] = [
    ("all", "alerts-all", None),
    ("limit_reached", "alerts-limits", Some(AlertKind::LimitReached)),
    ("anomaly", "alerts-anomalies", Some(AlertKind::Anomaly)),
];

#[derive(Template)]
#[template(path = "alerts/raised.html")]
struct Page {
    frame: Frame,
    views: Vec<Link>,
    kinds: Vec<Link>,
    rows: Vec<Row>,
    leafing: Leafing,
    is_of_all: bool,
}

struct Row {
    at: String,
    organization: Option<Link>,
    headline: String,
    about: String,
}

/// The list, the newest first.
pub(super) async fn show(visit: &Visit, place: Place) -> Result<HttpResponse, ApiError> {
    let chosen = visit.address.get("kind").unwrap_or("all");
    let kind = KINDS.iter().find(|(code, ..)| *code == chosen);
    let (_, _, kind) = kind.ok_or_else(|| ApiError::field("kind", "is none that we know"))?;
    let query = AlertQuery {
        organization: place.owner(),
        kind: *kind,
        before: place_of(cursor::asked(visit))?,
        limit: cursor::rows_to_read(),
    };
    let rows = visit.api.alerts.raised.list(query).await?;
    let (mut rows, leafing) =
        cursor::cut(&visit.address, rows, |row| (row.created_at.seconds(), row.id.clone()))?;
    // A limit may pass several parts at once: the greatest is the latest.
    rows.sort_by_key(|row| Reverse((row.created_at, row.threshold)));
    let kinds = KINDS.map(|(code, label, _)| Link {
        href: place.list(View::Raised).with(&[("kind", code)]).link(),
        label: place.frame.t(label),
        is_current: code == chosen,
    });
    let rows = rows.into_iter().map(|alert| {
        let (headline, about) = told(&place.frame, &alert);
        Row {
            at: place.at(alert.created_at),
            organization: place.about(visit, &alert.client_org_id),
            headline,
            about,
        }
    });
    page(&Page {
        rows: rows.collect(),
        views: place.views(View::Raised),
        kinds: kinds.into(),
        leafing,
        is_of_all: place.organization.is_none(),
        frame: place.frame,
    })
}
