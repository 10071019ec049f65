//! Who sells and who buys, as statements name them.

use actix_web::{HttpResponse, get, patch, post, web};
use mai_billing::statements::{BillingProfile, BillingSettings, ProfileForm, SettingsForm, Vat};
use mai_organization::global_settings::Change;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::{ReadRefusals, Refusals},
    gateway_keys::administered,
};

/// Who sells, how it is taxed, and how statements are numbered.
#[derive(Serialize, ToSchema)]
#[schema(as = BillingSettings)]
struct Settings {
    seller_name: Option<String>,
    /// Of several lines.
    seller_address: Option<String>,
    /// Its number for taxes (NIP).
    seller_tax_id: Option<String>,
    /// Whether the three above are all set; nothing is issued before.
    is_complete: bool,
    /// In basis points: 2300 is 23 %. Null where VAT does not apply.
    vat_rate_basis_points: Option<u32>,
    /// By which rule it does not apply, or another note that statements show.
    vat_note: Option<String>,
    /// `monthly` (2026/11/0001) or `yearly` (2026/0001).
    numbering: &'static str,
    /// Unix seconds; 0 while nothing was ever stored.
    updated_at: i64,
}

/// Its rate in basis points; none where VAT does not apply.
pub(crate) const fn basis_points(vat: Vat) -> Option<u32> {
    match vat {
        Vat::Rate(points) => Some(points),
        Vat::NotApplicable => None,
    }
}

impl From<BillingSettings> for Settings {
    fn from(settings: BillingSettings) -> Self {
        Self {
            is_complete: settings.is_complete(),
            seller_name: settings.seller_name,
            seller_address: settings.seller_address,
            seller_tax_id: settings.seller_tax_id,
            vat_rate_basis_points: basis_points(settings.vat),
            vat_note: settings.vat_note,
            numbering: settings.numbering.as_str(),
            updated_at: settings.updated_at.seconds(),
        }
    }
}

/// An answer with them.
#[derive(Serialize, ToSchema)]
#[schema(as = BillingSettingsAnswer)]
struct SettingsAnswer {
    success: bool,
    settings: Settings,
}

/// A partial update: what is absent stays, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BillingSettingsPatch)]
struct SettingsPatch {
    /// 1 to 200 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    seller_name: Change<String>,
    /// 1 to 400 characters, with line feeds between its lines.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    seller_address: Change<String>,
    /// 1 to 40 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    seller_tax_id: Change<String>,
    /// 0 to 10000; null says that VAT does not apply, for which there must be a note.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    vat_rate_basis_points: Change<u32>,
    /// 1 to 400 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    vat_note: Change<String>,
    /// `monthly` or `yearly`.
    numbering: Option<String>,
}

/// A rate of so many basis points.
pub(crate) fn rate(points: u32) -> Result<Vat, ApiError> {
    Vat::rate(points).ok_or_else(|| ApiError::field("vat_rate_basis_points", "must be 0 to 10000"))
}

/// Who sells, how it is taxed, and how statements are numbered.
#[utoipa::path(
    tag = "statements",
    extensions(("x-access" = json!("reseller"))),
    responses((status = 200, description = "The settings", body = SettingsAnswer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/billing-settings")]
pub(super) async fn get_billing_settings(
    caller: Caller,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let settings = api.statements.settings().await?.into();
    Ok(HttpResponse::Ok().json(SettingsAnswer { success: true, settings }))
}

/// Changes what the body names, for statements that are not issued yet.
#[utoipa::path(
    tag = "statements",
    extensions(("x-access" = json!("reseller"))),
    request_body = SettingsPatch,
    responses((status = 200, description = "They were changed", body = SettingsAnswer), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/billing-settings")]
pub(super) async fn update_billing_settings(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let patch: SettingsPatch = asked.json().await?;
    let numbering = patch.numbering.map(|text| text.parse()).transpose();
    let form = SettingsForm {
        seller_name: patch.seller_name,
        seller_address: patch.seller_address,
        seller_tax_id: patch.seller_tax_id,
        vat: match patch.vat_rate_basis_points {
            Change::Keep => None,
            Change::Clear => Some(Vat::NotApplicable),
            Change::Set(points) => Some(rate(points)?),
        },
        vat_note: patch.vat_note,
        numbering: numbering.map_err(|why: String| ApiError::field("numbering", why))?,
    };
    let statements = api.statements.acting_as(caller.actor.clone());
    let settings = statements.update_settings(form).await?.into();
    Ok(HttpResponse::Ok().json(SettingsAnswer { success: true, settings }))
}

/// What statements say about their buyer, beside the organization's name and address for bills.
#[derive(Serialize, ToSchema)]
#[schema(as = BillingProfile)]
struct Profile {
    /// Null means the organization's name.
    legal_name: Option<String>,
    /// Of several lines.
    address: Option<String>,
    /// Its number for taxes.
    tax_id: Option<String>,
    /// `default` (what the billing settings say), `rate` or `not_applicable`.
    vat: &'static str,
    /// Null unless `vat` is `rate`.
    vat_rate_basis_points: Option<u32>,
    /// By which rule VAT does not apply.
    vat_note: Option<String>,
    /// Of the PDF: `pl` or `en`.
    language: &'static str,
}

impl From<BillingProfile> for Profile {
    fn from(profile: BillingProfile) -> Self {
        Self {
            legal_name: profile.legal_name,
            address: profile.address,
            tax_id: profile.tax_id,
            vat: match profile.vat {
                None => "default",
                Some(Vat::Rate(_)) => "rate",
                Some(Vat::NotApplicable) => "not_applicable",
            },
            vat_rate_basis_points: profile.vat.and_then(basis_points),
            vat_note: profile.vat_note,
            language: profile.language.as_str(),
        }
    }
}

/// An answer with it.
#[derive(Serialize, ToSchema)]
#[schema(as = BillingProfileAnswer)]
struct ProfileAnswer {
    success: bool,
    billing_profile: Profile,
}

/// A partial update: what is absent stays, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BillingProfilePatch)]
struct ProfilePatch {
    /// 1 to 200 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    legal_name: Change<String>,
    /// 1 to 400 characters, with line feeds between its lines.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    address: Change<String>,
    /// 1 to 40 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tax_id: Change<String>,
    /// `default`, `rate` (which needs `vat_rate_basis_points`) or `not_applicable` (which needs a note).
    vat: Option<String>,
    /// 0 to 10000.
    vat_rate_basis_points: Option<u32>,
    /// 1 to 400 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    vat_note: Change<String>,
    /// `pl` or `en`.
    language: Option<String>,
}

/// What statements say about an organization.
#[utoipa::path(
    tag = "statements",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization")),
    responses((status = 200, description = "The profile", body = ProfileAnswer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/billing-profile")]
pub(super) async fn get_billing_profile(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let billing_profile = api.statements.profile(&organization).await?.into();
    Ok(HttpResponse::Ok().json(ProfileAnswer { success: true, billing_profile }))
}

/// Changes what the body names, for statements that are not issued yet.
#[utoipa::path(
    tag = "statements",
    extensions(("x-access" = json!("reseller"))),
    params(("client_id" = String, Path, description = "The organization")),
    request_body = ProfilePatch,
    responses((status = 200, description = "It was changed", body = ProfileAnswer), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[patch("/clients/{client_id}/billing-profile")]
pub(super) async fn update_billing_profile(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.resold(asked.path("client_id")?)?;
    let patch: ProfilePatch = asked.json().await?;
    let language = patch.language.map(|text| text.parse()).transpose();
    let form = ProfileForm {
        legal_name: patch.legal_name,
        address: patch.address,
        tax_id: patch.tax_id,
        vat: match (patch.vat.as_deref(), patch.vat_rate_basis_points) {
            (None, None) => Change::Keep,
            (None | Some("rate"), Some(points)) => Change::Set(rate(points)?),
            (Some("default"), None) => Change::Clear,
            (Some("not_applicable"), None) => Change::Set(Vat::NotApplicable),
            (Some("rate"), None) => {
                return Err(ApiError::field("vat_rate_basis_points", "must say which rate"));
            }
            _ => return Err(ApiError::field("vat", "must be `default`, `rate` or `not_applicable`")),
        },
        vat_note: patch.vat_note,
        language: language.map_err(|why: String| ApiError::field("language", why))?,
    };
    let statements = api.statements.acting_as(caller.actor.clone());
    let billing_profile = statements.update_profile(&organization, form).await?.into();
    Ok(HttpResponse::Ok().json(ProfileAnswer { success: true, billing_profile }))
}
