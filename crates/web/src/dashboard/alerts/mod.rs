//! Alerts and anomalies, as an organization's administrator and as the reseller see them: where alerts go, what was
//! raised, what became of it, and which days stand out. Both have the same pages; [`Place`] says whose they are.

use std::{collections::HashMap, time::Duration};

use actix_web::{HttpResponse, web};
use mai_alerts::{AlertKind, AlertModel, DestinationModel, Scope};
use mai_primitives::{OrganizationCalendar, OrganizationId, UnixTime, UsageDate, Usd, display};
use serde::Deserialize;

use super::{
    address::Address,
    format,
    frame::{Frame, Link, Tab},
    visit::Visit,
};
use crate::api::{ApiError, caller::Caller};

mod anomalies;
mod deliveries;
mod destination;
mod destinations;
mod raised;

/// How long a page may take that waits for a receiver of alerts, who has 15 seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the pages are, and who looks at them.
pub(crate) struct Place {
    pub(crate) caller: Caller,
    pub(crate) frame: Frame,
    /// The organization; none for the reseller's own pages, which are about all of them.
    pub(crate) organization: Option<OrganizationId>,
    /// The path of the first of the pages.
    pub(crate) path: String,
    /// Whose clock tells the time.
    pub(crate) calendar: OrganizationCalendar,
    pub(crate) today: UsageDate,
}

/// A form of one of the lists, with the proof of its session.
#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    csrf_token: String,
    #[serde(flatten)]
    change: Change,
}

/// What is changed on the lists.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Change {
    /// Another destination.
    Create(destinations::NewForm),
    /// A delivery is sent once more.
    Replay(deliveries::ReplayForm),
    /// Somebody knows of an anomaly.
    Acknowledge(anomalies::KnownForm),
}

/// A form of the page of one destination, with the proof of its session.
#[derive(Deserialize)]
struct SentToOne {
    #[serde(default)]
    csrf_token: String,
    #[serde(flatten)]
    change: destination::OneChange,
}

/// One of the lists, each at an address of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    Destinations,
    Raised,
    Deliveries,
    Anomalies,
}

impl View {
    const ALL: [Self; 4] = [Self::Destinations, Self::Raised, Self::Deliveries, Self::Anomalies];

    const fn code(self) -> &'static str {
        match self {
            Self::Destinations => "destinations",
            Self::Raised => "raised",
            Self::Deliveries => "deliveries",
            Self::Anomalies => "anomalies",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Destinations => "alerts-destinations",
            Self::Raised => "alerts-raised",
            Self::Deliveries => "alerts-deliveries",
            Self::Anomalies => "alerts-anomalies",
        }
    }

    /// The list that an address names; without one the destinations.
    fn of(address: &Address) -> Result<Self, ApiError> {
        let Some(wanted) = address.get("view") else { return Ok(Self::Destinations) };
        let found = Self::ALL.into_iter().find(|view| view.code() == wanted);
        found.ok_or_else(|| ApiError::field("view", "is none that we know"))
    }
}

/// Who may see the pages, and how they are reached.
pub(crate) trait Opens: 'static {
    /// The pages, for whoever looks at them or has sent a form with its proof.
    async fn place(visit: &Visit, proof: Option<&str>) -> Result<Place, ApiError>;
}

/// The pages of whoever opens them so.
pub(crate) fn routes<O: Opens>(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/alerts").route(web::get().to(list::<O>)).route(web::post().to(change_lists::<O>)),
        )
        .service(
            web::resource("/alerts/destinations/{destination}")
                .route(web::get().to(one::<O>))
                .route(web::post().to(change_one::<O>)),
        );
}

async fn list<O: Opens>(visit: Visit) -> HttpResponse {
    let work = async |visit: &Visit| {
        let place = O::place(visit, None).await?;
        match View::of(&visit.address)? {
            View::Destinations => destinations::show(visit, place).await,
            View::Raised => raised::show(visit, place).await,
            View::Deliveries => deliveries::show(visit, place).await,
            View::Anomalies => anomalies::show(visit, place).await,
        }
    };
    visit.answer(work).await
}

async fn change_lists<O: Opens>(visit: Visit, form: web::Form<Sent>) -> HttpResponse {
    let Sent { csrf_token, change } = form.into_inner();
    let work = async |visit: &Visit| {
        let place = O::place(visit, Some(&csrf_token)).await?;
        match change {
            Change::Create(form) => destinations::create(visit, place, form).await,
            Change::Replay(form) => deliveries::replay(visit, place, form).await,
            Change::Acknowledge(form) => anomalies::acknowledge(visit, place, form).await,
        }
    };
    visit.answer(work).await
}

async fn one<O: Opens>(visit: Visit) -> HttpResponse {
    visit.answer(async |visit: &Visit| destination::show(visit, O::place(visit, None).await?).await).await
}

async fn change_one<O: Opens>(visit: Visit, form: web::Form<SentToOne>) -> HttpResponse {
    let SentToOne { csrf_token, change } = form.into_inner();
    let work = async |visit: &Visit| {
        let place = O::place(visit, Some(&csrf_token)).await?;
        destination::change(visit, place, change).await
    };
    visit.answer_within(PATIENCE, work).await
}

impl Place {
    /// Whose destinations are reached: an organization's own, or everybody's.
    fn owner(&self) -> Option<OrganizationId> {
        self.organization.clone()
    }

    /// One of the lists.
    fn list(&self, view: View) -> Address {
        let code = if view == View::Destinations { "" } else { view.code() };
        Address::to(self.path.as_str()).with(&[("view", code)])
    }

    /// The links from one list to the others.
    fn views(&self, current: View) -> Vec<Link> {
        let link = |view: View| Link {
            href: self.list(view).link(),
            label: self.frame.t(view.label()),
            is_current: view == current,
        };
        View::ALL.map(link).into()
    }

    /// The page of a destination.
    fn destination(&self, id: &str) -> Address {
        Address::to(format!("{}/destinations/{}", self.path, super::address::encoded_part(id)))
    }

    /// An instant, as it is told here.
    fn at(&self, at: UnixTime) -> String {
        format::instant(self.frame.language, self.calendar, at)
    }

    /// A link to the alerts of the organization that something is about, where the page is about all.
    fn about(&self, visit: &Visit, id: &OrganizationId) -> Option<Link> {
        if self.organization.is_some() {
            return None;
        }
        let directory = visit.api.directory.current();
        let name = directory.organization(id).map_or_else(|| id.to_string(), |known| known.name.clone());
        Some(Link { href: Tab::Alerts.path(id), label: name, is_current: false })
    }

    /// The destinations that are reached from here, by their ids.
    async fn destinations(&self, visit: &Visit) -> Result<HashMap<String, DestinationModel>, ApiError> {
        let rows = visit.api.alerts.destinations.list(self.owner()).await?;
        Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
    }
}

/// A figure as it is shown: dollars, or a number of requests.
fn figure(frame: &Frame, is_spend: bool, figure: i64) -> String {
    if is_spend { display::usd(Usd::from_nanos(figure)) } else { frame.number(figure) }
}

/// What an alert says: a headline, and what it is about.
fn told(frame: &Frame, alert: &AlertModel) -> (String, String) {
    let subject = match alert.scope {
        Scope::Organization => frame.t("alerts-whole-organization"),
        Scope::Member | Scope::Model => alert.subject_name.clone().unwrap_or_else(|| alert.subject.clone()),
    };
    let is_spend = alert.measure == mai_alerts::Measure::Spend;
    let (value, bound) = (figure(frame, is_spend, alert.value), figure(frame, is_spend, alert.bound));
    let values = [("value", value.as_str()), ("bound", bound.as_str())];
    match alert.kind {
        AlertKind::Test => (frame.t("alerts-test"), String::new()),
        AlertKind::LimitReached => {
            let headline = frame.with("alerts-limit-reached", &alert.threshold.to_string());
            let month = UsageDate::parse(&format!("{}-01", alert.period));
            let month = month.map_or_else(|_| alert.period.clone(), |day| format::month(frame.language, day));
            (headline, format!("{subject}, {month}: {}", frame.language.with_all("alerts-of-limit", &values)))
        }
        AlertKind::Anomaly => {
            let headline =
                if is_spend { frame.t("alerts-unusual-spend") } else { frame.t("alerts-unusual-requests") };
            let day = UsageDate::parse(&alert.period);
            let day = day.map_or_else(|_| alert.period.clone(), |day| format::date(frame.language, day));
            (headline, format!("{subject}, {day}: {}", frame.language.with_all("alerts-above", &values)))
        }
    }
}
