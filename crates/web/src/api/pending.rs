//! `pending-generations`: generations whose exact cost is not known yet, and what people do about them.
//!
//! What a generation cost decides what the organization pays, so only the reseller settles and dismisses.

use actix_web::{HttpResponse, get, post, web};
use mai_capture::bounds::{COST_AT_MOST, TOKENS_AT_MOST};
use mai_organization::{
    OrganizationServices,
    generation_processing::{PendingGenerationModel, PendingState, pending::PendingQuery},
    usage_tracking::{Error as UsageError, Recorded},
};
use mai_primitives::{GenerationId, ModelName, OrganizationId, UnixTime, Usd};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::{ChangeRefusals, ErrorBody, ReadRefusals, Refusals},
    gateway_keys::administered,
    json_money::JsonUsd,
    paging,
};

/// A generation that waits for its cost, or for a person.
#[derive(Serialize, ToSchema)]
struct PendingGeneration {
    /// The organization that will pay.
    client_org_id: String,
    /// The generation's id, or one of ours where upstream told none.
    generation_id: String,
    /// The organization's local day of the call.
    usage_date: String,
    /// The member who asked.
    user_id: String,
    /// The model that was asked for.
    model: Option<String>,
    /// Whether the answer was streamed.
    streamed: bool,
    /// The gateway key of the call.
    gateway_key_id: Option<String>,
    /// Why the cost is not known.
    reason: &'static str,
    /// `pending` while it is looked up, `unresolved` where a person has to decide.
    state: &'static str,
    /// How often it was looked up.
    attempts: i32,
    /// What the last look-up failed with; for the reseller only, because it may name what was charged.
    last_error: Option<String>,
    /// Unix seconds when the call began.
    started_at: i64,
    /// Unix seconds of the next look-up; null where there is none.
    next_attempt_at: Option<i64>,
}

impl PendingGeneration {
    fn shown(row: PendingGenerationModel, to_reseller: bool) -> Self {
        let waits = row.state == PendingState::Pending;
        Self {
            client_org_id: row.client_org_id.to_string(),
            generation_id: row.id.to_string(),
            usage_date: row.generation_date.to_string(),
            user_id: row.user_id.to_string(),
            model: row.requested_model.map(|model| model.to_string()),
            streamed: row.streamed,
            gateway_key_id: row.gateway_key_id,
            reason: row.reason.as_str(),
            state: row.state.as_str(),
            attempts: row.attempts,
            last_error: row.last_error.filter(|_| to_reseller),
            started_at: row.started_at.seconds(),
            next_attempt_at: waits.then(|| row.next_attempt_at.seconds()),
        }
    }
}

/// Where a pending generation stands.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum PendingFilter {
    /// It is looked up again.
    Pending,
    /// A person has to decide.
    Unresolved,
}

/// Which generations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only those in this state.
    #[param(inline)]
    state: Option<PendingFilter>,
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of generations, the oldest call first.
#[derive(Serialize, ToSchema)]
struct PendingGenerations {
    success: bool,
    items: Vec<PendingGeneration>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// The generations of one organization whose cost is not known, the oldest call first.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization"), Query),
    responses((status = 200, description = "A page of generations", body = PendingGenerations), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/pending-generations")]
pub(super) async fn list_pending(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    page(&caller, &api, asked.query()?, Some(organization)).await
}

/// The generations of all organizations whose cost is not known, the oldest call first.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("reseller"))),
    params(Query),
    responses((status = 200, description = "A page of generations", body = PendingGenerations), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/pending-generations")]
pub(super) async fn list_all_pending(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    page(&caller, &api, asked.query()?, None).await
}

async fn page(
    caller: &Caller,
    api: &Api,
    query: Query,
    organization: Option<OrganizationId>,
) -> Result<HttpResponse, ApiError> {
    let limit = paging::limit(query.limit)?;
    let after: Option<(i64, String, String)> = query.cursor.as_deref().map(paging::decode).transpose()?;
    let after = after.map(|(started_at, id, organization)| {
        let wrong = |_| ApiError::field("cursor", "must be the `next_cursor` of the page before");
        let id = GenerationId::new(id).map_err(wrong)?;
        let organization = OrganizationId::new(organization).map_err(wrong)?;
        Ok::<_, ApiError>((UnixTime::from_seconds(started_at), id, organization))
    });
    let wanted = PendingQuery {
        organization,
        state: query.state.map(|state| match state {
            PendingFilter::Pending => PendingState::Pending,
            PendingFilter::Unresolved => PendingState::Unresolved,
        }),
        after: after.transpose()?,
        limit: paging::rows_for(limit),
    };
    let rows = api.services.processed_generation_db.pending_page(wanted).await?;
    let (rows, next_cursor) = paging::cut(rows, limit, |row| {
        (row.started_at.seconds(), row.id.to_string(), row.client_org_id.to_string())
    })?;
    let items = rows.into_iter().map(|row| PendingGeneration::shown(row, caller.is_reseller())).collect();
    Ok(HttpResponse::Ok().json(PendingGenerations { success: true, items, next_cursor }))
}

/// What a person found out about a generation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Settlement {
    /// What OpenRouter charged, in USD: 0 to 1,000,000.
    cost: JsonUsd,
    /// Native tokens of the prompt.
    #[schema(minimum = 0)]
    input_tokens: i64,
    /// Native tokens of the answer; together at most 1,000,000,000,000.
    #[schema(minimum = 0)]
    output_tokens: i64,
    /// The model that answered; without it the one that was asked for.
    #[schema(value_type = Option<String>)]
    model: Option<ModelName>,
}

/// What became of a generation.
#[derive(Serialize, ToSchema)]
struct PendingDone {
    success: bool,
    message: &'static str,
    generation_id: String,
}

fn done(message: &'static str, id: &GenerationId) -> HttpResponse {
    HttpResponse::Ok().json(PendingDone { success: true, message, generation_id: id.to_string() })
}

/// Books a generation with what a person found out; it is then no longer pending.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("reseller"))),
    params(
        ("client_id" = String, Path, description = "The organization"),
        ("generation_id" = String, Path, description = "The generation"),
    ),
    request_body = Settlement,
    responses(
        (status = 200, description = "It is booked", body = PendingDone),
        (status = 422, description = "It cannot be booked as it is", body = ErrorBody<'static>),
        Refusals,
    ),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients/{client_id}/pending-generations/{generation_id}/settle")]
pub(super) async fn settle(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.resold(asked.path("client_id")?)?;
    let id: GenerationId = asked.id("generation_id")?;
    let Settlement { cost, input_tokens, output_tokens, model } = asked.json().await?;
    let found = Charged { cost: cost.0, input_tokens, output_tokens, model };
    book(&caller.services(&api), &organization, &id, found).await?;
    Ok(done("Generation settled", &id))
}

/// What OpenRouter has charged for a generation, as a person found out.
pub(crate) struct Charged {
    /// In USD.
    pub(crate) cost: Usd,
    /// Native tokens of the prompt.
    pub(crate) input_tokens: i64,
    /// Native tokens of the answer.
    pub(crate) output_tokens: i64,
    /// The model that answered; without it the one that was asked for.
    pub(crate) model: Option<ModelName>,
}

/// Books a generation that waits, in the name of whom the services act for.
pub(crate) async fn book(
    services: &OrganizationServices,
    organization: &OrganizationId,
    id: &GenerationId,
    found: Charged,
) -> Result<(), ApiError> {
    let (cost, tokens) = checked(&found)?;
    let model = match found.model {
        Some(model) => model,
        None => requested_model(services, organization, id).await?,
    };
    let settled =
        services.client_usage_db.settle_by_hand(organization, id, cost, tokens.0, tokens.1, model).await;
    match settled {
        Ok(Recorded::New | Recorded::Duplicate | Recorded::Corrected) => Ok(()),
        Ok(Recorded::Conflict) => {
            Err(ApiError::conflicting_usage("the generation was booked meanwhile with other usage"))
        }
        Ok(Recorded::TooOld) => Err(ApiError::too_old()),
        Err(error @ UsageError::OutOfRange(_)) => Err(ApiError::unbookable(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// The figures, within the bounds that every report has.
fn checked(found: &Charged) -> Result<(Usd, (i64, i64)), ApiError> {
    let cost = found.cost;
    if !(Usd::ZERO..=COST_AT_MOST).contains(&cost) {
        return Err(ApiError::field("cost", "must be 0 to 1000000"));
    }
    for (field, tokens) in [("input_tokens", found.input_tokens), ("output_tokens", found.output_tokens)] {
        if !(0..=TOKENS_AT_MOST).contains(&tokens) {
            return Err(ApiError::field(field, "must be 0 to 1000000000000"));
        }
    }
    if found.input_tokens.saturating_add(found.output_tokens) > TOKENS_AT_MOST {
        return Err(ApiError::field("output_tokens", "must be at most 1000000000000 with the input"));
    }
    Ok((cost, (found.input_tokens, found.output_tokens)))
}

async fn requested_model(
    services: &OrganizationServices,
    organization: &OrganizationId,
    id: &GenerationId,
) -> Result<ModelName, ApiError> {
    let row = services.processed_generation_db.get_pending(organization, id).await?;
    let row = row.ok_or_else(|| ApiError::not_found(format!("generation {id} is not pending")))?;
    row.requested_model.ok_or_else(|| ApiError::field("model", "is needed, because the call named none"))
}

/// Why there is nothing to book.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Dismissal {
    /// Why it was not charged; it goes into the audit.
    reason: String,
}

/// Ends the waiting of a generation that was not charged.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("reseller"))),
    params(
        ("client_id" = String, Path, description = "The organization"),
        ("generation_id" = String, Path, description = "The generation"),
    ),
    request_body = Dismissal,
    responses((status = 200, description = "It no longer waits", body = PendingDone), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients/{client_id}/pending-generations/{generation_id}/dismiss")]
pub(super) async fn dismiss(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.resold(asked.path("client_id")?)?;
    let id: GenerationId = asked.id("generation_id")?;
    let Dismissal { reason } = asked.json().await?;
    caller.services(&api).processed_generation_db.dismiss(&organization, &id, &reason).await?;
    Ok(done("Generation dismissed", &id))
}

/// Asks OpenRouter for the cost of a generation again, within seconds.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("admin"))),
    params(
        ("client_id" = String, Path, description = "The organization"),
        ("generation_id" = String, Path, description = "The generation"),
    ),
    responses((status = 200, description = "It is due for a look-up", body = PendingDone), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients/{client_id}/pending-generations/{generation_id}/look-up")]
pub(super) async fn look_up(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let id: GenerationId = asked.id("generation_id")?;
    caller.services(&api).processed_generation_db.look_up_again(&organization, &id).await?;
    Ok(done("Generation is due for a look-up", &id))
}
