//! Who belongs to the organization: the list of members, and the forms that change one of them.

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_organization::client_organization::{
    Change, Error as OrganizationError, MemberForm, MemberModel, MemberPatch, MemberQuery, MemberRole,
    MemberSource, openrouter_user_id,
};
use mai_primitives::{UserId, text::sortable};
use serde::Deserialize;

use super::{Here, choices};
use crate::{
    api::ApiError,
    dashboard::{
        figures::Notice,
        format,
        forms::{Confirm, onward},
        frame::{Frame, Link, Tab},
        table::{Head, Pager, Search, Sortable, Sorting, paged},
        told::{Told, answer, on_page},
        visit::Visit,
    },
};

mod accounts;
mod import;
mod mappings;
mod unassigned;

/// By what members are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Name,
    Email,
    Role,
    Added,
}

const COLUMNS: [Sortable<Sort>; 4] = [
    ("name", Sort::Name, false),
    ("email", Sort::Email, false),
    ("role", Sort::Role, false),
    ("added", Sort::Added, true),
];

const STATES: [(&str, &str); 3] =
    [("active", "members-active"), ("inactive", "members-inactive"), ("all", "members-all")];

/// What the list keeps when a form on it is sent.
const KEPT: [&str; 5] = ["search", "sort", "order", "page", "state"];

const DONE: [&str; 4] = ["member-added", "member-changed", "member-deactivated", "member-activated"];

const TEXTS: [(&str, &str); 4] = [
    ("user_id", "member-id-unfit"),
    ("email", "account-email-unfit"),
    ("name", "account-name-unfit"),
    ("already_exists", "member-taken"),
];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/members", web::get().to(async |visit: Visit| visit.answer(list).await))
        .route("/members/add", web::post().to(add))
        .route("/members/change", web::post().to(change))
        .route("/members/activity", web::post().to(switch))
        .configure(import::routes)
        .configure(mappings::routes)
        .configure(unassigned::routes)
        .configure(accounts::routes);
}

/// The pages of this tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Members,
    Import,
    Mappings,
    Unassigned,
    Accounts,
}

impl View {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Members, "", "tab-members"),
        (Self::Import, "/import", "members-import"),
        (Self::Mappings, "/mappings", "members-mappings"),
        (Self::Unassigned, "/unassigned", "members-unassigned"),
        (Self::Accounts, "/accounts", "members-accounts"),
    ];

    /// The links to all of them.
    fn links(self, here: &Here, frame: &Frame) -> Vec<Link> {
        let path = Tab::Members.path(&here.id);
        let link = |(view, end, key): (Self, &str, &str)| Link {
            href: format!("{path}{end}"),
            label: frame.language.text(key),
            is_current: view == self,
        };
        Self::ALL.into_iter().map(link).collect()
    }
}

/// A member, as the form has it.
#[derive(Default, Deserialize)]
struct Form {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    user_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    role: String,
    /// Whether the member is to belong to the organization, where only that changes.
    #[serde(default)]
    active: String,
}

/// The form of one member, new or known.
struct Edited {
    is_new: bool,
    form: Form,
    /// What OpenRouter gets as `user`, and further ids; of a known one.
    facts: Vec<(String, String)>,
    cancel: String,
}

#[derive(Template)]
#[template(path = "members.html")]
struct Page {
    frame: Frame,
    views: Vec<Link>,
    notices: Vec<Notice>,
    confirm: Option<Confirm>,
    edited: Option<Edited>,
    /// Where the form of a new member is.
    new: String,
    states: Vec<Link>,
    search: Search,
    heads: Vec<Head>,
    rows: Vec<Row>,
    pager: Pager,
    count: String,
    /// Whether the organization has no member at all.
    is_empty: bool,
    action: String,
    query: String,
}

struct Row {
    id: String,
    name: String,
    email: String,
    role: String,
    source: String,
    is_active: bool,
    added: String,
    edit: String,
    deactivate: String,
}

async fn list(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Members).await?;
    show(visit, here, Told::default(), None).await
}

/// The page with what became of a form, and with the form as it was typed.
async fn show(
    visit: &Visit,
    here: Here,
    told: Told,
    typed: Option<Edited>,
) -> Result<HttpResponse, ApiError> {
    let frame = here.frame(visit).await?;
    let sorting = Sorting::of(&visit.address, &COLUMNS)?;
    let (is_active, code) = match visit.address.get("state") {
        None | Some("active") => (Some(true), "active"),
        Some("inactive") => (Some(false), "inactive"),
        Some("all") => (None, "all"),
        Some(_) => return Err(ApiError::field("state", "must be active, inactive or all")),
    };
    let search = visit.address.get("search").map(str::to_owned);
    let is_filtered = search.is_some() || is_active == Some(false);
    let query = MemberQuery { search, is_active, ..MemberQuery::default() };
    let mut members = visit.api.services.member_db.search(&here.id, query).await?;
    sort(&mut members, sorting);
    let count = i64::try_from(members.len()).unwrap_or(i64::MAX);
    let edited = match typed {
        Some(typed) => Some(typed),
        None => edited(visit, &frame, &here).await?,
    };
    let confirm = confirm(visit, &frame, &here).await?;
    let (shown, pager) = paged(members, &visit.address, &frame)?;
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [name, email, role, added] = COLUMNS;
    let page = Page {
        views: View::Members.links(&here, &frame),
        notices: told.notices(visit, &frame, &DONE, &TEXTS)?,
        confirm,
        edited,
        new: visit.address.with(&[("add", "member"), ("edit", ""), ("confirm", ""), ("done", "")]).link(),
        states: choices(visit, "state", code, &STATES),
        search: Search::of(visit, &frame.t("users-search")),
        heads: vec![
            head("name", name),
            head("email", email),
            head("people-role", role),
            Head::plain(frame.t("member-source"), false),
            Head::plain(frame.t("people-state"), false),
            head("member-added-on", added),
            Head::plain(frame.t("people-actions"), true),
        ],
        rows: shown.into_iter().map(|row| shown_row(visit, &frame, &here, row)).collect(),
        pager,
        count: frame.language.count("members-count", count),
        is_empty: count == 0 && !is_filtered,
        action: visit.address.path().to_owned(),
        query: kept(visit),
        frame,
    };
    answer(&page, told.refusal)
}

/// The query with which a form of the list is sent, so that one comes back to the same place.
fn kept(visit: &Visit) -> String {
    visit.address.sharing("", &KEPT).link()
}

/// Equal ones stay by name; whoever lacks what is sorted by comes last.
fn sort(members: &mut [MemberModel], sorting: Sorting<Sort>) {
    let text = |text: Option<&str>| (text.is_none(), sortable(text.unwrap_or_default()));
    members.sort_by_cached_key(|row| text(row.name.as_deref()));
    match sorting.by {
        Sort::Name => {}
        Sort::Email => members.sort_by_cached_key(|row| text(row.email.as_deref())),
        Sort::Role => members.sort_by_key(|row| row.role.as_str()),
        Sort::Added => members.sort_by_key(|row| row.created_at),
    }
    if sorting.is_descending {
        members.reverse();
    }
}

/// The text of a role of members.
fn role_text(role: MemberRole) -> &'static str {
    match role {
        MemberRole::Admin => "role-admin",
        MemberRole::Member => "role-member",
        MemberRole::Pending => "role-pending",
    }
}

fn shown_row(visit: &Visit, frame: &Frame, here: &Here, row: MemberModel) -> Row {
    let id = row.user_id.to_string();
    let link =
        |name| visit.address.with(&[("done", ""), ("add", ""), ("edit", ""), ("confirm", ""), (name, &id)]);
    Row {
        name: row.name.unwrap_or_else(|| id.clone()),
        email: row.email.unwrap_or_default(),
        role: frame.t(role_text(row.role)),
        source: frame.language.text(match row.source {
            MemberSource::Gateway => "member-source-gateway",
            MemberSource::OpenWebui => "member-source-open-webui",
            MemberSource::Csv => "member-source-csv",
            MemberSource::Api => "member-source-api",
            MemberSource::Demo => "member-source-demo",
        }),
        is_active: row.is_active,
        added: here
            .organization
            .calendar
            .day_at(row.created_at)
            .map_or_else(|| "–".to_owned(), |day| format::date(frame.language, day)),
        edit: link("edit").link(),
        deactivate: link("confirm").link(),
        id,
    }
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
async fn edited(visit: &Visit, frame: &Frame, here: &Here) -> Result<Option<Edited>, ApiError> {
    let cancel = visit.address.with(&[("add", ""), ("edit", ""), ("confirm", ""), ("done", "")]).link();
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

async fn confirm(visit: &Visit, frame: &Frame, here: &Here) -> Result<Option<Confirm>, ApiError> {
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
fn filled(text: &str) -> Option<String> {
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
        let is_active = form.active == "true";
        let patch = MemberPatch { is_active: Some(is_active), ..MemberPatch::default() };
        let members = here.caller.services(&visit.api).member_db;
        members.update(&here.id, &form.user()?, patch).await?;
        let done = if is_active { "member-activated" } else { "member-deactivated" };
        Ok(onward(&visit.address, done))
    };
    visit.answer(work).await
}
