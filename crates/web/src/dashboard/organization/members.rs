//! Who belongs to the organization: the list of members.

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_organization::client_organization::{MemberModel, MemberQuery, MemberRole, MemberSource};
use mai_primitives::text::sortable;

use self::form::Edited;
use super::{Here, choices};
use crate::{
    api::ApiError,
    dashboard::{
        figures::Notice,
        format,
        forms::Confirm,
        frame::{Frame, Link, Tab},
        table::{Head, Pager, Search, Sortable, Sorting, paged},
        told::{Told, answer},
        visit::Visit,
    },
};

mod accounts;
mod form;
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
        .configure(form::routes)
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
        None => form::edited(visit, &frame, &here).await?,
    };
    let confirm = form::confirm(visit, &frame, &here).await?;
    let (shown, pager) = paged(members, &visit.address, &frame)?;
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [name, email, role, added] = COLUMNS;
    let page = Page {
        views: View::Members.links(&here, &frame),
        notices: told.notices(visit, &frame, &DONE, &TEXTS)?,
        confirm,
        edited,
        new: visit.address.with(&[("add", "member"), ("edit", ""), ("confirm", "")]).link(),
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
    let link = |name| visit.address.with(&[("add", ""), ("edit", ""), ("confirm", ""), (name, &id)]);
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
