//! Where alerts go.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use mai_alerts::{
    Channel, DeliveryModel, DestinationPatch, DestinationTable, NewDestination, destinations::GRACE,
};
use mai_primitives::{OrganizationId, UnixTime};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Kind,
    deliveries::OneDelivery,
    listed, owner,
    shown::{AlertDestination, Tongue, Way},
};
use crate::api::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::{ChangeRefusals, ReadRefusals, Refusals},
};

/// The service in the name of the caller.
pub(crate) fn table(caller: &Caller, api: &Api) -> DestinationTable {
    api.alerts.destinations.acting_as(caller.actor.clone())
}

/// Which destinations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only those of this organization; an administrator sees those of the own organization only.
    client_org_id: Option<String>,
}

/// Destinations by when they were made.
#[derive(Serialize, ToSchema)]
struct AlertDestinations {
    success: bool,
    items: Vec<AlertDestination>,
}

/// Where alerts go. For the reseller also its own destinations, which get the alerts of all organizations.
#[utoipa::path(
    tag = "alerts",
    extensions(("x-access" = json!("admin"))),
    params(Query),
    responses((status = 200, description = "All of them", body = AlertDestinations), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/alert-destinations")]
pub(super) async fn list_destinations(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = listed(&caller, query.client_org_id.as_deref())?;
    let rows = api.alerts.destinations.list(organization).await?;
    let items = rows.into_iter().map(|row| AlertDestination::shown(row, &api)).collect();
    Ok(HttpResponse::Ok().json(AlertDestinations { success: true, items }))
}

/// A new destination.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAlertDestination {
    /// Whose alerts go there; without it the administrator's own organization, or the reseller itself, who
    /// gets those of all organizations.
    #[schema(value_type = Option<String>)]
    client_org_id: Option<OrganizationId>,
    channel: Way,
    /// The URL of a webhook, which must be https and have a public address, or an e-mail address.
    target: String,
    /// What people call it, 1 to 200 characters.
    name: String,
    /// The language of mail; by default English.
    #[serde(default)]
    language: Tongue,
    /// What it hears of; by default of everything.
    kinds: Option<Vec<Kind>>,
}

/// A destination and its new secret. This is the only time that the secret is there.
#[derive(Serialize, ToSchema)]
struct AlertDestinationWithSecret {
    success: bool,
    /// What webhooks are signed with: `whsec_` and base64; null for mail.
    secret: Option<String>,
    destination: AlertDestination,
}

/// Makes a destination. The secret of a webhook is shown only this once.
#[utoipa::path(
    tag = "alerts",
    extensions(("x-access" = json!("admin"))),
    request_body = NewAlertDestination,
    responses((status = 201, description = "It was made", body = AlertDestinationWithSecret), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/alert-destinations")]
pub(super) async fn create_destination(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    owner(&caller)?;
    let form: NewAlertDestination = asked.json().await?;
    let named = form.client_org_id.as_ref().map(OrganizationId::as_str);
    let wants = |kind| form.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind));
    let new = NewDestination {
        client_org_id: listed(&caller, named)?,
        channel: match form.channel {
            Way::Webhook => Channel::Webhook,
            Way::Email => Channel::Email,
        },
        wants_limits: wants(Kind::LimitReached),
        wants_anomalies: wants(Kind::Anomaly),
        language: form.language.stored(),
        target: form.target,
        name: form.name,
    };
    let made = table(&caller, &api).create(new).await?;
    let secret = made.secret.map(|secret| secret.expose_secret().to_owned());
    let destination = AlertDestination::shown(made.model, &api);
    let answer = AlertDestinationWithSecret { success: true, secret, destination };
    Ok(HttpResponse::Created().insert_header(("cache-control", "no-store")).json(answer))
}

/// What is changed of a destination; what is missing stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AlertDestinationPatch {
    /// The URL of a webhook, or an e-mail address. The way stays.
    target: Option<String>,
    /// What people call it, 1 to 200 characters.
    name: Option<String>,
    language: Option<Tongue>,
    /// What it hears of.
    kinds: Option<Vec<Kind>>,
    /// Whether anything goes there. Making it active again forgets that the receiver was gone.
    is_active: Option<bool>,
}

/// A destination that was changed.
#[derive(Serialize, ToSchema)]
struct ChangedAlertDestination {
    success: bool,
    destination: AlertDestination,
}

/// Changes a destination.
#[utoipa::path(
    tag = "alerts",
    extensions(("x-access" = json!("admin"))),
    params(("destination_id" = String, Path, description = "The destination")),
    request_body = AlertDestinationPatch,
    responses((status = 200, description = "It was changed", body = ChangedAlertDestination), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[patch("/alert-destinations/{destination_id}")]
pub(super) async fn update_destination(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let (owner, id) = (owner(&caller)?, asked.path("destination_id")?.to_owned());
    let form: AlertDestinationPatch = asked.json().await?;
    let wants = |kind| form.kinds.as_ref().map(|kinds| kinds.contains(&kind));
    let patch = DestinationPatch {
        wants_limits: wants(Kind::LimitReached),
        wants_anomalies: wants(Kind::Anomaly),
        language: form.language.map(Tongue::stored),
        is_active: form.is_active,
        target: form.target,
        name: form.name,
    };
    let row = table(&caller, &api).update(owner, &id, patch).await?;
    let destination = AlertDestination::shown(row, &api);
    Ok(HttpResponse::Ok().json(ChangedAlertDestination { success: true, destination }))
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertDestinationRemoved)]
struct Removed {
    success: bool,
    message: &'static str,
}

/// Removes a destination, for good. What waits for it has failed.
#[utoipa::path(
    tag = "alerts",
    extensions(("x-access" = json!("admin"))),
    params(("destination_id" = String, Path, description = "The destination")),
    responses((status = 200, description = "It is gone", body = Removed), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[delete("/alert-destinations/{destination_id}")]
pub(super) async fn remove_destination(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let owner = owner(&caller)?;
    table(&caller, &api).remove(owner, asked.path("destination_id")?).await?;
    Ok(HttpResponse::Ok().json(Removed { success: true, message: "Destination removed" }))
}

/// How a secret is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertSecretRotation)]
struct Rotation {
    /// For how many seconds the secret before signs too, 0 to 2592000; by default a day.
    grace_seconds: Option<i64>,
}

/// Gives a webhook a new secret, which is shown only this once. For a while both secrets sign.
#[utoipa::path(
    tag = "alerts",
    extensions(("x-access" = json!("admin"))),
    params(("destination_id" = String, Path, description = "The destination")),
    request_body = Rotation,
    responses((status = 200, description = "The secret", body = AlertDestinationWithSecret), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/alert-destinations/{destination_id}/rotate-secret")]
pub(super) async fn rotate_secret(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let (owner, id) = (owner(&caller)?, asked.path("destination_id")?.to_owned());
    let form: Rotation = asked.json().await?;
    let grace = form.grace_seconds.unwrap_or(GRACE);
    let made = table(&caller, &api).rotate_secret(owner, &id, grace).await?;
    let secret = made.secret.map(|secret| secret.expose_secret().to_owned());
    let destination = AlertDestination::shown(made.model, &api);
    let answer = AlertDestinationWithSecret { success: true, secret, destination };
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(answer))
}

/// What a test is about.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertTest)]
struct Trial {
    /// The organization that the alert names; needed for a destination of the reseller only.
    #[schema(value_type = Option<String>)]
    client_org_id: Option<OrganizationId>,
}

/// Sends an alert of the kind `test` to a destination, now and once, and tells what became of it.
#[utoipa::path(
    tag = "alerts",
    extensions(("x-access" = json!("admin"))),
    params(("destination_id" = String, Path, description = "The destination")),
    request_body = Trial,
    responses((status = 200, description = "It was tried", body = OneDelivery), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/alert-destinations/{destination_id}/test")]
pub(super) async fn test_destination(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let (owner, id) = (owner(&caller)?, asked.path("destination_id")?.to_owned());
    let form: Trial = asked.json().await?;
    let row = try_out(&caller, &api, owner, &id, form.client_org_id).await?;
    Ok(HttpResponse::Ok().json(OneDelivery::of(row, &api)))
}

/// Sends a test, about the organization of the destination unless another is named, and tells what became of it.
pub(crate) async fn try_out(
    caller: &Caller,
    api: &Api,
    owner: Option<OrganizationId>,
    id: &str,
    named: Option<OrganizationId>,
) -> Result<DeliveryModel, ApiError> {
    let destination = api.alerts.destinations.get(owner.clone(), id).await?;
    let organization = named.or(destination.client_org_id);
    let organization = organization.ok_or_else(|| {
        ApiError::field(
            "client_org_id",
            "must name an organization, because the destination is the reseller's",
        )
    })?;
    Ok(api.alerts.deliverer.test(owner, id, &organization, caller.actor.clone()).await?)
}

/// What is replayed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertReplay)]
struct Replay {
    /// Only deliveries that were made at this instant or later, in Unix seconds.
    since: i64,
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertsReplayed)]
struct Replayed {
    success: bool,
    /// How many deliveries will be tried again.
    deliveries: usize,
}

/// Sends once more everything that has failed at a destination since an instant, with the same ids and bytes.
#[utoipa::path(
    tag = "alerts",
    extensions(("x-access" = json!("admin"))),
    params(("destination_id" = String, Path, description = "The destination")),
    request_body = Replay,
    responses((status = 200, description = "They will be tried again", body = Replayed), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/alert-destinations/{destination_id}/replay")]
pub(super) async fn replay_destination(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let (owner, id) = (owner(&caller)?, asked.path("destination_id")?.to_owned());
    let form: Replay = asked.json().await?;
    let deliveries = api.alerts.deliveries.acting_as(caller.actor.clone());
    let deliveries = deliveries.replay_failed(owner, &id, UnixTime::from_seconds(form.since)).await?;
    Ok(HttpResponse::Ok().json(Replayed { success: true, deliveries }))
}
