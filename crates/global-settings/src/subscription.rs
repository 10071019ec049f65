//! What a seat costs by how many users there are, and who needs one.

use std::{fmt, str::FromStr};

use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    serialize::{self, Output, ToSql},
    sql_types::Text,
};
use mai_primitives::Pln;
use mai_storage::text_enum;
use thiserror::Error;

/// The most tiers that there may be.
const MAX_TIERS: usize = 20;

/// The greatest price of a seat: a million złoty a month.
const MAX_PRICE: Pln = Pln::from_grosz(100_000_000);

/// Why tiers or roles are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SubscriptionError {
    /// There must be one tier at least, and 20 at most.
    #[error("there must be 1 to 20 tiers")]
    Count,
    /// The first tier is for one user on.
    #[error("the first tier must begin with 1 user")]
    Beginning,
    /// A tier ends where the next one begins, without a gap or an overlap.
    #[error("each tier must begin with the user after the last one of the tier before")]
    Gap,
    /// Whatever number of users there is, there is a tier.
    #[error("the last tier, and no other, must be without an end")]
    End,
    /// A price must be 0 to 1,000,000 PLN, in whole grosz.
    #[error("a price must be 0 to 1000000 PLN with at most two decimals")]
    Price,
    /// Somebody must need a seat, and each role is named once.
    #[error("name one or more of `admin`, `member`, `pending`, each once")]
    Roles,
    /// The text is not in the form that is stored.
    #[error("the tiers cannot be read")]
    Text,
}

/// One tier: what each user costs while there are so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionTier {
    /// From so many users on.
    pub from: u32,
    /// Up to so many users; none for the last tier.
    pub to: Option<u32>,
    /// For one user and month.
    pub price: Pln,
}

/// The tiers, ascending and without a gap. They are stored as `1-3:7900,4+:6900`, in grosz.
#[derive(Debug, Clone, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct SubscriptionTiers {
    tiers: Vec<SubscriptionTier>,
    text: String,
}

impl Default for SubscriptionTiers {
    /// The original's: 79, 69, 59 and 54 PLN from 1, 4, 10 and 20 users on.
    fn default() -> Self {
        let tier = |from, to, grosz| SubscriptionTier { from, to, price: Pln::from_grosz(grosz) };
        Self::checked(vec![
            tier(1, Some(3), 7_900),
            tier(4, Some(9), 6_900),
            tier(10, Some(19), 5_900),
            tier(20, None, 5_400),
        ])
    }
}

impl SubscriptionTiers {
    /// Checks that there is exactly one tier for every number of users.
    pub fn new(tiers: Vec<SubscriptionTier>) -> Result<Self, SubscriptionError> {
        if tiers.is_empty() || tiers.len() > MAX_TIERS {
            return Err(SubscriptionError::Count);
        }
        let mut next = Some(1);
        for (place, tier) in tiers.iter().enumerate() {
            let Some(expected) = next else { return Err(SubscriptionError::End) };
            if tier.from != expected {
                return Err(if place == 0 { SubscriptionError::Beginning } else { SubscriptionError::Gap });
            }
            if !(Pln::ZERO..=MAX_PRICE).contains(&tier.price) {
                return Err(SubscriptionError::Price);
            }
            next = match tier.to {
                Some(to) if to < tier.from => return Err(SubscriptionError::Gap),
                Some(to) => Some(to.checked_add(1).ok_or(SubscriptionError::End)?),
                None => None,
            };
        }
        if next.is_some() { Err(SubscriptionError::End) } else { Ok(Self::checked(tiers)) }
    }

    fn checked(tiers: Vec<SubscriptionTier>) -> Self {
        let text = |tier: &SubscriptionTier| {
            let SubscriptionTier { from, to, price } = tier;
            let users = to.map_or_else(|| format!("{from}+"), |to| format!("{from}-{to}"));
            format!("{users}:{}", price.grosz())
        };
        Self { text: tiers.iter().map(text).collect::<Vec<_>>().join(","), tiers }
    }

    /// The tiers, ascending.
    pub fn all(&self) -> &[SubscriptionTier] {
        &self.tiers
    }

    /// The place of the tier for so many users; none where there is no user.
    pub fn place_of(&self, users: u32) -> Option<usize> {
        self.tiers.iter().position(|tier| users >= tier.from && tier.to.is_none_or(|to| users <= to))
    }
}

impl FromStr for SubscriptionTiers {
    type Err = SubscriptionError;

    fn from_str(text: &str) -> Result<Self, SubscriptionError> {
        let tier = |text: &str| {
            let (users, grosz) = text.split_once(':')?;
            let (from, to) = match users.strip_suffix('+') {
                Some(from) => (from, None),
                None => users.split_once('-').map(|(from, to)| (from, Some(to)))?,
            };
            Some(SubscriptionTier {
                from: from.parse().ok()?,
                to: to.map(str::parse).transpose().ok()?,
                price: Pln::from_grosz(grosz.parse().ok()?),
            })
        };
        let tiers: Option<Vec<_>> = text.split(',').map(tier).collect();
        Self::new(tiers.ok_or(SubscriptionError::Text)?)
    }
}

text_enum! {
    /// A role of a member that may need a seat, by the name that members have it by.
    pub enum SeatRole {
        /// Sees everything of the organization.
        Admin = "admin",
        /// Sees the own usage.
        Member = "member",
        /// Signed up, and nobody has let them in.
        Pending = "pending",
    }
}

/// The roles of members who need a seat. They are stored as `admin,member`.
#[derive(Debug, Clone, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct BillableRoles {
    roles: Vec<SeatRole>,
    text: String,
}

impl Default for BillableRoles {
    /// Administrators and members. Who is pending cannot do anything, and costs nothing.
    fn default() -> Self {
        Self::checked(vec![SeatRole::Admin, SeatRole::Member])
    }
}

impl BillableRoles {
    /// Checks that there is one role at least and none twice.
    pub fn new(mut roles: Vec<SeatRole>) -> Result<Self, SubscriptionError> {
        let named = roles.len();
        roles.sort_unstable();
        roles.dedup();
        if roles.is_empty() || roles.len() < named {
            return Err(SubscriptionError::Roles);
        }
        Ok(Self::checked(roles))
    }

    fn checked(roles: Vec<SeatRole>) -> Self {
        Self { text: roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(","), roles }
    }

    /// The roles, in the order of their definition.
    pub fn all(&self) -> &[SeatRole] {
        &self.roles
    }

    /// Whether a member with the role of this name needs a seat.
    pub fn contains(&self, role: &str) -> bool {
        self.roles.iter().any(|billable| billable.as_str() == role)
    }
}

impl FromStr for BillableRoles {
    type Err = SubscriptionError;

    fn from_str(text: &str) -> Result<Self, SubscriptionError> {
        let roles: Result<Vec<SeatRole>, String> = text.split(',').map(str::parse).collect();
        Self::new(roles.map_err(|_| SubscriptionError::Roles)?)
    }
}

/// A type that keeps the text in which it is stored.
macro_rules! text_column {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl<DB: Backend> ToSql<Text, DB> for $name
        where
            str: ToSql<Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                ToSql::<Text, DB>::to_sql(self.text.as_str(), out)
            }
        }

        impl<DB: Backend> FromSql<Text, DB> for $name
        where
            String: FromSql<Text, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
                Ok(<String as FromSql<Text, DB>>::from_sql(bytes)?.parse()?)
            }
        }
    };
}

text_column!(SubscriptionTiers);
text_column!(BillableRoles);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<SubscriptionTiers, SubscriptionError> {
        text.parse()
    }

    #[test]
    fn the_default_tiers_are_the_originals() {
        let tiers = SubscriptionTiers::default();
        assert_eq!(tiers.to_string(), "1-3:7900,4-9:6900,10-19:5900,20+:5400");
        assert_eq!(parse(&tiers.to_string()), Ok(tiers.clone()));
        for (users, place) in [
            (0, None),
            (1, Some(0)),
            (3, Some(0)),
            (4, Some(1)),
            (9, Some(1)),
            (10, Some(2)),
            (19, Some(2)),
            (20, Some(3)),
            (u32::MAX, Some(3)),
        ] {
            assert_eq!(tiers.place_of(users), place, "{users}");
        }
    }

    #[test]
    fn there_is_one_tier_for_every_number_of_users() {
        use SubscriptionError::{Beginning, Count, End, Gap, Price, Text};
        for (text, expected) in [
            ("2+:100", Beginning),
            ("0-3:100,4+:90", Beginning),
            ("1-3:100,5+:90", Gap),
            ("1-3:100,3+:90", Gap),
            ("1-3:100,4-2:90", Gap),
            ("1-3:100", End),
            ("1+:100,2+:90", End),
            ("1-4294967295:100", End),
            ("1+:-1", Price),
            ("1+:100000001", Price),
            ("", Text),
            ("1:100", Text),
            ("1+:1.5", Text),
            ("1+", Text),
        ] {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
        let many: Vec<String> = (1..=20).map(|users| format!("{users}-{users}:1")).collect();
        assert_eq!(parse(&format!("{},21+:1", many.join(","))), Err(Count));
        assert_eq!(SubscriptionTiers::new(Vec::new()), Err(Count));
        assert!(parse("1+:0").is_ok() && parse("1-1:5,2-2:4,3+:100000000").is_ok());
    }

    #[test]
    fn roles_are_named_once() {
        assert_eq!(BillableRoles::default().to_string(), "admin,member");
        let roles: BillableRoles = "pending,admin".parse().unwrap();
        assert_eq!(roles.to_string(), "admin,pending");
        assert!(roles.contains("admin") && !roles.contains("member"));
        for wrong in ["", "admin,admin", "owner", "admin,"] {
            assert_eq!(wrong.parse::<BillableRoles>(), Err(SubscriptionError::Roles), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_accepted_list_names_one_tier_for_any_users(ends in prop::collection::btree_set(1_u32..1_000, 0..19), users in 1_u32..2_000) {
            let mut from = 1;
            let mut tiers = Vec::new();
            for end in ends {
                tiers.push(SubscriptionTier { from, to: Some(end), price: Pln::from_grosz(i64::from(end)) });
                from = end + 1;
            }
            tiers.push(SubscriptionTier { from, to: None, price: Pln::ZERO });
            let tiers = SubscriptionTiers::new(tiers).unwrap();
            let fitting = tiers.all().iter().filter(|tier| users >= tier.from && tier.to.is_none_or(|to| users <= to));
            prop_assert_eq!(fitting.count(), 1);
            prop_assert_eq!(parse(&tiers.to_string()).unwrap(), tiers);
        }
    }
}
