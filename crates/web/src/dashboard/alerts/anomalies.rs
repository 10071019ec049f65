//! Days on which a member or a model stands far outside its own history, and saying that one knows of them.

use std::collections::HashMap;

use actix_web::HttpResponse;
use askama::Template;
use mai_batch::{AnomalyModel, Measure, SubjectKind};
use mai_primitives::{OrganizationId, display};
use serde::Deserialize;

use super::{Place, View, figure};
use crate::{
    api::{
        ApiError,
        anomalies::{self, Acknowledgement, within_reach},
        caller::unknown_organization,
    },
    dashboard::{
        figures::Notice,
        format,
        forms::{done, onward, refused},
        frame::{Frame, Link, SHARED},
        range::Range,
        table::{Pager, paged},
        visit::{Visit, page, page_as},
    },
};

/// Which anomaly somebody knows of, with a word about it.
#[derive(Deserialize)]
pub(crate) struct KnownForm {
    organization: String,
    day: String,
    kind: String,
    subject: String,
    measure: String,
    note: String,
}

#[derive(Template)]
#[template(path = "alerts/anomalies.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    views: Vec<Link>,
    range: Range,
    which: Vec<Link>,
    rows: Vec<Row>,
    pager: Pager,
    count: String,
    action: String,
    is_of_all: bool,
}

struct Row {
    day: String,
    date: String,
    organization: Option<Link>,
    organization_id: String,
    kind: &'static str,
    kind_label: String,
    subject: String,
    name: String,
    measure: &'static str,
    measure_label: String,
    value: String,
    usual: String,
    threshold: String,
    history: String,
    /// What OpenRouter charged, for the reseller.
    raw: Option<String>,
    /// When and by whom it was acknowledged, and what was said.
    known: Option<(String, String)>,
}

/// The list, the newest day first.
pub(super) async fn show(visit: &Visit, place: Place) -> Result<HttpResponse, ApiError> {
    let notices = done(visit, &["alerts-acknowledged"]).into_iter().collect();
    page(&listed(visit, place, notices).await?)
}

async fn listed(visit: &Visit, place: Place, notices: Vec<Notice>) -> Result<Page, ApiError> {
    let address = visit.address.with(&[("view", "anomalies")]);
    // Few days stand out, so more of them are shown than of anything else.
    let is_named = SHARED.iter().any(|name| address.get(name).is_some());
    let asked = if is_named { address.clone() } else { address.with(&[("range", "90d")]) };
    let range = Range::of(&asked, visit.language, place.today)?;
    within_reach(range.days.from(), range.days.to())?;
    let (from, to) = (range.days.from(), range.days.to());
    let table = &visit.api.anomalies;
    let mut found = match &place.organization {
        Some(organization) => table.list(organization, from, to).await?,
        None => table.list_of_all(from, to).await?,
    };
    let only_new = address.get("only") == Some("new");
    found.retain(|row| !only_new || row.acknowledged_at.is_none());
    let which = [("", "alerts-all"), ("new", "alerts-only-new")].map(|(code, label)| Link {
        href: address.with(&[("only", code), ("page", "")]).link(),
        label: place.frame.t(label),
        is_current: only_new != code.is_empty(),
    });
    let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let (shown, pager) = paged(found, &address, &place.frame)?;
    let names = names(visit, &place, &shown).await?;
    Ok(Page {
        rows: shown.into_iter().map(|one| row(visit, &place, one, &names)).collect(),
        notices,
        views: place.views(View::Anomalies),
        range,
        which: which.into(),
        pager,
        count: place.frame.language.count("alerts-anomalies-count", count),
        action: address.link(),
        is_of_all: place.organization.is_none(),
        frame: place.frame,
    })
}

/// What people call the members of the organization, where a row names one.
async fn names(
    visit: &Visit,
    place: &Place,
    rows: &[AnomalyModel],
) -> Result<HashMap<String, String>, ApiError> {
    let names_one = rows.iter().any(|row| row.subject_kind == SubjectKind::Member);
    let Some(organization) = place.organization.as_ref().filter(|_| names_one) else {
        return Ok(HashMap::new());
    };
    let members = visit.api.services.member_db.list(organization).await?;
    Ok(members.into_iter().filter_map(|one| Some((one.user_id.to_string(), one.name?))).collect())
}

fn row(visit: &Visit, place: &Place, anomaly: AnomalyModel, names: &HashMap<String, String>) -> Row {
    let frame = &place.frame;
    let is_spend = anomaly.measure == Measure::Spend;
    let shown = |number| figure(frame, is_spend, number);
    let is_member = anomaly.subject_kind == SubjectKind::Member;
    let name = names.get(&anomaly.subject).filter(|_| is_member);
    let known = anomaly.acknowledged_at.map(|at| {
        let by = anomaly.acknowledged_by.clone();
        (place.at(at), by.into_iter().chain(anomaly.note.clone()).collect::<Vec<_>>().join(" · "))
    });
    Row {
        day: format::date(frame.language, anomaly.usage_date),
        date: anomaly.usage_date.to_string(),
        organization: place.about(visit, &anomaly.client_org_id),
        organization_id: anomaly.client_org_id.to_string(),
        kind: anomaly.subject_kind.as_str(),
        kind_label: if is_member { frame.t("user") } else { frame.t("model") },
        name: name.unwrap_or(&anomaly.subject).clone(),
        measure: anomaly.measure.as_str(),
        measure_label: if is_spend { frame.t("client-price") } else { frame.t("requests") },
        value: shown(anomaly.value),
        usual: shown(anomaly.median),
        threshold: frame.with("alerts-threshold", &shown(anomaly.threshold)),
        history: frame.language.count("alerts-history", anomaly.history_days.into()),
        raw: place.caller.is_reseller().then(|| display::usd(anomaly.raw_cost)),
        known,
        subject: anomaly.subject,
    }
}

/// Says that one knows of an anomaly.
pub(super) async fn acknowledge(
    visit: &Visit,
    place: Place,
    form: KnownForm,
) -> Result<HttpResponse, ApiError> {
    let organization = match place.owner() {
        Some(organization) => organization,
        None => OrganizationId::new(&form.organization).map_err(|_| unknown_organization())?,
    };
    let said = Acknowledgement {
        usage_date: form.day,
        kind: form.kind,
        subject: form.subject,
        measure: form.measure,
        note: Some(form.note),
    };
    match anomalies::acknowledge(&place.caller, &visit.api, &organization, said).await {
        Ok(_) => Ok(onward(&visit.address, "alerts-acknowledged")),
        Err(refusal) => {
            let notice = refused(&place.frame, refusal.clone(), &[("note", "alerts-unfit-note")])?;
            page_as(&listed(visit, place, vec![notice]).await?, HttpResponse::from_error(refusal))
        }
    }
}
