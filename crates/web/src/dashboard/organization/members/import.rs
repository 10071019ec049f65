//! Members from a CSV list, or from the Open WebUI that the settings name.

use actix_web::{HttpResponse, dev::UrlEncoded, error::UrlencodedError, http::StatusCode, web};
use askama::Template;
use mai_organization::client_organization::{ImportOptions, ImportReport, MemberList, import::csv};
use serde::Deserialize;

use super::{super::Here, View};
use crate::{
    api::{
        ApiError,
        changes::RefusalCode,
        cookie,
        members::import::{REFUSED, Source, read},
    },
    dashboard::{
        figures::Notice,
        frame::{Frame, Link, Tab},
        told::{Told, on_page},
        visit::{FOR_OTHERS, Visit, page_as},
    },
};

/// The longest form: a file of the greatest length, of which a form writes a mark as three.
const FORM_BYTES: usize = 3 * csv::MAX_BYTES + 4_096;
/// How many refused lines are shown.
const SHOWN: usize = 100;

const TEXTS: [(&str, &str); 3] = [
    ("file", "import-file-unfit"),
    ("members", "import-members-unfit"),
    ("not_configured", "import-not-configured"),
];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/members/import")
            .route(web::get().to(async |visit: Visit| visit.answer(empty).await))
            .route(web::post().to(import)),
    );
    config.route("/members/import/open-webui", web::post().to(take_over));
}

/// A list, and how it is taken.
#[derive(Default, Deserialize)]
struct Form {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    list: String,
    #[serde(default)]
    deactivate_missing: bool,
    /// Whether it is only looked at.
    #[serde(default)]
    dry_run: bool,
}

impl Form {
    fn options(&self) -> ImportOptions {
        ImportOptions { dry_run: self.dry_run, deactivate_missing: self.deactivate_missing }
    }
}

#[derive(Template)]
#[template(path = "member_import.html")]
struct Page {
    frame: Frame,
    views: Vec<Link>,
    notices: Vec<Notice>,
    report: Option<Report>,
    typed: Form,
    action: String,
    has_open_webui: bool,
}

/// What was done, or would be.
struct Report {
    title: String,
    counts: Vec<(String, String)>,
    refused: Vec<(String, String, String)>,
    more: Option<String>,
}

async fn empty(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Members).await?;
    show(visit, &here, Form::default(), None, Told::default()).await
}

async fn show(
    visit: &Visit,
    here: &Here,
    typed: Form,
    report: Option<ImportReport>,
    told: Told,
) -> Result<HttpResponse, ApiError> {
    let frame = here.frame_titled(visit, "members-import").await?;
    let is_refused = report.as_ref().is_some_and(|report| !report.applied && !typed.dry_run);
    let page = Page {
        views: View::Import.links(here, &frame),
        notices: told.notices(visit, &frame, &[], &TEXTS)?,
        report: report.map(|report| shown(&frame, report, is_refused)),
        typed,
        action: visit.address.path().to_owned(),
        has_open_webui: source(visit, here).is_some(),
        frame,
    };
    let status = match told.refusal {
        Some(refusal) => HttpResponse::from_error(refusal),
        None if is_refused => HttpResponse::build(StatusCode::UNPROCESSABLE_ENTITY).finish(),
        None => HttpResponse::Ok().finish(),
    };
    let mut answer = page_as(&page, status)?;
    if is_refused {
        answer.extensions_mut().insert(RefusalCode(REFUSED));
    }
    Ok(answer)
}

fn shown(frame: &Frame, report: ImportReport, is_refused: bool) -> Report {
    let count = |count: usize| frame.number(i64::try_from(count).unwrap_or(i64::MAX));
    let counts = [
        ("import-listed", report.listed),
        ("import-new", report.new),
        ("import-changed", report.changed),
        ("import-unchanged", report.unchanged),
        ("import-merged", report.merged),
        ("import-deactivated", report.deactivated),
        ("import-refused-lines", report.refused.len()),
    ];
    let more = report.refused.len().saturating_sub(SHOWN);
    let title = match (is_refused, report.applied) {
        (true, _) => "import-refused",
        (false, true) => "import-applied",
        (false, false) => "import-checked",
    };
    Report {
        title: frame.language.text(title),
        counts: counts.into_iter().map(|(key, n)| (frame.language.text(key), count(n))).collect(),
        refused: report
            .refused
            .into_iter()
            .take(SHOWN)
            .map(|one| (one.line.to_string(), one.user_id, one.reason))
            .collect(),
        more: (more > 0).then(|| frame.with("import-more", &count(more))),
    }
}

/// Where the settings say that the organization's people are known.
fn source(visit: &Visit, here: &Here) -> Option<Source> {
    let registries = &visit.api.registries;
    let database = registries.find(&here.id, true).map(|_| Source::OpenWebuiDatabase);
    database.or_else(|| registries.find(&here.id, false).map(|_| Source::OpenWebui))
}

/// The form may be long, so it is read only of somebody who is signed in; what that one may do is told by the proof
/// in it.
async fn import(visit: Visit, payload: web::Payload) -> HttpResponse {
    let work = async |visit: &Visit| {
        let session = cookie::session(&visit.request, &visit.api);
        let session = session.ok_or_else(|| ApiError::unauthorized("a session is needed"))?;
        visit.api.services.session_db.find(&session).await?;
        let mut payload = payload.into_inner();
        let form = UrlEncoded::<Form>::new(&visit.request, &mut payload).limit(FORM_BYTES).await;
        let form = form.map_err(|error| match error {
            UrlencodedError::Overflow { limit, .. } => ApiError::body_too_large(limit),
            other => ApiError::body(other.to_string()),
        })?;
        let here = Here::sent(visit, Tab::Members, &form.csrf_token).await?;
        let list = csv::parse(form.list.as_bytes()).map_err(ApiError::from);
        take(visit, &here, form, list).await
    };
    visit.answer_within(FOR_OTHERS, work).await
}

async fn take_over(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let visit = on_page(visit, 1, &[]);
    let work = async |visit: &Visit| {
        let here = Here::sent(visit, Tab::Members, &form.csrf_token).await?;
        let form = form.into_inner();
        let list = match source(visit, &here) {
            Some(source) => read(&visit.api, &here.id, source).await,
            None => Err(ApiError::not_configured("the settings name no Open WebUI for this organization")),
        };
        take(visit, &here, form, list).await
    };
    visit.answer_within(FOR_OTHERS, work).await
}

async fn take(
    visit: &Visit,
    here: &Here,
    form: Form,
    list: Result<MemberList, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let members = here.caller.services(&visit.api).member_db;
    let taken = match list {
        Ok(list) => members.import(&here.id, list, form.options()).await.map_err(ApiError::from),
        Err(refusal) => Err(refusal),
    };
    match taken {
        // What was taken need not be sent again.
        Ok(report) if report.applied => {
            show(visit, here, Form::default(), Some(report), Told::default()).await
        }
        Ok(report) => show(visit, here, form, Some(report), Told::default()).await,
        Err(refusal) => show(visit, here, form, None, Told::refused(refusal)).await,
    }
}
