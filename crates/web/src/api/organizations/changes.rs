//! What is done to organizations, with their keys at OpenRouter, which follow them.

use mai_openrouter::ManagedKey;
use mai_organization::client_organization::{
    ClientOrganizationForm, ClientOrganizationModel, ClientOrganizationPatch,
};
use mai_primitives::OrganizationId;

use crate::{
    api::{
        Api, ApiError,
        caller::{Caller, unknown_organization},
    },
    provider_keys::{NewKey, ProviderKeys},
};

/// Makes an organization, with a key at OpenRouter where one is asked for: both or nothing.
pub(crate) async fn create(
    caller: &Caller,
    api: &Api,
    form: ClientOrganizationForm,
    provider_key: Option<NewKey>,
) -> Result<(ClientOrganizationModel, Option<ManagedKey>), ApiError> {
    let services = caller.services(api);
    let Some(provider_key) = provider_key else {
        return Ok((services.client_organization_db.create(form).await?, None));
    };
    let create =
        |keys: ProviderKeys| async move { keys.create_organization(&services, form, provider_key).await };
    let stored = api.provider_keys.to_the_end(create).await??;
    Ok((stored.organization, Some(stored.info)))
}

/// Changes an organization. Where it is switched off or on, its key at OpenRouter is as well; the text says
/// what did not succeed there.
pub(crate) async fn change(
    caller: &Caller,
    api: &Api,
    id: OrganizationId,
    patch: ClientOrganizationPatch,
) -> Result<(ClientOrganizationModel, Option<String>), ApiError> {
    let services = caller.services(api);
    let change = |keys: ProviderKeys| async move {
        let table = &services.client_organization_db;
        let old = table.get_any_by_id(&id).await?.ok_or_else(unknown_organization)?;
        let row = table.update(&id, patch).await?;
        let is_switched = row.is_active != old.is_active;
        let warning = if is_switched { keys.follow_activity(&services, &row).await } else { None };
        Ok::<_, ApiError>((row, warning))
    };
    api.provider_keys.to_the_end(change).await?
}

/// Makes an organization inactive; the text says what did not succeed at OpenRouter.
pub(crate) async fn deactivate(
    caller: &Caller,
    api: &Api,
    id: OrganizationId,
) -> Result<Option<String>, ApiError> {
    let services = caller.services(api);
    let deactivate = |keys: ProviderKeys| async move {
        let table = &services.client_organization_db;
        if !table.deactivate(&id).await? {
            return Err(unknown_organization());
        }
        let row = table.get_any_by_id(&id).await?.ok_or_else(unknown_organization)?;
        Ok(keys.follow_activity(&services, &row).await)
    };
    api.provider_keys.to_the_end(deactivate).await?
}
