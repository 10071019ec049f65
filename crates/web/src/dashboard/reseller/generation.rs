//! One generation: what is known of it, and what a person can do where its cost is not.

use actix_web::{HttpResponse, HttpResponseBuilder, web};
use askama::Template;
use mai_organization::generation_processing::{
    AuditAction, GenerationAuditModel, PendingGenerationModel, PendingState, ProcessedGenerationModel,
    UsageSource, audit::audit_of, pending::find_pending, query::find,
};
use mai_primitives::{GenerationId, ModelName, OrganizationCalendar, OrganizationId, Usd, display};
use serde::Deserialize;

use super::{
    frame,
    generations::{self, DONE, KEPT, address},
    open, refusal_page, sent,
};
use crate::{
    api::{
        ApiError,
        caller::{Caller, unknown_organization},
        pending::{Charged, book},
    },
    dashboard::{
        figures::Notice,
        format,
        forms::{self, done, onward, refused},
        frame::{Frame, ResellerTab},
        told::on_page,
        visit::{Visit, page_as},
    },
};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route(
            "/generations/{organization}/{generation}",
            web::get().to(async |visit: Visit| visit.answer(async |visit: &Visit| show(visit).await).await),
        )
        .route("/generations/{organization}/{generation}/look-up", web::post().to(look_up))
        .route("/generations/{organization}/{generation}/settle", web::post().to(settle))
        .route("/generations/{organization}/{generation}/dismiss", web::post().to(dismiss));
}

#[derive(Template)]
#[template(path = "generation.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    id: String,
    here: String,
    organization: String,
    pending: Option<Pending>,
    booked: Vec<(String, String)>,
    history: Vec<Contradiction>,
    typed: Typed,
    /// Whether it is asked whether to dismiss it.
    confirms: bool,
}

/// A generation that waits.
struct Pending {
    state: (&'static str, String),
    facts: Vec<(String, String)>,
    can_be_looked_up: bool,
}

/// A row of the ledger's audit.
struct Contradiction {
    at: String,
    action: String,
    reason: String,
    booked: String,
    reported: String,
}

/// What somebody has typed.
#[derive(Default)]
struct Typed {
    cost: String,
    input_tokens: String,
    output_tokens: String,
    model: String,
    reason: String,
    /// Whether the reason was asked for.
    dismisses: bool,
}

/// Which generation a path names.
fn named(visit: &Visit) -> Result<(OrganizationId, GenerationId), ApiError> {
    let organization =
        OrganizationId::new(visit.part("organization")?).map_err(|_| unknown_organization())?;
    let id = GenerationId::new(visit.part("generation")?);
    Ok((organization, id.map_err(|_| ApiError::not_found("there is no such generation"))?))
}

async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = open(visit).await?;
    let notices = done(visit, &DONE).into_iter().collect();
    render(visit, &caller, Typed::default(), (notices, HttpResponse::Ok())).await
}

async fn render(
    visit: &Visit,
    caller: &Caller,
    mut typed: Typed,
    (notices, mut answer): (Vec<Notice>, HttpResponseBuilder),
) -> Result<HttpResponse, ApiError> {
    let (org, id) = named(visit)?;
    let (key, wanted) = (org.clone(), id.clone());
    let read = visit.api.storage.read(move |conn| {
        let (pending, booked) = (find_pending(conn, &key, &wanted)?, find(conn, &key, &wanted)?);
        Ok::<_, mai_storage::Error>((pending, booked, audit_of(conn, &key, &wanted)?))
    });
    let (pending, booked, history) = read.await?;
    if pending.is_none() && booked.is_none() && history.is_empty() {
        return Err(ApiError::not_found("there is no such generation"));
    }
    let (organization, calendar) = generations::organization(visit, &org);
    let mut frame = frame(visit, caller, ResellerTab::Generations).await?;
    frame.title = frame.t("gen-title");
    let model = pending.as_ref().and_then(|row| row.requested_model.as_ref());
    if typed.model.is_empty() {
        typed.model = model.map(ToString::to_string).unwrap_or_default();
    }
    let confirms = typed.dismisses || visit.address.get("confirm") == Some("dismiss");
    let page = Page {
        pending: pending.map(|row| waiting(visit, &frame, calendar, row)),
        booked: booked.map(|row| ledger(&frame, calendar, &row)).unwrap_or_default(),
        history: history.into_iter().map(|row| contradiction(&frame, calendar, row)).collect(),
        here: address(&org, &id).link(),
        id: id.to_string(),
        confirms,
        notices,
        organization,
        typed,
        frame,
    };
    page_as(&page, answer.finish())
}

fn waiting(
    visit: &Visit,
    frame: &Frame,
    calendar: OrganizationCalendar,
    row: PendingGenerationModel,
) -> Pending {
    let at = |at| format::instant(frame.language, calendar, at);
    let began =
        format!("{} ({})", at(row.started_at), format::ago(frame.language, visit.now(), row.started_at));
    let none = || "–".to_owned();
    let next = (row.state == PendingState::Pending).then(|| at(row.next_attempt_at));
    let facts = [
        ("gen-since", began),
        ("date", format::date(frame.language, row.generation_date)),
        ("user", row.user_id.to_string()),
        ("gen-asked", row.requested_model.map_or_else(none, |model| model.to_string())),
        ("gen-why", frame.t(generations::reason(row.reason))),
        ("gen-tried", frame.number(row.attempts.into())),
        ("gen-last-error", row.last_error.unwrap_or_else(none)),
        ("gen-next-attempt", next.unwrap_or_else(none)),
        ("gen-reserved", row.reservation.map_or_else(none, display::usd)),
        ("gen-key", row.gateway_key_id.unwrap_or_else(none)),
    ];
    Pending {
        state: generations::state(frame, row.state),
        facts: facts.map(|(key, value)| (frame.t(key), value)).into(),
        can_be_looked_up: row.reason.can_be_looked_up(),
    }
}

fn ledger(
    frame: &Frame,
    calendar: OrganizationCalendar,
    row: &ProcessedGenerationModel,
) -> Vec<(String, String)> {
    let at = |at| format::instant(frame.language, calendar, at);
    let tokens = |count: i64| {
        let shown = frame.number(count);
        if row.tokens_estimated { frame.with("tile-estimated", &shown) } else { shown }
    };
    let facts = [
        ("raw-cost", display::usd(row.total_cost)),
        ("client-price", display::usd(row.markup_cost)),
        ("gen-input", tokens(row.input_tokens)),
        ("gen-output", tokens(row.output_tokens)),
        ("model", row.model_name.to_string()),
        ("user", row.user_id.to_string()),
        ("date", format::date(frame.language, row.generation_date)),
        ("gen-began", at(row.started_at)),
        ("gen-booked-at", at(row.processed_at)),
        ("gen-source", frame.t(source(row.source))),
    ];
    facts.map(|(key, value)| (frame.t(key), value)).into()
}

/// Who told of a generation.
const fn source(source: UsageSource) -> &'static str {
    match source {
        UsageSource::Gateway => "gen-source-gateway",
        UsageSource::GenerationLookup => "gen-source-look-up",
        UsageSource::Broadcast => "gen-source-broadcast",
        UsageSource::Webhook => "gen-source-webhook",
        UsageSource::Manual => "gen-source-manual",
    }
}

fn contradiction(frame: &Frame, calendar: OrganizationCalendar, row: GenerationAuditModel) -> Contradiction {
    let side = |told: Option<UsageSource>, cost: Option<Usd>, tokens: (Option<i64>, Option<i64>)| {
        let parts = [
            told.map(|told| frame.t(source(told))),
            cost.map(display::usd),
            tokens.0.zip(tokens.1).map(|(input, output)| {
                let (input, output) = (frame.number(input), frame.number(output));
                frame.language.with_all("gen-tokens", &[("input", &input), ("output", &output)])
            }),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "–".to_owned() } else { parts.join(", ") }
    };
    Contradiction {
        at: format::instant(frame.language, calendar, row.created_at),
        action: frame.t(match row.action {
            AuditAction::Corrected => "gen-audit-corrected",
            AuditAction::Refused => "gen-audit-refused",
            AuditAction::Dismissed => "gen-audit-dismissed",
        }),
        reason: row.reason.unwrap_or_else(|| "–".to_owned()),
        booked: side(row.booked_source, row.booked_cost, (row.booked_input_tokens, row.booked_output_tokens)),
        reported: side(
            row.reported_source,
            row.reported_cost,
            (row.reported_input_tokens, row.reported_output_tokens),
        ),
    }
}

/// The page of a refusal, with what was typed.
async fn refuse(
    visit: &Visit,
    caller: &Caller,
    refusal: ApiError,
    typed: Typed,
) -> Result<HttpResponse, ApiError> {
    let (status, code) = (refusal.status, refusal.code);
    let texts = [
        ("cost", "gen-unfit-cost"),
        ("input_tokens", "gen-unfit-tokens"),
        ("output_tokens", "gen-unfit-tokens"),
        ("model", "gen-unfit-model"),
        ("reason", "gen-unfit-reason"),
    ];
    let notice = refused(&visit.frame(""), refusal, &texts)?;
    let page = render(visit, caller, typed, (vec![notice], HttpResponse::build(status))).await?;
    Ok(refusal_page(page, code))
}

/// A request for another look-up, and where its reader wants to be then.
#[derive(Deserialize)]
struct LookUp {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    to: String,
}

async fn look_up(visit: Visit, form: web::Form<LookUp>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let caller = sent(visit, &form.csrf_token).await?;
        let (org, id) = named(visit)?;
        let table = caller.services(&visit.api).processed_generation_db;
        match table.look_up_again(&org, &id).await {
            Ok(()) if form.to == "list" => {
                let list = visit.address.sharing(ResellerTab::Generations.path(), &KEPT);
                Ok(onward(&list, "gen-done-look-up"))
            }
            Ok(()) => Ok(onward(&address(&org, &id), "gen-done-look-up")),
            Err(error) => refuse(visit, &caller, error.into(), Typed::default()).await,
        }
    };
    visit.answer(work).await
}

/// What OpenRouter has charged.
#[derive(Deserialize)]
struct Settlement {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    cost: String,
    #[serde(default)]
    input_tokens: String,
    #[serde(default)]
    output_tokens: String,
    #[serde(default)]
    model: String,
}

impl Settlement {
    fn charged(&self) -> Result<Charged, ApiError> {
        let tokens = |field: &'static str, text: &str| {
            text.trim().parse::<i64>().map_err(|_| ApiError::field(field, "is no number of tokens"))
        };
        let model = Some(self.model.trim()).filter(|model| !model.is_empty()).map(ModelName::new).transpose();
        Ok(Charged {
            cost: forms::usd("cost", &self.cost)?,
            input_tokens: tokens("input_tokens", &self.input_tokens)?,
            output_tokens: tokens("output_tokens", &self.output_tokens)?,
            model: model.map_err(|reason| ApiError::field("model", reason))?,
        })
    }
}

async fn settle(visit: Visit, form: web::Form<Settlement>) -> HttpResponse {
    let visit = on_page(visit, 1, &[]);
    let work = async |visit: &Visit| {
        let caller = sent(visit, &form.csrf_token).await?;
        let (org, id) = named(visit)?;
        let settled = match form.charged() {
            Ok(charged) => book(&caller.services(&visit.api), &org, &id, charged).await,
            Err(refusal) => Err(refusal),
        };
        match settled {
            Ok(()) => Ok(onward(&address(&org, &id), "gen-done-settle")),
            Err(refusal) => {
                let typed = Typed {
                    cost: form.cost.clone(),
                    input_tokens: form.input_tokens.clone(),
                    output_tokens: form.output_tokens.clone(),
                    model: form.model.clone(),
                    ..Typed::default()
                };
                refuse(visit, &caller, refusal, typed).await
            }
        }
    };
    visit.answer(work).await
}

/// Why there is nothing to book.
#[derive(Deserialize)]
struct Dismissal {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    reason: String,
}

async fn dismiss(visit: Visit, form: web::Form<Dismissal>) -> HttpResponse {
    let visit = on_page(visit, 1, &[]);
    let work = async |visit: &Visit| {
        let caller = sent(visit, &form.csrf_token).await?;
        let (org, id) = named(visit)?;
        let table = caller.services(&visit.api).processed_generation_db;
        match table.dismiss(&org, &id, &form.reason).await {
            Ok(()) => Ok(onward(&address(&org, &id), "gen-done-dismiss")),
            Err(error) => {
                let typed = Typed { reason: form.reason.clone(), dismisses: true, ..Typed::default() };
                refuse(visit, &caller, error.into(), typed).await
            }
        }
    };
    visit.answer(work).await
}
