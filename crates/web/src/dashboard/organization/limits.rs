//! Limits of a month: of the organization, of its members and of its models; beside them its keys.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_billing::{BillingMonth, LimitState, limits::LimitStanding};
use mai_organization::client_organization::{LimitSubject, MemberModel};
use mai_primitives::{Usd, display};

use super::{Here, choices};
use crate::{
    api::{ApiError, limits as service, model_pricing::is_in_catalogue},
    dashboard::{
        address::{Address, encoded_part},
        figures::{Notice, Tile},
        format,
        forms::{Confirm, done},
        frame::{Frame, Link, Tab},
        table::{Head, Pager, Search, Sortable, Sorting, paged},
        visit::{Visit, page_as},
    },
};

mod change;
mod keys;
mod provider_key;
pub(super) mod standing;

use self::{change::Typed, standing::Standing};

/// How many members and models a field proposes; any other can be typed.
const PROPOSED: usize = 200;

/// By what limits are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Percent,
    Name,
    Used,
    Limit,
}

const COLUMNS: [Sortable<Sort>; 4] = [
    ("percent", Sort::Percent, true),
    ("name", Sort::Name, false),
    ("used", Sort::Used, true),
    ("limit", Sort::Limit, true),
];

const KINDS: [(&str, &str); 3] =
    [("all", "limits-all"), ("member", "limits-members"), ("model", "limits-models")];

/// What the page may say was done.
const DONE: [&str; 5] =
    ["limits-set", "limits-set-unknown", "limits-cleared", "limits-own-set", "limits-own-cleared"];

/// Limits, gateway keys and the provider key.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/limits").route(web::get().to(show)).route(web::post().to(change::change)))
        .service(web::resource("/keys").route(web::get().to(keys::show)).route(web::post().to(keys::change)))
        .service(
            web::resource("/provider-key")
                .route(web::get().to(provider_key::show))
                .route(web::post().to(provider_key::change)),
        );
}

/// A part of the tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Limits,
    Keys,
    ProviderKey,
}

impl View {
    /// Where it is.
    fn path(self, here: &Here) -> String {
        let segment = match self {
            Self::Limits => "limits",
            Self::Keys => "keys",
            Self::ProviderKey => "provider-key",
        };
        format!("/organizations/{}/{segment}", encoded_part(here.id.as_str()))
    }

    /// The switch of the tab. The provider key is the reseller's.
    fn links(self, visit: &Visit, here: &Here) -> Vec<Link> {
        let mut all = vec![(Self::Limits, "limits-view"), (Self::Keys, "keys-title")];
        if here.caller.is_reseller() {
            all.push((Self::ProviderKey, "provider-key-title"));
        }
        let link = |(view, key): (Self, &str)| Link {
            href: view.path(here),
            label: visit.language.text(key),
            is_current: view == self,
        };
        all.into_iter().map(link).collect()
    }
}

#[derive(Template)]
#[template(path = "limits.html")]
struct Page {
    frame: Frame,
    views: Vec<Link>,
    month: String,
    previous: Link,
    next: Option<Link>,
    notices: Vec<Notice>,
    confirm: Option<Confirm>,
    tiles: Vec<Tile>,
    kinds: Vec<Link>,
    search: Search,
    heads: Vec<Head>,
    rows: Vec<Row>,
    pager: Pager,
    count: String,
    /// Whether there is no limit of a member or a model at all.
    is_bare: bool,
    /// Where forms go.
    action: String,
    typed: Typed,
    proposed: Vec<(String, String)>,
    /// Where the organization's own limit can be taken away; none where there is none.
    clear_own: Option<String>,
    own_limit: String,
}

struct Row {
    name: String,
    under: String,
    is_model: bool,
    used: String,
    pending: String,
    in_flight: String,
    limit: String,
    standing: Standing,
    edit: String,
    clear: String,
}

/// The page.
async fn show(visit: Visit) -> HttpResponse {
    let work = async |visit: &Visit| {
        let here = Here::open(visit, Tab::Limits).await?;
        let typed = Typed::of_address(visit, &here).await?;
        let notices = done(visit, &DONE).into_iter().collect();
        render(visit, &here, typed, notices, HttpResponse::Ok().finish()).await
    };
    visit.answer(work).await
}

/// The page without what was asked on it.
fn bare(visit: &Visit) -> Address {
    visit.address.with(&[("edit", ""), ("clear", ""), ("subject", "")])
}

async fn render(
    visit: &Visit,
    here: &Here,
    typed: Typed,
    mut notices: Vec<Notice>,
    answer: HttpResponse,
) -> Result<HttpResponse, ApiError> {
    let sorting = Sorting::of(&visit.address, &COLUMNS)?;
    let (month, states) = service::read(&visit.api, &here.id, visit.address.get("month")).await?;
    let members = visit.api.services.member_db.list(&here.id).await?;
    let frame = here.frame(visit).await?;
    let present = BillingMonth::of(here.today);
    if month == present {
        notices.extend(standing::used_up(&frame, month, &states));
    } else {
        notices.push(Notice { kind: "info", text: frame.t("limits-other-month") });
    }
    let own = states.iter().find(|state| state.subject == LimitSubject::Organization);
    let link = |month: BillingMonth| Link {
        href: visit.address.with(&[("month", &month.to_string()), ("page", "")]).link(),
        label: format::month(frame.language, month.first()),
        is_current: false,
    };
    let kind = kind(&visit.address)?;
    let names: HashMap<&str, &MemberModel> = members.iter().map(|one| (one.user_id.as_str(), one)).collect();
    let others = states.iter().filter(|state| state.subject != LimitSubject::Organization);
    let is_bare = others.clone().next().is_none();
    let mut wanted: Vec<Named<'_>> = others.map(|state| Named::of(state, &names)).collect();
    let text = visit.address.get("search").map(str::to_lowercase).unwrap_or_default();
    wanted.retain(|named| (kind == "all" || named.state.subject.scope() == kind) && named.has(&text));
    sort(&mut wanted, sorting);
    let count = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
    let (shown, pager) = paged(wanted, &visit.address, &frame)?;
    let bare = bare(visit);
    let page_ = Page {
        views: View::Limits.links(visit, here),
        month: format::month(frame.language, month.first()),
        previous: link(month.before()),
        next: (month < present).then(|| link(month.after())),
        confirm: change::confirm(visit, &frame, here, &bare, &names),
        tiles: tiles(&frame, visit, here, month, &states),
        kinds: choices(visit, "kind", kind, &KINDS),
        search: Search::of(visit, &frame.t("limits-search")),
        heads: heads(visit, &frame, sorting),
        rows: shown.into_iter().map(|named| row(visit, &frame, &bare, &named)).collect(),
        pager,
        count: frame.language.count("limits-count", count),
        is_bare,
        action: bare.link(),
        proposed: proposed(visit, &members),
        clear_own: own.map(|_| bare.with(&[("clear", "organization")]).link()),
        own_limit: own.map_or_else(|| frame.t("tile-no-limit"), |state| display::usd(state.limit)),
        notices,
        typed,
        frame,
    };
    page_as(&page_, answer)
}

fn kind(address: &Address) -> Result<&'static str, ApiError> {
    let asked = address.get("kind").unwrap_or("all");
    let found = KINDS.iter().find(|(code, _)| *code == asked);
    found.map(|(code, _)| *code).ok_or_else(|| ApiError::field("kind", "must be all, member or model"))
}

fn heads(visit: &Visit, frame: &Frame, sorting: Sorting<Sort>) -> Vec<Head> {
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [percent, name, used, limit] = COLUMNS;
    vec![
        head("limits-subject", name),
        head("limits-used", used),
        Head::plain(frame.t("limits-pending"), true),
        Head::plain(frame.t("limits-in-flight"), true),
        head("limits-limit", limit),
        head("limits-percent", percent),
        Head::plain(frame.t("limits-state"), false),
        Head::plain(frame.t("limits-actions"), true),
    ]
}

/// A limit with what people call its member or model.
struct Named<'a> {
    state: &'a LimitState,
    /// The member's user id, or the name of the model.
    subject: &'a str,
    member: Option<&'a MemberModel>,
}

impl<'a> Named<'a> {
    fn of(state: &'a LimitState, members: &HashMap<&str, &'a MemberModel>) -> Self {
        let subject = state.subject.name().unwrap_or_default();
        let is_member = matches!(state.subject, LimitSubject::Member(_));
        Self { state, subject, member: members.get(subject).copied().filter(|_| is_member) }
    }

    fn name(&self) -> &str {
        self.member.and_then(|member| member.name.as_deref()).unwrap_or(self.subject)
    }

    fn email(&self) -> Option<&str> {
        self.member.and_then(|member| member.email.as_deref())
    }

    fn has(&self, text: &str) -> bool {
        let texts = [self.subject, self.name(), self.email().unwrap_or_default()];
        texts.into_iter().any(|one| one.to_lowercase().contains(text))
    }
}

/// Equal ones stay by name.
fn sort(limits: &mut [Named<'_>], sorting: Sorting<Sort>) {
    limits.sort_by_cached_key(|named| named.name().to_lowercase());
    let descending = sorting.is_descending;
    let turned = |order: std::cmp::Ordering| if descending { order.reverse() } else { order };
    limits.sort_by(|one, other| {
        turned(match sorting.by {
            Sort::Name => one.name().to_lowercase().cmp(&other.name().to_lowercase()),
            Sort::Percent => one.state.percent().cmp(&other.state.percent()),
            Sort::Used => one.state.spent.cmp(&other.state.spent),
            Sort::Limit => one.state.limit.cmp(&other.state.limit),
        })
    });
}

fn row(visit: &Visit, frame: &Frame, bare: &Address, named: &Named<'_>) -> Row {
    let (state, subject) = (named.state, named.subject);
    let scope = state.subject.scope();
    let under = named.email().unwrap_or(subject);
    Row {
        name: named.name().to_owned(),
        under: if under == named.name() { String::new() } else { under.to_owned() },
        is_model: matches!(state.subject, LimitSubject::Model(_)),
        used: display::usd(state.spent),
        pending: display::usd(state.pending),
        in_flight: display::usd(service::in_flight(&visit.api, state)),
        limit: display::usd(state.limit),
        standing: Standing::of(frame, state),
        edit: bare.with(&[("edit", scope), ("subject", subject)]).link(),
        clear: bare.with(&[("clear", scope), ("subject", subject)]).link(),
    }
}

fn tiles(frame: &Frame, visit: &Visit, here: &Here, month: BillingMonth, states: &[LimitState]) -> Vec<Tile> {
    let mut tiles = Vec::new();
    match states.iter().find(|state| state.subject == LimitSubject::Organization) {
        None => {
            let (figure, note) = (frame.t("tile-no-limit"), frame.t("tile-no-limit-note"));
            tiles.push(Tile::new(frame.t("limits-own"), figure, note));
        }
        Some(state) => {
            tiles.push(standing::tile(frame, frame.t("limits-own"), state));
            let (pending, in_flight) = (state.pending, service::in_flight(&visit.api, state));
            let held = Usd::from_nanos(pending.nanos().saturating_add(in_flight.nanos()));
            let (pending, in_flight) = (display::usd(pending), display::usd(in_flight));
            let note = [("pending", pending.as_str()), ("flight", in_flight.as_str())];
            let note = frame.language.with_all("limits-held-note", &note);
            tiles.push(Tile::new(frame.t("limits-held"), display::usd(held), note));
        }
    }
    let stand = |wanted| states.iter().filter(|state| state.standing() == wanted).count();
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let near = frame.language.count("limits-near", number(stand(LimitStanding::Warning)));
    let reached = frame.number(number(stand(LimitStanding::Reached)));
    let zone = frame.with("limits-renewed-note", here.organization.calendar.zone());
    tiles.push(Tile::new(frame.t("limits-reached-count"), reached, near));
    tiles.push(Tile::new(frame.t("limits-renewed"), standing::renewal(frame, month), zone));
    tiles
}

/// Active members, and the models that are offered: what goes into the field and what is said about it.
fn proposed(visit: &Visit, members: &[MemberModel]) -> Vec<(String, String)> {
    let active = members.iter().filter(|member| member.is_active);
    let mut proposed: Vec<_> = active
        .map(|member| {
            let said = member.name.as_deref().or(member.email.as_deref()).unwrap_or_default();
            (member.user_id.to_string(), said.to_owned())
        })
        .take(PROPOSED)
        .collect();
    let prices = visit.api.model_prices.prices().current();
    let offered = prices.models().iter().filter(|model| is_in_catalogue(model));
    proposed.extend(offered.map(|model| (model.id.to_string(), model.name.clone())).take(PROPOSED));
    proposed
}
