//! The ids under which OpenRouter knows the members.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_organization::client_organization::{
    MemberModel, UserClientMappingForm, UserClientMappingModel, UserClientMappingPatch,
};
use mai_primitives::{OpenRouterUserId, UserId, text::sortable};
use serde::Deserialize;

use super::{super::Here, View, form::filled};
use crate::{
    api::ApiError,
    dashboard::{
        figures::Notice,
        format,
        forms::{Confirm, onward},
        frame::{Frame, Link, Tab},
        table::{Pager, Search, paged},
        told::{Told, answer, on_page},
        visit::Visit,
    },
};

const KEPT: [&str; 2] = ["search", "page"];
const DONE: [&str; 2] = ["mapping-made", "mapping-removed"];
const TEXTS: [(&str, &str); 3] = [
    ("user_id", "member-id-unfit"),
    ("openrouter_user_id", "mapping-id-unfit"),
    ("already_exists", "mapping-taken"),
];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/members/mappings", web::get().to(async |visit: Visit| visit.answer(list).await))
        .route("/members/mappings/add", web::post().to(add))
        .route("/members/mappings/remove", web::post().to(remove));
}

#[derive(Default, Deserialize)]
struct Form {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    user_id: String,
    #[serde(default)]
    openrouter_user_id: String,
}

#[derive(Template)]
#[template(path = "member_mappings.html")]
struct Page {
    frame: Frame,
    views: Vec<Link>,
    notices: Vec<Notice>,
    confirm: Option<Confirm>,
    search: Search,
    rows: Vec<Row>,
    pager: Pager,
    count: String,
    typed: Form,
    action: String,
}

struct Row {
    name: String,
    user: String,
    openrouter_user: String,
    since: String,
    remove: String,
}

async fn list(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Members).await?;
    show(visit, &here, Told::default(), Form::default()).await
}

async fn show(visit: &Visit, here: &Here, told: Told, typed: Form) -> Result<HttpResponse, ApiError> {
    let frame = here.frame_titled(visit, "members-mappings").await?;
    let services = &visit.api.services;
    let members = services.member_db.list(&here.id).await?;
    let names: HashMap<UserId, MemberModel> =
        members.into_iter().map(|member| (member.user_id.clone(), member)).collect();
    let name = |row: &UserClientMappingModel| {
        let member = names.get(&row.user_id);
        member.and_then(|member| member.name.clone()).unwrap_or_else(|| row.user_id.to_string())
    };
    let wanted = visit.address.get("search").map(str::to_lowercase).unwrap_or_default();
    let mut found = services.user_client_mapping_db.get_client_users(&here.id).await?;
    let asked = visit.address.get("confirm");
    let asked = found.iter().find(|row| asked == Some(row.user_id.as_str()));
    let confirm = asked.map(|row| confirm(visit, &frame, row, &name(row)));
    found.retain(|row| {
        let texts = [name(row), row.user_id.to_string(), row.openrouter_user_id.to_string()];
        texts.iter().any(|text| text.to_lowercase().contains(&wanted))
    });
    found.sort_by_cached_key(|row| (sortable(&name(row)), row.user_id.clone()));
    let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let (shown, pager) = paged(found, &visit.address, &frame)?;
    let row = |row: UserClientMappingModel| Row {
        name: name(&row),
        since: format::instant(frame.language, here.organization.calendar, row.updated_at),
        remove: visit.address.with(&[("confirm", row.user_id.as_str())]).link(),
        user: row.user_id.to_string(),
        openrouter_user: row.openrouter_user_id.to_string(),
    };
    let page = Page {
        views: View::Mappings.links(here, &frame),
        notices: told.notices(visit, &frame, &DONE, &TEXTS)?,
        confirm,
        search: Search::of(visit, &frame.t("mappings-search")),
        rows: shown.into_iter().map(row).collect(),
        pager,
        count: frame.language.count("mappings-count", count),
        typed,
        action: visit.address.path().to_owned(),
        frame,
    };
    answer(&page, told.refusal)
}

fn confirm(visit: &Visit, frame: &Frame, row: &UserClientMappingModel, name: &str) -> Confirm {
    Confirm {
        title: frame.with("mapping-remove-title", name),
        text: frame.with("mapping-remove-text", row.openrouter_user_id.as_str()),
        action: format!("{}/remove", visit.address.path()),
        fields: vec![("user_id", row.user_id.to_string())],
        submit: frame.t("people-remove"),
        cancel: visit.address.with(&[("confirm", "")]).link(),
    }
}

/// Maps a user, or gives the mapping of the user another id; a removed one is used again.
async fn map(visit: &Visit, here: &Here, form: &Form) -> Result<(), ApiError> {
    let user_id = UserId::new(form.user_id.trim()).map_err(|error| ApiError::field("user_id", error))?;
    let id = filled(&form.openrouter_user_id).map(OpenRouterUserId::new).transpose();
    let openrouter_user_id = id.map_err(|error| ApiError::field("openrouter_user_id", error))?;
    let mappings = here.caller.services(&visit.api).user_client_mapping_db;
    if mappings.get_mapping(&here.id, &user_id).await?.is_some() {
        let patch = UserClientMappingPatch { openrouter_user_id, is_active: Some(true) };
        mappings.update_mapping(&here.id, &user_id, patch).await?;
    } else {
        let client_org_id = here.id.clone();
        mappings.create_mapping(UserClientMappingForm { user_id, client_org_id, openrouter_user_id }).await?;
    }
    Ok(())
}

async fn add(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let form = form.into_inner();
        let here = Here::sent(visit, Tab::Members, &form.csrf_token).await?;
        match map(visit, &here, &form).await {
            Ok(()) => Ok(onward(&visit.address, "mapping-made")),
            Err(refusal) => show(visit, &here, Told::refused(refusal), form).await,
        }
    };
    visit.answer(work).await
}

async fn remove(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let here = Here::sent(visit, Tab::Members, &form.csrf_token).await?;
        let unknown = || ApiError::not_found("the user has no active mapping");
        let user = UserId::new(&form.user_id).map_err(|_| unknown())?;
        let mappings = here.caller.services(&visit.api).user_client_mapping_db;
        if !mappings.deactivate_mapping(&here.id, &user).await? {
            return Err(unknown());
        }
        Ok(onward(&visit.address, "mapping-removed"))
    };
    visit.answer(work).await
}
