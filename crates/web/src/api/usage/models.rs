//! Usage by model and by provider.

use actix_web::{HttpResponse, get, web};
use mai_organization::usage_tracking::{
    Listed, Listing, ModelUsage,
    stats::models::{ModelSort, ProviderUsage},
};
use mai_primitives::{ModelName, OrganizationId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Conversion, ListAsked, Period, Sums, days, named_by_path, next_cursor};
use crate::api::{Api, ApiError, asked::Asked, caller::Caller, error::ReadRefusals, paging::Order};

/// Which models or providers, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Which organization; only a reseller needs to name one.
    client_org_id: Option<String>,
    /// The first day, `YYYY-MM-DD`; by default the first of the last day's month.
    start_date: Option<String>,
    /// The last day, `YYYY-MM-DD`; by default today.
    end_date: Option<String>,
    /// Only models or providers whose name has this in it.
    search: Option<String>,
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
    /// By default names ascending and figures descending.
    order: Option<Order>,
    /// 1 to 500. Without it all are in the answer.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Query {
    fn listing(self) -> Result<Listing<ModelSort>, ApiError> {
        let sort = match self.sort {
            Sort::Cost => ModelSort::Cost,
            Sort::Tokens => ModelSort::Tokens,
            Sort::Requests => ModelSort::Requests,
            Sort::Name => ModelSort::Name,
            Sort::DaysUsed => ModelSort::DaysUsed,
        };
        let asked = ListAsked {
            search: self.search,
            sort,
            order: self.order,
            limit: self.limit,
            cursor: self.cursor,
        };
        asked.listing(sort == ModelSort::Name)
    }
}

/// By what models and providers are sorted.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ModelSort)]
enum Sort {
    #[default]
    Cost,
    Tokens,
    Requests,
    Name,
    DaysUsed,
}

/// A model.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelUsage)]
pub(super) struct ModelFigures {
    #[schema(value_type = String)]
    model_name: ModelName,
    /// The display name of its author; `Unknown` where its name has none.
    provider: String,
    /// What stands before the `/` of its name.
    provider_slug: Option<String>,
    #[serde(flatten)]
    sums: Sums,
    /// The part of the organization's cost, in parts per million; null where nothing was charged.
    share_ppm: Option<i64>,
    /// Days with usage.
    days_used: i64,
    /// Whether the model is offered.
    in_catalogue: bool,
}

impl ModelFigures {
    /// A model as it is shown.
    pub(super) fn new(model: ModelUsage, sees_raw_cost: bool) -> Result<Self, ApiError> {
        Ok(Self {
            provider: model.provider.unwrap_or_else(unknown),
            provider_slug: model.model_name.author().map(str::to_owned),
            sums: Sums::new(&model.totals, model.cost_pln, sees_raw_cost)?,
            share_ppm: model.share_ppm,
            days_used: model.days_used,
            in_catalogue: model.in_catalogue,
            model_name: model.model_name,
        })
    }
}

/// The original's word for a provider that is not known.
fn unknown() -> String {
    "Unknown".to_owned()
}

/// The models.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageByModel)]
struct ModelList {
    success: bool,
    #[schema(value_type = String)]
    client_id: OrganizationId,
    organization_name: String,
    period: Period,
    model_usage: Vec<ModelFigures>,
    /// How many models fit the search, on all pages.
    total_models: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
    /// The sums of all models, whatever was searched for: the organization's. In złoty it is the sum of the
    /// organization's rounded days, from which the models' rounded amounts may differ by some grosz.
    totals: Sums,
    /// The sums of the models that fit the search.
    matched_totals: Sums,
    #[serde(flatten)]
    conversion: Conversion,
}

/// Usage by model: everything that was used, and the models of the catalogue with zeros.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(Query),
    responses((status = 200, description = "The models", body = ModelList), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/usage-by-model")]
pub(in crate::api) async fn usage_by_model(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = caller.administered(query.client_org_id.as_deref())?;
    models(&api, &caller, organization, query).await
}

/// The same of a named organization.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization"), Query),
    responses((status = 200, description = "The models", body = ModelList), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/usage/by-model/{client_id}")]
pub(in crate::api) async fn by_model(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    let query: Query = asked.query()?;
    named_by_path(asked.path("client_id")?, query.client_org_id.as_deref())?;
    models(&api, &caller, organization, query).await
}

async fn models(
    api: &Api,
    caller: &Caller,
    organization: OrganizationId,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let sees_raw_cost = caller.is_reseller();
    let days = days(query.start_date.as_deref(), query.end_date.as_deref())?;
    let listed = api.services.client_usage_db.models(&organization, days, query.listing()?).await?;
    let Listed { client_org_name, range, page, cost_pln, conversion } = listed;
    Ok(HttpResponse::Ok().json(ModelList {
        success: true,
        client_id: organization,
        organization_name: client_org_name,
        period: range.into(),
        total_models: page.matched,
        next_cursor: next_cursor(page.next)?,
        totals: Sums::new(&page.totals, cost_pln, sees_raw_cost)?,
        matched_totals: Sums::new(&page.matched_totals, page.matched_pln, sees_raw_cost)?,
        model_usage: page
            .items
            .into_iter()
            .map(|model| ModelFigures::new(model, sees_raw_cost))
            .collect::<Result<_, _>>()?,
        conversion: Conversion::new(api, &conversion),
    }))
}

/// A provider: the author of models.
#[derive(Serialize, ToSchema)]
#[schema(as = ProviderUsage)]
struct ProviderFigures {
    /// The display name; `Unknown` for models without an author.
    provider: String,
    /// What stands before the `/` of the models' names.
    provider_slug: Option<String>,
    /// How many of its models were used.
    models_used: i64,
    #[serde(flatten)]
    sums: Sums,
    /// The part of the organization's cost, in parts per million; null where nothing was charged.
    share_ppm: Option<i64>,
    /// Days with usage.
    days_used: i64,
}

impl ProviderFigures {
    fn new(provider: ProviderUsage, sees_raw_cost: bool) -> Result<Self, ApiError> {
        Ok(Self {
            provider: provider.name.unwrap_or_else(unknown),
            provider_slug: provider.slug,
            models_used: provider.models_used,
            sums: Sums::new(&provider.totals, provider.cost_pln, sees_raw_cost)?,
            share_ppm: provider.share_ppm,
            days_used: provider.days_used,
        })
    }
}

/// The providers.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageByProvider)]
struct ProviderList {
    success: bool,
    #[schema(value_type = String)]
    client_id: OrganizationId,
    organization_name: String,
    period: Period,
    provider_usage: Vec<ProviderFigures>,
    /// How many providers fit the search, on all pages.
    total_providers: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
    /// The sums of all providers, whatever was searched for: the organization's. In złoty it is the sum of
    /// the organization's rounded days.
    totals: Sums,
    /// The sums of the providers that fit the search.
    matched_totals: Sums,
    #[serde(flatten)]
    conversion: Conversion,
}

/// Usage by provider: the sums of the models of one author.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(Query),
    responses((status = 200, description = "The providers", body = ProviderList), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/usage-by-provider")]
pub(in crate::api) async fn usage_by_provider(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = caller.administered(query.client_org_id.as_deref())?;
    let sees_raw_cost = caller.is_reseller();
    let days = days(query.start_date.as_deref(), query.end_date.as_deref())?;
    let listed = api.services.client_usage_db.providers(&organization, days, query.listing()?).await?;
    let Listed { client_org_name, range, page, cost_pln, conversion } = listed;
    Ok(HttpResponse::Ok().json(ProviderList {
        success: true,
        client_id: organization,
        organization_name: client_org_name,
        period: range.into(),
        total_providers: page.matched,
        next_cursor: next_cursor(page.next)?,
        totals: Sums::new(&page.totals, cost_pln, sees_raw_cost)?,
        matched_totals: Sums::new(&page.matched_totals, page.matched_pln, sees_raw_cost)?,
        provider_usage: page
            .items
            .into_iter()
            .map(|provider| ProviderFigures::new(provider, sees_raw_cost))
            .collect::<Result<_, _>>()?,
        conversion: Conversion::new(&api, &conversion),
    }))
}
