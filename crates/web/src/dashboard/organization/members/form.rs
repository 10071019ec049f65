//! The forms that change one member.

use actix_web::{HttpResponse, web};
use mai_organization::client_organization::{
    Change, Error as OrganizationError, MemberForm, MemberModel, MemberPatch, MemberRole, MemberSource,
    openrouter_user_id,
};
use mai_primitives::UserId;
use serde::Deserialize;

use super::{super::Here, KEPT, kept, show};
use crate::{
    api::ApiError,
    dashboard::{
        forms::{Confirm, onward, yes_or_no},
        frame::{Frame, Tab},
        told::{Told, on_page},
        visit::Visit,
    },
};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/members/add", web::post().to(add))
        .route("/members/change", web::post().to(change))
        .route("/members/activity", web::post().to(switch));
}

/// A member, as the form has it.
#[derive(Default, Deserialize)]
pub(super) struct Form {
    #[serde(default)]
    pub(super) csrf_token: String,
    #[serde(default)]
    pub(super) user_id: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) email: String,
    #[serde(default)]
    pub(super) role: String,
    /// Whether the member is to belong to the organization, where only that changes.
    #[serde(default)]
    pub(super) active: String,
}

/// The form of one member, new or known.
pub(super) struct Edited {
    pub(super) is_new: bool,
    pub(super) form: Form,
    /// What OpenRouter gets as `user`, and further ids; of a known one.
    pub(super) facts: Vec<(String, String)>,
    pub(super) cancel: String,
}

/// The member that a value of the address names.
async fn named(visit: &Visit, here: &Here, value: &str) -> Result<Option<MemberModel>, ApiError> {
    let Some(id) = visit.address.get(value) else { return Ok(None) };
    let unknown = || ApiError::not_found("there is no such member");
    let user = UserId::new(id).map_err(|_| unknown())?;
    let row = visit.api.services.member_db.get(&here.id, &user).await?;
    row.map(Some).ok_or_else(unknown)
}

/// The form that the address asks for, if any.
pub(super) async fn edited(visit: &Visit, frame: &Frame, here: &Here) -> Result<Option<Edited>, ApiError> {
    let cancel = visit.address.with(&[("add", ""), ("edit", ""), ("confirm", "")]).link();
    if visit.address.get("add").is_some() {
        return Ok(Some(Edited { is_new: true, form: Form::default(), facts: Vec::new(), cancel }));
    }
    let Some(row) = named(visit, here, "edit").await? else { return Ok(None) };
    let services = &visit.api.services;
    let mapping = services.user_client_mapping_db.get_mapping(&here.id, &row.user_id).await?;
    let mapped = mapping.filter(|mapping| mapping.is_active).map(|mapping| mapping.openrouter_user_id);
    let openrouter_user = match mapped {
        Some(id) => id,
        None => openrouter_user_id(&here.id, &row.user_id).map_err(OrganizationError::from)?,
    };
    let mut facts = vec![(frame.t("openrouter-user"), openrouter_user.to_string())];
    let further = services.member_db.external_ids(&here.id, &row.user_id).await?;
    facts.extend(further.iter().map(|id| (frame.t("further-id"), id.to_string())));
    let form = Form {
        user_id: row.user_id.to_string(),
        name: row.name.unwrap_or_default(),
        email: row.email.unwrap_or_default(),
        role: row.role.as_str().to_owned(),
        ..Form::default()
    };
    Ok(Some(Edited { is_new: false, form, facts, cancel }))
}

/// The question that the address asks for, if any.
pub(super) async fn confirm(visit: &Visit, frame: &Frame, here: &Here) -> Result<Option<Confirm>, ApiError> {
    let Some(row) = named(visit, here, "confirm").await? else { return Ok(None) };
    let id = row.user_id.to_string();
    Ok(Some(Confirm {
        title: frame.with("member-deactivate-title", row.name.as_deref().unwrap_or(&id)),
        text: frame.with("member-deactivate-text", &id),
        action: format!("{}/activity{}", visit.address.path(), kept(visit)),
        fields: vec![("user_id", id), ("active", "false".to_owned())],
        submit: frame.t("people-deactivate"),
        cancel: visit.address.with(&[("confirm", "")]).link(),
    }))
}

impl Form {
    fn user(&self) -> Result<UserId, ApiError> {
        UserId::new(self.user_id.trim()).map_err(|error| ApiError::field("user_id", error))
    }

    fn role(&self) -> Result<MemberRole, ApiError> {
        self.role.parse().map_err(|reason: String| ApiError::field("role", reason))
    }
}

/// What was written into a field that may stay empty.
pub(super) fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A form that was refused, as it was typed.
async fn again(
    visit: &Visit,
    here: Here,
    is_new: bool,
    form: Form,
    refusal: ApiError,
) -> Result<HttpResponse, ApiError> {
    let edited = Edited { is_new, form, facts: Vec::new(), cancel: visit.address.link() };
    show(visit, here, Told::refused(refusal), Some(edited)).await
}

async fn add(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let form = form.into_inner();
        let here = Here::sent(visit, Tab::Members, &form.csrf_token).await?;
        let made = async {
            let new = MemberForm {
                user_id: form.user()?,
                name: filled(&form.name),
                email: filled(&form.email),
                role: form.role()?,
                source: MemberSource::Api,
                is_active: true,
            };
            Ok::<_, ApiError>(here.caller.services(&visit.api).member_db.create(&here.id, new).await?)
        };
        match made.await {
            Ok(_) => Ok(onward(&visit.address, "member-added")),
            Err(refusal) => again(visit, here, true, form, refusal).await,
        }
    };
    visit.answer(work).await
}

async fn change(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let form = form.into_inner();
        let here = Here::sent(visit, Tab::Members, &form.csrf_token).await?;
        let text = |text: &str| filled(text).map_or(Change::Clear, Change::Set);
        let changed = async {
            let patch = MemberPatch {
                name: text(&form.name),
                email: text(&form.email),
                role: Some(form.role()?),
                is_active: None,
            };
            let members = here.caller.services(&visit.api).member_db;
            Ok::<_, ApiError>(members.update(&here.id, &form.user()?, patch).await?)
        };
        match changed.await {
            Ok(_) => Ok(onward(&visit.address, "member-changed")),
            Err(refusal) => again(visit, here, false, form, refusal).await,
        }
    };
    visit.answer(work).await
}

async fn switch(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let here = Here::sent(visit, Tab::Members, &form.csrf_token).await?;
        let is_active = yes_or_no("active", &form.active)?;
        let patch = MemberPatch { is_active: Some(is_active), ..MemberPatch::default() };
        let members = here.caller.services(&visit.api).member_db;
        members.update(&here.id, &form.user()?, patch).await?;
        let done = if is_active { "member-activated" } else { "member-deactivated" };
        Ok(onward(&visit.address, done))
    };
    visit.answer(work).await
}
