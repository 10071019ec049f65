//! [`Said`]: what trusted clients have told of members, so that only news travels with a call.
//!
//! Whoever is not known yet is told of with every call. Of whoever is known the name and the address
//! were told once since the start, and are told again when they change.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

use mai_capture::call::NewMember;
use mai_primitives::{OrganizationId, UserId};

/// How many members are remembered. Beyond them everybody is forgotten, which costs a look at each once
/// more.
const REMEMBERED: usize = 100_000;

/// What was told of members since the start. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Said(Arc<Mutex<HashMap<(OrganizationId, UserId), u64>>>);

impl Said {
    /// Whether a client tells more or something else of a member than the last time.
    pub(super) fn is_news(&self, organization: &OrganizationId, user: &UserId, said: &NewMember) -> bool {
        if said.name.is_none() && said.email.is_none() {
            return false;
        }
        let mut hasher = DefaultHasher::new();
        (&said.name, &said.email).hash(&mut hasher);
        let mark = hasher.finish();
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (organization.clone(), user.clone());
        if remembered.get(&key) == Some(&mark) {
            return false;
        }
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(key, mark);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_news() {
        let said = Said::default();
        let named = |name: &str| NewMember { name: Some(name.into()), ..NewMember::default() };
        let (a, b) = (OrganizationId::new("a").unwrap(), OrganizationId::new("b").unwrap());
        let user = UserId::new("u").unwrap();
        assert!(said.is_news(&a, &user, &named("Ewa")));
        assert!(!said.clone().is_news(&a, &user, &named("Ewa")));
        assert!(!said.is_news(&a, &user, &NewMember::default()), "silence");
        assert!(!said.is_news(&a, &user, &NewMember { role: Some("admin".into()), ..named("Ewa") }));
        assert!(said.is_news(&b, &user, &named("Ewa")));
        assert!(said.is_news(&a, &user, &NewMember { email: Some("e@x.example".into()), ..named("Ewa") }));
        assert!(said.is_news(&a, &user, &named("Ewa")));
    }
}
