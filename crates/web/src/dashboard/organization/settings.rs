//! What the organization is called, on which terms it buys, and how its Open WebUI is set up.

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_organization::client_organization::{
    Change, ClientOrganizationModel, ClientOrganizationPatch, DayRatePolicy, StatementRatePolicy,
};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::Here;
use crate::{
    api::{ApiError, accounts::origin, caller::unknown_organization, organizations, webhook_secret},
    dashboard::{
        figures::Notice,
        forms::{Confirm, Proof, onward, yes_or_no},
        frame::{Frame, Tab},
        open_webui::{self, base_url},
        percent,
        told::{Line, Once, Told, answer, on_page},
        visit::{FOR_OTHERS, Visit},
    },
};

const DONE: [&str; 4] =
    ["org-saved", "organization-deactivated", "organization-activated", "usage-webhook-cleared"];
const TEXTS: [(&str, &str); 5] = [
    ("name", "account-name-unfit"),
    ("markup", "org-markup-unfit"),
    ("timezone", "org-zone-unfit"),
    ("billing_email", "account-email-unfit"),
    ("site_url", "org-site-unfit"),
];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/settings")
                .route(web::get().to(async |visit: Visit| visit.answer(open).await))
                .route(web::post().to(save)),
        )
        .route("/settings/activity", web::post().to(switch))
        .route("/settings/webhook", web::post().to(make_secret))
        .route("/settings/webhook/clear", web::post().to(clear_secret));
}

/// What the reseller may change.
#[derive(Default, Deserialize)]
struct Form {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    markup: String,
    #[serde(default)]
    timezone: String,
    #[serde(default)]
    billing_email: String,
    #[serde(default)]
    site_url: String,
    #[serde(default)]
    day_rate_policy: String,
    #[serde(default)]
    statement_rate_policy: String,
    /// A box that is not ticked is not sent.
    #[serde(default)]
    drain_on_disconnect: bool,
}

#[derive(Deserialize)]
struct Activity {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    active: String,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    once: Option<Once>,
    confirm: Option<Confirm>,
    id: String,
    facts: Vec<(String, String)>,
    /// The form of the reseller; nobody else changes these.
    form: Option<Form>,
    default_markup: String,
    base: Line,
    webui: Vec<Line>,
    keys: String,
    has_webhook_secret: bool,
    webhook: Line,
    is_active: bool,
    action: String,
    clear: String,
    deactivate: String,
}

impl Form {
    fn of(frame: &Frame, row: &ClientOrganizationModel) -> Self {
        let markup = row.markup_rate.map(|rate| percent::of_markup(frame.language, rate));
        Self {
            csrf_token: String::new(),
            name: row.name.clone(),
            markup: markup.unwrap_or_default(),
            timezone: row.timezone.clone(),
            billing_email: row.billing_email.clone().unwrap_or_default(),
            site_url: row.site_url.clone().unwrap_or_default(),
            day_rate_policy: row.day_rate_policy.as_str().to_owned(),
            statement_rate_policy: row.statement_rate_policy.as_str().to_owned(),
            drain_on_disconnect: row.drain_on_disconnect,
        }
    }

    fn patch(&self) -> Result<ClientOrganizationPatch, ApiError> {
        let text = |text: &str| match text.trim() {
            "" => Change::Clear,
            text => Change::Set(text.to_owned()),
        };
        let day = self.day_rate_policy.parse::<DayRatePolicy>();
        let statement = self.statement_rate_policy.parse::<StatementRatePolicy>();
        Ok(ClientOrganizationPatch {
            name: Some(self.name.clone()),
            markup_rate: percent::markup("markup", &self.markup)?.map_or(Change::Clear, Change::Set),
            timezone: Some(self.timezone.trim().to_owned()),
            billing_email: text(&self.billing_email),
            site_url: text(&self.site_url),
            day_rate_policy: Some(day.map_err(|reason| ApiError::field("day_rate_policy", reason))?),
            statement_rate_policy: Some(
                statement.map_err(|reason| ApiError::field("statement_rate_policy", reason))?,
            ),
            drain_on_disconnect: Some(self.drain_on_disconnect),
            ..ClientOrganizationPatch::default()
        })
    }
}

async fn open(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Settings).await?;
    show(visit, &here, Told::default(), None).await
}

async fn show(visit: &Visit, here: &Here, told: Told, typed: Option<Form>) -> Result<HttpResponse, ApiError> {
    let frame = here.frame(visit).await?;
    let row = visit.api.services.client_organization_db.get_any_by_id(&here.id).await?;
    let row = row.ok_or_else(unknown_organization)?;
    let is_reseller = here.caller.is_reseller();
    let form = is_reseller.then(|| typed.unwrap_or_else(|| Form::of(&frame, &row)));
    let base = base_url(visit);
    let origin = origin(&visit.request, &visit.api);
    let webhook = format!("{origin}/api/v1/usage-tracking/webhook/openrouter-usage");
    let page = Page {
        notices: told.notices(visit, &frame, &DONE, &TEXTS)?,
        confirm: confirm(visit, &frame, &row, is_reseller),
        id: here.id.to_string(),
        facts: facts(&frame, &row),
        form,
        default_markup: if is_reseller { percent::default_markup(visit).await? } else { String::new() },
        webui: open_webui::settings(&frame, &base, &frame.t("webui-your-key"), &frame.t("webui-your-secret")),
        base: Line::new("base-url", frame.t("webui-base"), base),
        keys: Tab::Limits.path(&here.id),
        has_webhook_secret: row.webhook_secret.is_some(),
        webhook: Line::new("webhook-url", frame.t("usage-webhook-url"), webhook),
        is_active: row.is_active,
        action: visit.address.path().to_owned(),
        clear: visit.address.with(&[("confirm", "webhook")]).link(),
        deactivate: visit.address.with(&[("confirm", "deactivate")]).link(),
        once: told.once,
        frame,
    };
    answer(&page, told.refusal)
}

/// What everybody who opens the page may read. Neither the markup nor the provider key is among it: an administrator
/// could compute the raw cost by it.
fn facts(frame: &Frame, row: &ClientOrganizationModel) -> Vec<(String, String)> {
    let text = |text: Option<&String>| text.cloned().unwrap_or_else(|| "–".to_owned());
    let day = match row.day_rate_policy {
        DayRatePolicy::SameDayOrBefore => "org-rate-same-day",
        DayRatePolicy::BeforeDay => "org-rate-before-day",
    };
    let statement = match row.statement_rate_policy {
        StatementRatePolicy::BeforePeriodEnd => "org-rate-before-period-end",
        StatementRatePolicy::BeforeIssueDay => "org-rate-before-issue-day",
    };
    vec![
        (frame.t("organization-name"), row.name.clone()),
        (frame.t("organization-id"), row.id.to_string()),
        (frame.t("org-time-zone"), row.timezone.clone()),
        (frame.t("org-billing-email"), text(row.billing_email.as_ref())),
        (frame.t("org-day-rate"), frame.t(day)),
        (frame.t("org-statement-rate"), frame.t(statement)),
    ]
}

fn confirm(
    visit: &Visit,
    frame: &Frame,
    row: &ClientOrganizationModel,
    is_reseller: bool,
) -> Option<Confirm> {
    let path = visit.address.path();
    let cancel = visit.address.with(&[("confirm", "")]).link();
    match visit.address.get("confirm")? {
        "deactivate" if is_reseller && row.is_active => Some(Confirm {
            title: frame.with("organization-deactivate-title", &row.name),
            text: frame.t("organization-deactivate-text"),
            action: format!("{path}/activity"),
            fields: vec![("active", "false".to_owned())],
            submit: frame.t("people-deactivate"),
            cancel,
        }),
        "webhook" if row.webhook_secret.is_some() => Some(Confirm {
            title: frame.with("usage-webhook-clear-title", &row.name),
            text: frame.t("usage-webhook-clear-text"),
            action: format!("{path}/webhook/clear"),
            fields: Vec::new(),
            submit: frame.t("people-remove"),
            cancel,
        }),
        _ => None,
    }
}

async fn save(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let visit = on_page(visit, 0, &[]);
    let work = async |visit: &Visit| {
        let form = form.into_inner();
        let here = Here::sent(visit, Tab::Settings, &form.csrf_token).await?;
        here.caller.reseller()?;
        let saved = match form.patch() {
            Ok(patch) => organizations::change(&here.caller, &visit.api, here.id.clone(), patch).await,
            Err(refusal) => Err(refusal),
        };
        match saved {
            Ok(_) => Ok(onward(&visit.address, "org-saved")),
            Err(refusal) => show(visit, &here, Told::refused(refusal), Some(form)).await,
        }
    };
    visit.answer(work).await
}

async fn switch(visit: Visit, form: web::Form<Activity>) -> HttpResponse {
    let visit = on_page(visit, 1, &[]);
    let work = async |visit: &Visit| {
        let here = Here::sent(visit, Tab::Settings, &form.csrf_token).await?;
        here.caller.reseller()?;
        let (caller, id) = (&here.caller, here.id.clone());
        let is_active = yes_or_no("active", &form.active)?;
        let (done, warning) = if is_active {
            let patch =
                ClientOrganizationPatch { is_active: Some(true), ..ClientOrganizationPatch::default() };
            ("organization-activated", organizations::change(caller, &visit.api, id, patch).await?.1)
        } else {
            ("organization-deactivated", organizations::deactivate(caller, &visit.api, id).await?)
        };
        match warning {
            None => Ok(onward(&visit.address, done)),
            // Done here, and not at OpenRouter; that is told at once, as it fits into no address.
            Some(warning) => {
                let text = visit.language.with("organization-key-left", &warning);
                show(visit, &here, Told { warning: Some(text), ..Told::default() }, None).await
            }
        }
    };
    visit.answer_within(FOR_OTHERS, work).await
}

async fn make_secret(visit: Visit, form: web::Form<Proof>) -> HttpResponse {
    let visit = on_page(visit, 1, &[]);
    let work = async |visit: &Visit| {
        let here = Here::sent(visit, Tab::Settings, &form.csrf_token).await?;
        let secret = webhook_secret::make(&here.caller, &visit.api, &here.id).await?;
        let once = Once {
            title: visit.language.text("usage-webhook-made-title"),
            text: visit.language.text("usage-webhook-made-text"),
            lines: vec![Line::new(
                "webhook-secret",
                visit.language.text("usage-webhook-secret"),
                secret.expose_secret().to_owned(),
            )],
        };
        show(visit, &here, Told::once(once), None).await
    };
    visit.answer(work).await
}

async fn clear_secret(visit: Visit, form: web::Form<Proof>) -> HttpResponse {
    let visit = on_page(visit, 2, &[]);
    let work = async |visit: &Visit| {
        let here = Here::sent(visit, Tab::Settings, &form.csrf_token).await?;
        webhook_secret::store(&here.caller, &visit.api, &here.id, Change::Clear).await?;
        Ok(onward(&visit.address, "usage-webhook-cleared"))
    };
    visit.answer(work).await
}
