//! Setting limits and taking them away.

use std::collections::HashMap;

use actix_web::{HttpResponse, http::StatusCode, web};
use mai_billing::limits::LimitedModel;
use mai_organization::client_organization::{Change, ClientOrganizationPatch, LimitScope, MemberModel};
use mai_primitives::ModelName;
use serde::Deserialize;

use super::{super::Here, bare, render};
use crate::{
    api::{ApiError, limits as service},
    dashboard::{
        address::Address,
        figures::Notice,
        forms::{Confirm, amount, onward, refused, usd},
        frame::{Frame, Tab},
        visit::Visit,
    },
};

/// The organization as what a limit is about.
const ORGANIZATION: &str = "organization";

const TEXTS: [(&str, &str); 1] = [("monthly_limit", "form-unfit-amount")];

/// What a form of the page sends.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct Form {
    csrf_token: String,
    /// `clear`; anything else sets.
    act: String,
    /// `member`, `model` or `organization`.
    scope: String,
    subject: String,
    monthly_limit: String,
}

/// What stands in the forms.
#[derive(Default)]
pub(super) struct Typed {
    /// `member` or `model`.
    pub(super) scope: String,
    pub(super) subject: String,
    pub(super) amount: String,
    /// The organization's own limit.
    pub(super) own: String,
}

impl Typed {
    /// The limit that a link of the table names, as it is.
    pub(super) async fn of_address(visit: &Visit, here: &Here) -> Result<Self, ApiError> {
        let Some(scope) = visit.address.get("edit") else { return Ok(Self::default()) };
        let subject = visit.address.get("subject").unwrap_or_default();
        let limits = visit.api.services.usage_limit_db.list(&here.id).await?;
        let present = limits.iter().find(|limit| limit.scope.as_str() == scope && limit.subject == subject);
        let amount = present.map(|limit| amount(visit.language, limit.monthly_limit)).unwrap_or_default();
        Ok(Self { scope: scope.to_owned(), subject: subject.to_owned(), amount, own: String::new() })
    }

    fn of_form(form: Form) -> Self {
        if form.scope == ORGANIZATION {
            return Self { own: form.monthly_limit, ..Self::default() };
        }
        Self { scope: form.scope, subject: form.subject, amount: form.monthly_limit, own: String::new() }
    }
}

/// `POST …/limits`
pub(super) async fn change(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let form = form.into_inner();
    let work = async |visit: &Visit| {
        let here = Here::sent(visit, Tab::Limits, &form.csrf_token).await?;
        let refusal = match apply(visit, &here, &form).await {
            Ok(done) => return Ok(onward(&bare(visit), done)),
            Err(refusal) => refusal,
        };
        let answer = HttpResponse::from_error(refusal.clone());
        let notice = notice(visit, &here.frame(visit).await?, &form, refusal)?;
        render(visit, &here, Typed::of_form(form), vec![notice], answer).await
    };
    visit.answer(work).await
}

/// Makes the change, and says which.
async fn apply(visit: &Visit, here: &Here, form: &Form) -> Result<&'static str, ApiError> {
    let clears = form.act == "clear";
    let services = here.caller.services(&visit.api);
    if form.scope == ORGANIZATION {
        here.caller.reseller()?;
        let limit =
            if clears { Change::Clear } else { Change::Set(usd("monthly_limit", &form.monthly_limit)?) };
        let patch = ClientOrganizationPatch { monthly_limit: limit, ..ClientOrganizationPatch::default() };
        services.client_organization_db.update(&here.id, patch).await?;
        return Ok(if clears { "limits-own-cleared" } else { "limits-own-set" });
    }
    let unknown = |_| ApiError::field("scope", "must be member or model");
    let (scope, subject) = (form.scope.parse::<LimitScope>().map_err(unknown)?, form.subject.trim());
    if clears {
        services.usage_limit_db.clear(&here.id, (scope, subject)).await?;
        return Ok("limits-cleared");
    }
    let amount = usd("monthly_limit", &form.monthly_limit)?;
    let (_, known) = service::set(&here.caller, &visit.api, &here.id, (scope, subject), amount).await?;
    Ok(if known { "limits-set" } else { "limits-set-unknown" })
}

/// Why a change was refused.
fn notice(visit: &Visit, frame: &Frame, form: &Form, refusal: ApiError) -> Result<Notice, ApiError> {
    let subject = form.subject.trim();
    if refusal.status == StatusCode::NOT_FOUND {
        let key = if form.act == "clear" { "limits-gone" } else { "limits-unknown-member" };
        return Ok(Notice { kind: "bad", text: frame.with(key, subject) });
    }
    if form.scope == LimitScope::Model.as_str()
        && refusal.field == Some("subject")
        && let Ok(model) = ModelName::new(subject)
        && let LimitedModel::CountedAs(family) =
            LimitedModel::of(&model, &visit.api.model_prices.prices().current())
    {
        return Ok(Notice { kind: "bad", text: frame.with("limits-counted-as", family.as_str()) });
    }
    refused(frame, refusal, &TEXTS)
}

/// The question before a limit is taken away.
pub(super) fn confirm(
    visit: &Visit,
    frame: &Frame,
    here: &Here,
    bare: &Address,
    names: &HashMap<&str, &MemberModel>,
) -> Option<Confirm> {
    let scope = visit.address.get("clear")?;
    let subject = visit.address.get("subject").unwrap_or_default();
    let named = match scope {
        ORGANIZATION if !here.caller.is_reseller() => return None,
        ORGANIZATION => here.organization.name.as_str(),
        "member" => names.get(subject).and_then(|member| member.name.as_deref()).unwrap_or(subject),
        _ => subject,
    };
    Some(Confirm {
        title: frame.with("limits-clear-title", named),
        text: frame.t("limits-clear-text"),
        action: bare.link(),
        fields: vec![
            ("act", "clear".to_owned()),
            ("scope", scope.to_owned()),
            ("subject", subject.to_owned()),
        ],
        submit: frame.t("limits-clear"),
        cancel: bare.link(),
    })
}
