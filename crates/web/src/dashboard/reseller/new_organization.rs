//! Another organization, from its name to its first call.

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_openrouter::LimitReset;
use mai_organization::client_organization::{
    ClientOrganizationForm, ClientOrganizationModel, NewGatewayKey, new_identity_secret,
};
use mai_primitives::{OrganizationId, Usd};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{open, sent};
use crate::{
    api::{ApiError, caller::Caller, organizations},
    dashboard::{
        figures::Notice,
        forms::{refused, usd},
        frame::{Frame, ResellerTab, Tab},
        open_webui::{self, base_url},
        percent,
        told::{Line, answer},
        visit::{FOR_OTHERS, Visit, page},
    },
    provider_keys::NewKey,
};

const TEXTS: [(&str, &str); 13] = [
    ("name", "account-name-unfit"),
    ("id", "organization-id-unfit"),
    ("markup", "org-markup-unfit"),
    ("timezone", "org-zone-unfit"),
    ("monthly_limit", "form-unfit-amount"),
    ("provider_limit", "form-unfit-amount"),
    ("billing_email", "account-email-unfit"),
    ("openrouter_api_key", "new-provider-key-unfit"),
    ("provider", "new-provider-unfit"),
    ("limit_reset", "new-provider-reset-unfit"),
    ("already_exists", "organization-taken"),
    ("wrong_state", "new-provider-not-made"),
    ("upstream_unavailable", "new-provider-away"),
];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/new-organization")
            .route(web::get().to(async |visit: Visit| visit.answer(ask).await))
            .route(web::post().to(create)),
    );
}

/// What is asked.
#[derive(Default, Deserialize)]
struct Form {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    markup: String,
    #[serde(default)]
    timezone: String,
    #[serde(default)]
    billing_email: String,
    #[serde(default)]
    monthly_limit: String,
    /// `create`, `paste` or `later`.
    #[serde(default)]
    provider: String,
    /// The key, where one is pasted. It is not shown again.
    #[serde(default)]
    provider_key: String,
    #[serde(default)]
    provider_limit: String,
    #[serde(default)]
    limit_reset: String,
}

#[derive(Template)]
#[template(path = "new_organization.html")]
struct Asked {
    frame: Frame,
    notices: Vec<Notice>,
    typed: Form,
    default_markup: String,
    /// Whether keys can be made at OpenRouter.
    can_create: bool,
    action: String,
}

#[derive(Template)]
#[template(path = "new_organization_ready.html")]
struct Ready {
    frame: Frame,
    notices: Vec<Notice>,
    name: String,
    id: String,
    /// The base URL.
    base: Line,
    /// What there is when the key was made: the key, the settings and a first call.
    key: Option<(Line, Vec<Line>, Line)>,
    has_provider_key: bool,
    overview: String,
    limits: String,
    import: String,
    accounts: String,
    settings: String,
}

async fn frame(visit: &Visit, caller: &Caller, title: &str) -> Result<Frame, ApiError> {
    let frame = visit.frame(&visit.language.text(title)).signed_in(visit, caller).await?;
    Ok(frame.of_reseller(ResellerTab::Organizations))
}

async fn ask(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = open(visit).await?;
    let typed = Form { timezone: visit.api.time_zone.zone().to_owned(), ..Form::default() };
    show(visit, &caller, typed, None).await
}

async fn show(
    visit: &Visit,
    caller: &Caller,
    mut typed: Form,
    refusal: Option<ApiError>,
) -> Result<HttpResponse, ApiError> {
    let frame = frame(visit, caller, "organization-new").await?;
    let can_create = visit.api.provider_keys.is_configured(&visit.api.services).await?;
    if typed.provider.is_empty() {
        typed.provider.push_str(if can_create { "create" } else { "paste" });
    }
    let notices = match &refusal {
        Some(refusal) => vec![notice(&frame, refusal.clone())?],
        None => Vec::new(),
    };
    let asked = Asked {
        notices,
        typed,
        default_markup: percent::default_markup(visit).await?,
        can_create,
        action: visit.address.path().to_owned(),
        frame,
    };
    answer(&asked, refusal)
}

/// What was wrong. That OpenRouter did not make a key is told on the form as well, so that nothing has to be typed
/// again.
fn notice(frame: &Frame, refusal: ApiError) -> Result<Notice, ApiError> {
    if refusal.code == "upstream_unavailable" {
        return Ok(Notice { kind: "bad", text: frame.t("new-provider-away") });
    }
    refused(frame, refusal, &TEXTS)
}

impl Form {
    /// The organization, and the key that is to be made at OpenRouter for it.
    fn read(&self, usual_zone: &str) -> Result<(ClientOrganizationForm, Option<NewKey>), ApiError> {
        let filled = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        let amount = |field, text: &str| filled(text).map(|text| usd(field, &text)).transpose();
        let id = filled(&self.id).map(OrganizationId::new).transpose();
        let (openrouter_api_key, new_key) = match self.provider.as_str() {
            "later" => (None, None),
            "paste" => {
                let key = filled(&self.provider_key);
                let none = || ApiError::field("openrouter_api_key", "is empty");
                (Some(SecretString::from(key.ok_or_else(none)?)), None)
            }
            "create" => (None, Some(self.new_key(amount("provider_limit", &self.provider_limit)?)?)),
            _ => return Err(ApiError::field("provider", "must be create, paste or later")),
        };
        let form = ClientOrganizationForm {
            id: id.map_err(|error| ApiError::field("id", error))?,
            name: self.name.clone(),
            openrouter_api_key,
            markup_rate: percent::markup("markup", &self.markup)?,
            monthly_limit: amount("monthly_limit", &self.monthly_limit)?,
            billing_email: filled(&self.billing_email),
            timezone: Some(filled(&self.timezone).unwrap_or_else(|| usual_zone.to_owned())),
            ..ClientOrganizationForm::default()
        };
        Ok((form, new_key))
    }

    fn new_key(&self, limit: Option<Usd>) -> Result<NewKey, ApiError> {
        if limit.is_some_and(|limit| limit < Usd::ZERO) {
            return Err(ApiError::field("provider_limit", "must not be below zero"));
        }
        let limit_reset = match self.limit_reset.as_str() {
            "" => None,
            "daily" => Some(LimitReset::Daily),
            "weekly" => Some(LimitReset::Weekly),
            "monthly" => Some(LimitReset::Monthly),
            _ => return Err(ApiError::field("limit_reset", "must be daily, weekly or monthly")),
        };
        Ok(NewKey { name: None, limit, limit_reset })
    }
}

async fn create(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let work = async |visit: &Visit| {
        let form = form.into_inner();
        let caller = sent(visit, &form.csrf_token).await?;
        let made = match form.read(visit.api.time_zone.zone()) {
            Ok((organization, key)) => organizations::create(&caller, &visit.api, organization, key).await,
            Err(refusal) => Err(refusal),
        };
        match made {
            Ok((organization, _)) => ready(visit, &caller, organization).await,
            Err(refusal) => {
                // A secret that was pasted does not go back and forth.
                show(visit, &caller, Form { provider_key: String::new(), ..form }, Some(refusal)).await
            }
        }
    };
    visit.answer_within(FOR_OTHERS, work).await
}

/// The key with which Open WebUI calls the gateway, and what signs who its users are.
async fn first_key(
    visit: &Visit,
    caller: &Caller,
    organization: &ClientOrganizationModel,
) -> Result<(SecretString, SecretString), ApiError> {
    let secret = new_identity_secret()?;
    let new = NewGatewayKey {
        name: "Open WebUI".to_owned(),
        is_trusted_client: true,
        is_open_webui: true,
        identity_secret: Some(secret.clone()),
        ..NewGatewayKey::default()
    };
    let made = caller.services(&visit.api).gateway_key_db.create(&organization.id, new).await?;
    Ok((made.key, secret))
}

/// What was made and what comes next. From here on the organization exists, whatever else fails.
async fn ready(
    visit: &Visit,
    caller: &Caller,
    organization: ClientOrganizationModel,
) -> Result<HttpResponse, ApiError> {
    let frame = frame(visit, caller, "organization-ready").await?;
    let base = base_url(visit);
    let mut notices = Vec::new();
    let key = match first_key(visit, caller, &organization).await {
        Ok((key, secret)) => {
            let (key, secret) = (key.expose_secret(), secret.expose_secret());
            let call = format!("curl {base}/models -H 'Authorization: Bearer {key}'");
            Some((
                Line::new("gateway-key", frame.t("new-gateway-key"), key.to_owned()),
                open_webui::settings(&frame, &base, key, secret),
                Line::new("first-call", frame.t("new-first-call"), call),
            ))
        }
        Err(failure) => {
            tracing::warn!(organization.id = %organization.id, %failure, "a new organization has no key yet");
            notices.push(Notice { kind: "warning", text: frame.with("ready-no-key", &failure.message) });
            None
        }
    };
    let path = |tab: Tab| tab.path(&organization.id);
    let ready = Ready {
        notices,
        base: Line::new("base-url", frame.t("webui-base"), base),
        key,
        has_provider_key: organization.provider_key.last4.is_some(),
        overview: path(Tab::Overview),
        limits: path(Tab::Limits),
        import: format!("{}/import", path(Tab::Members)),
        accounts: format!("{}/accounts", path(Tab::Members)),
        settings: path(Tab::Settings),
        name: organization.name,
        id: organization.id.to_string(),
        frame,
    };
    page(&ready)
}
