//! `POST clients/{client_id}/members/import`: members from a file, or from Open WebUI.

use actix_web::{HttpResponse, http::header, post, web};
use mai_organization::client_organization::{ImportOptions, ImportReport, MemberList, import::csv};
use mai_primitives::OrganizationId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::{Api, ApiError, asked::Asked, caller::Caller, changes::RefusalCode, error::Refusals};

/// How the list is taken.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Nothing is changed; the answer says what would be.
    #[serde(default)]
    dry_run: bool,
    /// Members of the same source who are missing in the list become inactive.
    #[serde(default)]
    deactivate_missing: bool,
}

/// Where the list comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ImportSource)]
pub(crate) enum Source {
    /// The API of Open WebUI.
    OpenWebui,
    /// The database of Open WebUI.
    OpenWebuiDatabase,
}

/// A list that we read ourselves.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MemberImport {
    source: Source,
    /// As in the query.
    #[serde(default)]
    dry_run: bool,
    /// As in the query.
    #[serde(default)]
    deactivate_missing: bool,
}

/// An entry that was not taken.
#[derive(Serialize, ToSchema)]
struct RefusedEntry {
    /// The line of the file, or the number of the entry.
    line: u64,
    /// Whose entry it is, as the list has it.
    user_id: String,
    /// What is wrong with it.
    reason: String,
}

/// The code of a list that was not taken because of bad lines.
pub(crate) const REFUSED: &str = "import_refused";

/// What an import did, or would do.
#[derive(Serialize, ToSchema)]
struct MemberImportReport {
    success: bool,
    /// Why nothing was done, where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// `import_refused`, where nothing was done because of bad lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Whether it was done; a dry run is not.
    applied: bool,
    /// Entries of the list.
    listed: usize,
    /// Members who were not known.
    new: usize,
    /// Members of whom something was changed.
    changed: usize,
    /// Members who are known just so.
    unchanged: usize,
    /// Entries whose id is a further id of another member; they are left out.
    merged: usize,
    /// Members who were missing and became inactive.
    deactivated: usize,
    /// Entries that were not taken. A file with one of them is not taken at all.
    refused: Vec<RefusedEntry>,
}

/// Takes over members from a CSV file (columns `user_id`, `email`, `name`, `role`, `active`; at most 5 MiB
/// and 100,000 lines; all or nothing), or from the Open WebUI that the settings name for the organization.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization"), Query),
    request_body(content((MemberImport = "application/json"), (String = "text/csv"))),
    responses(
        (status = 200, description = "It was taken, or a dry run says what would be", body = MemberImportReport),
        (status = 422, description = "Nothing was changed, because some lines cannot be taken", body = MemberImportReport),
        Refusals,
    ),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients/{client_id}/members/import")]
pub(super) async fn import_members(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    let query: Query = asked.query()?;
    let mut options = ImportOptions { dry_run: query.dry_run, deactivate_missing: query.deactivate_missing };
    let list = if is_csv(&asked) {
        csv::parse(&asked.body(csv::MAX_BYTES).await?)?
    } else {
        let wanted: MemberImport = asked.json().await?;
        options.dry_run |= wanted.dry_run;
        options.deactivate_missing |= wanted.deactivate_missing;
        read(&api, &organization, wanted.source).await?
    };
    let report = caller.services(&api).member_db.import(&organization, list, options).await?;
    let is_refused = !report.applied && !options.dry_run;
    let report = MemberImportReport::of(report, is_refused);
    if !is_refused {
        return Ok(HttpResponse::Ok().json(report));
    }
    let mut refusal = HttpResponse::UnprocessableEntity().json(report);
    refusal.extensions_mut().insert(RefusalCode(REFUSED));
    Ok(refusal)
}

fn is_csv(asked: &Asked) -> bool {
    let value = asked.request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.unwrap_or_default().split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("text/csv")
}

/// Reads the registry, if it is that of this organization: its people are nobody else's business.
pub(crate) async fn read(
    api: &Api,
    organization: &OrganizationId,
    source: Source,
) -> Result<MemberList, ApiError> {
    let registry = api.registries.find(organization, source == Source::OpenWebuiDatabase);
    let registry = registry.ok_or_else(|| {
        ApiError::not_configured("the settings name no such source of Open WebUI for this organization")
    })?;
    registry.read().await.map_err(|cause| {
        let why = mai_capture::causes(&cause);
        tracing::error!(%organization, error = why, "members cannot be read from Open WebUI");
        ApiError::neighbour("the users of Open WebUI cannot be read now; the log says why")
    })
}

impl MemberImportReport {
    fn of(report: ImportReport, is_refused: bool) -> Self {
        let ImportReport { applied, listed, new, changed, unchanged, merged, deactivated, refused } = report;
        let refused = refused.into_iter().map(|one| RefusedEntry {
            line: one.line,
            user_id: one.user_id,
            reason: one.reason,
        });
        Self {
            success: !is_refused,
            error: is_refused.then_some("nothing was changed, because some lines cannot be taken"),
            code: is_refused.then_some(REFUSED),
            applied,
            listed,
            new,
            changed,
            unchanged,
            merged,
            deactivated,
            refused: refused.collect(),
        }
    }
}
