//! Generations whose cost is not known yet, of all organizations.

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_organization::generation_processing::{
    PendingGenerationModel, PendingState,
    pending::{PendingQuery, PendingReason, count_by_state, find_pending},
    query::find,
};
use mai_primitives::{GenerationId, OrganizationCalendar, OrganizationId, UnixTime, display};

use super::{frame, generation, open};
use crate::{
    api::{ApiError, caller::unknown_organization, paging},
    dashboard::{
        address::{Address, encoded_part},
        cursor::{self, CURSOR, Leafing},
        figures::{Notice, Tile},
        format,
        forms::done,
        frame::{Frame, Link, ResellerTab},
        visit::{Visit, page, redirect},
    },
};

/// What the list keeps of its address when something is done in it.
pub(super) const KEPT: [&str; 3] = ["state", "organization", CURSOR];

const STATES: [(&str, &str); 3] =
    [("", "gen-all"), ("pending", "gen-waiting"), ("unresolved", "gen-unresolved")];

/// What pages of generations tell of a change.
pub(super) const DONE: [&str; 3] = ["gen-done-look-up", "gen-done-settle", "gen-done-dismiss"];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/generations", web::get().to(async |visit: Visit| visit.answer(show).await))
        .configure(generation::routes);
}

#[derive(Template)]
#[template(path = "generations.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    tiles: Vec<Tile>,
    states: Vec<Link>,
    organizations: Vec<Choice>,
    /// What the form for an organization keeps.
    kept: Vec<(String, String)>,
    /// The id that was searched for.
    id: String,
    rows: Vec<Row>,
    leafing: Leafing,
    is_filtered: bool,
}

/// An organization that can be chosen.
pub(super) struct Choice {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) is_chosen: bool,
}

struct Row {
    id: String,
    href: String,
    organization: String,
    user: String,
    model: String,
    since: String,
    at: String,
    state: (&'static str, String),
    reason: String,
    attempts: String,
    error: Option<String>,
    next: Option<String>,
    reserved: String,
    /// Where a look-up is asked for, if one can help.
    look_up: Option<String>,
}

/// Where a page of generations begins: when the one before began, its id, and its organization.
type Place = (i64, String, String);

async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = open(visit).await?;
    if let Some(id) = visit.address.get("id")
        && let Some(found) = search(visit, id).await?
    {
        return Ok(redirect(&found.link()));
    }
    let state = match visit.address.get("state") {
        None => None,
        Some("pending") => Some(PendingState::Pending),
        Some("unresolved") => Some(PendingState::Unresolved),
        Some(_) => return Err(ApiError::field("state", "must be pending or unresolved")),
    };
    let organization = visit.address.get("organization").map(OrganizationId::new).transpose();
    let organization = organization.map_err(|_| unknown_organization())?;
    let query = PendingQuery {
        organization: organization.clone(),
        state,
        after: cursor::asked(visit).map(after).transpose()?,
        limit: cursor::rows_to_read(),
    };
    let rows = visit.api.services.processed_generation_db.pending_page(query).await?;
    let (rows, leafing) = cursor::cut(&visit.address, rows, |row| -> Place {
        (row.started_at.seconds(), row.id.to_string(), row.client_org_id.to_string())
    })?;
    let counts = visit.api.storage.read(count_by_state).await?;
    let count = |state| counts.get(&state).copied().unwrap_or_default();
    let mut frame = frame(visit, &caller, ResellerTab::Generations).await?;
    frame.is_live = true;
    let tile =
        |key: &str, state, note: &str| Tile::new(frame.t(key), frame.number(count(state)), frame.t(note));
    let tiles = vec![
        tile("gen-waiting", PendingState::Pending, "gen-waiting-note"),
        tile("gen-unresolved", PendingState::Unresolved, "gen-unresolved-note"),
    ];
    let mut notices: Vec<Notice> = done(visit, &DONE).into_iter().collect();
    if visit.address.get("id").is_some() {
        notices.push(Notice { kind: "warning", text: frame.t("gen-not-found") });
    }
    let code = visit.address.get("state").unwrap_or_default();
    let link = |(value, key): (&str, &str)| Link {
        href: visit.address.with(&[("state", value), (CURSOR, "")]).link(),
        label: frame.t(key),
        is_current: value == code,
    };
    let page_ = Page {
        notices,
        tiles,
        states: STATES.map(link).into(),
        organizations: choices(visit, organization.as_ref()),
        kept: visit.address.fields(&["organization", CURSOR, "id"]),
        id: visit.address.get("id").unwrap_or_default().to_owned(),
        rows: rows.into_iter().map(|row| self::row(visit, &frame, row)).collect(),
        leafing,
        is_filtered: state.is_some() || organization.is_some(),
        frame,
    };
    page(&page_)
}

fn after(cursor: &str) -> Result<(UnixTime, GenerationId, OrganizationId), ApiError> {
    let (started_at, id, organization): Place = paging::decode(cursor)?;
    let wrong = |_| ApiError::field(CURSOR, "is no place in the list");
    let (id, organization) = (GenerationId::new(id), OrganizationId::new(organization));
    Ok((UnixTime::from_seconds(started_at), id.map_err(wrong)?, organization.map_err(wrong)?))
}

/// The organizations by name.
pub(super) fn choices(visit: &Visit, chosen: Option<&OrganizationId>) -> Vec<Choice> {
    let directory = visit.api.directory.current();
    let choice = |entry: &std::sync::Arc<_>| {
        let entry: &mai_organization::client_organization::OrganizationEntry = entry;
        Choice { id: entry.id.to_string(), name: entry.name.clone(), is_chosen: chosen == Some(&entry.id) }
    };
    let mut choices: Vec<Choice> = directory.organizations().map(choice).collect();
    choices.sort_by_cached_key(|choice| (choice.name.to_lowercase(), choice.id.clone()));
    choices
}

/// The page of a generation, whosever it is; an id is unique within an organization only, and then the first by the
/// organization's name is it.
async fn search(visit: &Visit, id: &str) -> Result<Option<Address>, ApiError> {
    let Ok(id) = GenerationId::new(id) else { return Ok(None) };
    let organizations: Vec<OrganizationId> =
        choices(visit, None).into_iter().filter_map(|choice| OrganizationId::new(choice.id).ok()).collect();
    let wanted = id.clone();
    let read = visit.api.storage.read(move |conn| {
        for organization in organizations {
            let is_there = find_pending(conn, &organization, &wanted)?.is_some()
                || find(conn, &organization, &wanted)?.is_some();
            if is_there {
                return Ok::<_, mai_storage::Error>(Some(organization));
            }
        }
        Ok(None)
    });
    Ok(read.await?.map(|organization| address(&organization, &id)))
}

/// Where the page of a generation is.
pub(super) fn address(organization: &OrganizationId, id: &GenerationId) -> Address {
    let (organization, id) = (encoded_part(organization.as_str()), encoded_part(id.as_str()));
    Address::to(format!("/reseller/generations/{organization}/{id}"))
}

/// The name and the calendar of an organization; of one that is not known here its id and the service's days.
pub(super) fn organization(visit: &Visit, id: &OrganizationId) -> (String, OrganizationCalendar) {
    match visit.known(id) {
        Ok(entry) => (entry.name.clone(), entry.calendar),
        Err(_) => (id.to_string(), visit.api.time_zone),
    }
}

fn row(visit: &Visit, frame: &Frame, row: PendingGenerationModel) -> Row {
    let (organization, calendar) = organization(visit, &row.client_org_id);
    let href = address(&row.client_org_id, &row.id).link();
    let at = |at| format::instant(frame.language, calendar, at);
    let waits = row.state == PendingState::Pending;
    Row {
        look_up: row
            .reason
            .can_be_looked_up()
            .then(|| visit.address.sharing(format!("{href}/look-up"), &KEPT).link()),
        since: format::ago(frame.language, visit.now(), row.started_at),
        at: at(row.started_at),
        state: state(frame, row.state),
        reason: frame.t(reason(row.reason)),
        attempts: frame.language.count("gen-attempts", row.attempts.into()),
        next: waits.then(|| frame.with("gen-next", &at(row.next_attempt_at))),
        reserved: row.reservation.map_or_else(|| "–".to_owned(), display::usd),
        user: row.user_id.to_string(),
        model: row.requested_model.map_or_else(|| frame.t("unknown"), |model| model.to_string()),
        id: row.id.to_string(),
        error: row.last_error,
        organization,
        href,
    }
}

/// The class and the word of a state.
pub(super) fn state(frame: &Frame, state: PendingState) -> (&'static str, String) {
    match state {
        PendingState::Pending => ("", frame.t("gen-state-pending")),
        PendingState::Unresolved => ("warn", frame.t("gen-state-unresolved")),
    }
}

/// Why a cost is not known.
pub(super) const fn reason(reason: PendingReason) -> &'static str {
    match reason {
        PendingReason::ClientGone => "gen-reason-client-gone",
        PendingReason::UpstreamCut => "gen-reason-upstream-cut",
        PendingReason::NoUsage => "gen-reason-no-usage",
        PendingReason::CostUnknown => "gen-reason-cost-unknown",
        PendingReason::Crash => "gen-reason-crash",
        PendingReason::ErrorEvent => "gen-reason-error-event",
        PendingReason::NoGenerationId => "gen-reason-no-id",
        PendingReason::NoAnswer => "gen-reason-no-answer",
        PendingReason::Unbookable => "gen-reason-unbookable",
        PendingReason::Conflict => "gen-reason-conflict",
    }
}
