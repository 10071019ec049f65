//! By what a report of usage from outside names its organization, as a part of the directory.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use mai_primitives::{OpenRouterUserId, OrganizationId};
use secrecy::ExposeSecret;

use crate::{digest, directory::OrganizationEntry, openrouter_user::parse_openrouter_user_id};

/// The organizations by their OpenRouter keys and by OpenRouter ids of members that do not tell them.
#[derive(Debug, Default)]
pub(crate) struct Reporters {
    /// By the SHA-256 of the OpenRouter key.
    provider_keys: HashMap<[u8; 32], OrganizationId>,
    /// OpenRouter ids that do not begin with their organization's own id; none where several
    /// organizations have the id.
    unusual_ids: HashMap<OpenRouterUserId, Option<OrganizationId>>,
}

impl Reporters {
    pub(crate) fn of<'a>(organizations: impl Iterator<Item = &'a Arc<OrganizationEntry>>) -> Self {
        let mut reporters = Self::default();
        for one in organizations {
            if let Some(key) = &one.provider_key {
                reporters.provider_keys.insert(digest::sha256(key.expose_secret()), one.id.clone());
            }
            for id in one.openrouter_user_ids.values().filter(|id| !tells(id, &one.id)) {
                match reporters.unusual_ids.entry(id.clone()) {
                    Entry::Vacant(place) => drop(place.insert(Some(one.id.clone()))),
                    Entry::Occupied(mut place) => drop(place.insert(None)),
                }
            }
        }
        reporters
    }

    /// The organization whose key this is. Only hashes are compared, so the time that it takes says
    /// nothing about the keys.
    pub(crate) fn by_provider_key(&self, presented: &str) -> Option<&OrganizationId> {
        self.provider_keys.get(&digest::sha256(presented))
    }

    /// The only organization that has mapped a member to this id, where the id does not tell it.
    pub(crate) fn by_unusual_id(&self, id: &OpenRouterUserId) -> Option<&OrganizationId> {
        self.unusual_ids.get(id)?.as_ref()
    }
}

/// Whether an OpenRouter id names this organization.
fn tells(id: &OpenRouterUserId, organization: &OrganizationId) -> bool {
    parse_openrouter_user_id(id.as_str()).is_some_and(|parsed| parsed.prefix == organization.as_str())
}
