//! The id that OpenRouter gets as `user`: it names a member to OpenRouter without saying who it is.

use mai_primitives::{IdError, OpenRouterUserId, OrganizationId, UserId};

use crate::digest::sha256_hex;

const SEPARATOR: &str = "_user_";
/// Hex digits of the hash in our ids.
const HASH_DIGITS: usize = 16;
/// Hex digits of the hash in the ids of the original system, too few to be unique in a large fleet.
pub(crate) const LEGACY_HASH_DIGITS: usize = 8;

/// The longest organization id that leaves room for `_user_` and the hash.
pub(crate) const MAX_ORGANIZATION_ID_BYTES: usize =
    mai_primitives::ids::MAX_ID_BYTES - SEPARATOR.len() - HASH_DIGITS;

/// `{organization}_user_{first 16 hex digits of the SHA-256 of the user id}`. An organization id that
/// leaves no room for the rest, which none of our tables holds, is an error.
pub fn openrouter_user_id(organization: &OrganizationId, user: &UserId) -> Result<OpenRouterUserId, IdError> {
    let mut hash = sha256_hex(user.as_str());
    hash.truncate(HASH_DIGITS);
    OpenRouterUserId::new(format!("{organization}{SEPARATOR}{hash}"))
}

/// The parts of an id that [`openrouter_user_id`] or the original system made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsedOpenRouterUserId<'a> {
    /// The organization's id.
    pub prefix: &'a str,
    /// The first 16 hex digits of the SHA-256 of the user id, or 8 in an id of the original.
    pub user_hash: &'a str,
}

impl ParsedOpenRouterUserId<'_> {
    /// Whether the id was made for `user`; with 8 digits it may have been made for another as well.
    pub fn may_be(&self, user: &UserId) -> bool {
        sha256_hex(user.as_str()).starts_with(self.user_hash)
    }
}

/// Splits an id; none when it has another form.
pub fn parse_openrouter_user_id(text: &str) -> Option<ParsedOpenRouterUserId<'_>> {
    let (prefix, user_hash) = text.rsplit_once(SEPARATOR)?;
    let is_hash = matches!(user_hash.len(), HASH_DIGITS | LEGACY_HASH_DIGITS)
        && user_hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_hash && !prefix.is_empty()).then_some(ParsedOpenRouterUserId { prefix, user_hash })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn begins_with_what_the_original_would_have_made() {
        let organization = OrganizationId::new("mai_client_3af8b2c1").unwrap();
        let user = UserId::new("00000000-0000-4000-8000-000000000001").unwrap();
        let id = openrouter_user_id(&organization, &user).unwrap();
        // printf %s 00000000-0000-4000-8000-000000000001 | sha256sum
        assert!(id.as_str().starts_with("mai_client_3af8b2c1_user_11e594f4"), "{id}");
        assert_eq!(id.as_str().len(), "mai_client_3af8b2c1_user_".len() + 16);

        let legacy = parse_openrouter_user_id("mai_client_3af8b2c1_user_11e594f4").unwrap();
        assert_eq!((legacy.prefix, legacy.user_hash), ("mai_client_3af8b2c1", "11e594f4"));
        assert!(legacy.may_be(&user));
        assert!(!legacy.may_be(&UserId::new("somebody else").unwrap()));
    }

    #[test]
    fn other_forms_are_not_parsed() {
        for text in [
            "",
            "org_user_",
            "_user_11e594f4",
            "org_user_11e594f",
            "org_user_11E594F4",
            "org_11e594f4",
            "org_user_zzzzzzzz",
        ] {
            assert_eq!(parse_openrouter_user_id(text), None, "{text}");
        }
    }

    #[test]
    fn the_longest_organization_id_just_fits() {
        let user = UserId::new("u").unwrap();
        let id = |bytes| openrouter_user_id(&OrganizationId::new("o".repeat(bytes)).unwrap(), &user);
        assert_eq!(id(MAX_ORGANIZATION_ID_BYTES).unwrap().as_str().len(), 255);
        assert!(id(MAX_ORGANIZATION_ID_BYTES + 1).is_err());
    }

    proptest! {
        #[test]
        fn what_is_made_can_be_parsed(organization in "[a-z_]{1,60}", user in "[^\\p{Cc}]{1,50}") {
            let (Ok(organization), Ok(user)) = (OrganizationId::new(&organization), UserId::new(&user)) else {
                return Ok(());
            };
            let id = openrouter_user_id(&organization, &user).unwrap();
            let parsed = parse_openrouter_user_id(id.as_str()).unwrap();
            prop_assert_eq!(parsed.prefix, organization.as_str());
            prop_assert!(parsed.may_be(&user));
        }
    }
}
