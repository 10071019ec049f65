//! Making, storing, limiting, disabling and removing the organization's key at OpenRouter.

use actix_web::{HttpResponse, web};
use mai_openrouter::{KeyField, LimitReset, ManagedKey, ManagedKeyPatch};
use mai_organization::client_organization::{Change, ClientOrganizationPatch};
use mai_primitives::Usd;
use secrecy::SecretString;
use serde::Deserialize;

use super::{super::super::Here, bare, render};
use crate::{
    api::{
        ApiError,
        provider_key::{checked, positive},
    },
    dashboard::{
        figures::Notice,
        forms::{amount, onward, refused, usd},
        frame::{Frame, Tab},
        language::Language,
        visit::{FOR_OTHERS, Visit},
    },
    provider_keys::{NewKey, ProviderKeys},
};

const TEXTS: [(&str, &str); 3] = [
    ("limit", "form-unfit-amount"),
    ("name", "keys-unfit-name"),
    ("openrouter_api_key", "provider-key-unfit"),
];

/// What a form of the page sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Form {
    csrf_token: String,
    /// `create`, `replace`, `store`, `forget`, `limit`, `disable`, `enable` or `remove`.
    act: String,
    name: String,
    /// In USD; empty is no limit.
    limit: String,
    limit_reset: String,
    key: String,
}

/// What stands in the forms, the key excepted.
#[derive(Default)]
pub(super) struct Typed {
    /// Whether it is about a new key.
    pub(super) is_new: bool,
    pub(super) name: String,
    pub(super) limit: String,
    pub(super) limit_reset: String,
}

impl Typed {
    /// The limit of the present key.
    pub(super) fn of_key(language: Language, key: Option<&ManagedKey>) -> Self {
        Self {
            limit: key.and_then(|key| key.limit).map(|limit| amount(language, limit)).unwrap_or_default(),
            limit_reset: key.and_then(|key| key.limit_reset.clone()).unwrap_or_default(),
            ..Self::default()
        }
    }

    fn of_form(form: Form) -> Self {
        let is_new = matches!(form.act.as_str(), "create" | "replace");
        Self { is_new, name: form.name, limit: form.limit, limit_reset: form.limit_reset }
    }
}

/// `POST …/provider-key`
pub(in super::super) async fn change(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let form = form.into_inner();
    let work = async |visit: &Visit| {
        let here = Here::sent(visit, Tab::Limits, &form.csrf_token).await?;
        here.caller.reseller()?;
        let frame = here.frame(visit).await?;
        match apply(visit, &here, &form).await {
            Ok((text, None)) => Ok(onward(&bare(visit), text)),
            Ok((text, Some(warning))) => {
                let done = Notice { kind: "info", text: frame.language.text(text) };
                let notices = vec![done, Notice { kind: "warning", text: warning }];
                render(visit, &here, None, notices, HttpResponse::Ok().finish()).await
            }
            Err(refusal) => {
                let answer = HttpResponse::from_error(refusal.clone());
                let notices = vec![notice(&frame, refusal)?];
                // What was typed is of use in the form that was sent only.
                let typed = matches!(form.act.as_str(), "create" | "replace" | "limit");
                let typed = typed.then(|| Typed::of_form(form));
                render(visit, &here, typed, notices, answer).await
            }
        }
    };
    visit.answer_within(FOR_OTHERS, work).await
}

/// Makes the change: the text that says which, and what a person should look at beside it.
async fn apply(visit: &Visit, here: &Here, form: &Form) -> Result<(&'static str, Option<String>), ApiError> {
    let done = match form.act.as_str() {
        "create" => return create(visit, here, form, false).await,
        "replace" => return create(visit, here, form, true).await,
        "store" => {
            store(visit, here, Change::Set(SecretString::from(form.key.trim()))).await?;
            "provider-key-stored"
        }
        "forget" => {
            store(visit, here, Change::Clear).await?;
            "provider-key-forgotten"
        }
        "limit" => {
            let patch = ManagedKeyPatch {
                limit: KeyField::of(limit(form)?.map(positive).transpose()?),
                limit_reset: KeyField::of(reset(form)?),
                disabled: None,
            };
            update(visit, here, patch).await?;
            "provider-key-limited"
        }
        "disable" => {
            update(visit, here, ManagedKeyPatch { disabled: Some(true), ..Default::default() }).await?;
            "provider-key-is-disabled"
        }
        "enable" => {
            update(visit, here, ManagedKeyPatch { disabled: Some(false), ..Default::default() }).await?;
            "provider-key-is-enabled"
        }
        "remove" => {
            let (services, id) = (here.caller.services(&visit.api), here.id.clone());
            let remove = |keys: ProviderKeys| async move { keys.remove(&services, &id).await };
            visit.api.provider_keys.to_the_end(remove).await??;
            "provider-key-removed"
        }
        _ => return Err(ApiError::field("act", "is nothing that can be done with a key")),
    };
    Ok((done, None))
}

async fn create(
    visit: &Visit,
    here: &Here,
    form: &Form,
    replace: bool,
) -> Result<(&'static str, Option<String>), ApiError> {
    let name = Some(form.name.trim()).filter(|name| !name.is_empty()).map(str::to_owned);
    let new = checked(NewKey { name, limit: limit(form)?, limit_reset: reset(form)? })?;
    let (services, id) = (here.caller.services(&visit.api), here.id.clone());
    let create = |keys: ProviderKeys| async move { keys.create(&services, &id, new, replace).await };
    let stored = visit.api.provider_keys.to_the_end(create).await??;
    Ok(("provider-key-created", stored.warning))
}

/// A key that was made elsewhere.
async fn store(visit: &Visit, here: &Here, key: Change<SecretString>) -> Result<(), ApiError> {
    let patch = ClientOrganizationPatch { openrouter_api_key: key, ..ClientOrganizationPatch::default() };
    here.caller.services(&visit.api).client_organization_db.update(&here.id, patch).await?;
    Ok(())
}

async fn update(visit: &Visit, here: &Here, patch: ManagedKeyPatch) -> Result<(), ApiError> {
    let (services, id) = (here.caller.services(&visit.api), here.id.clone());
    let update = |keys: ProviderKeys| async move { keys.update(&services, &id, patch).await };
    visit.api.provider_keys.to_the_end(update).await??;
    Ok(())
}

fn limit(form: &Form) -> Result<Option<Usd>, ApiError> {
    let text = Some(form.limit.trim()).filter(|text| !text.is_empty());
    text.map(|text| usd("limit", text)).transpose()
}

fn reset(form: &Form) -> Result<Option<LimitReset>, ApiError> {
    match form.limit_reset.as_str() {
        "" => Ok(None),
        "daily" => Ok(Some(LimitReset::Daily)),
        "weekly" => Ok(Some(LimitReset::Weekly)),
        "monthly" => Ok(Some(LimitReset::Monthly)),
        _ => Err(ApiError::field("limit_reset", "must be daily, weekly or monthly")),
    }
}

/// Why a change was refused, by us or by OpenRouter.
fn notice(frame: &Frame, refusal: ApiError) -> Result<Notice, ApiError> {
    let text = match refusal.code {
        "upstream_unavailable" | "not_found" => frame.with("form-refused", &refusal.message),
        "provider_key_left" => frame.with("provider-key-left", &refusal.message),
        _ => return refused(frame, refusal, &TEXTS),
    };
    Ok(Notice { kind: "bad", text })
}
