//! Who needs a seat.

use mai_client_organization::MemberModel;
use mai_global_settings::BillableRoles;
use mai_primitives::{OrganizationCalendar, UnixTime, UsageDate, UserId};

use crate::month::BillingMonth;

/// Somebody who needs a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Who.
    pub user_id: UserId,
    /// What people call the user.
    pub name: Option<String>,
    /// The user's address.
    pub email: Option<String>,
    /// The organization's day on which the user was added; none where nobody knows.
    pub added_on: Option<UsageDate>,
}

/// The members who need a seat in a month, in their order: those with a billable role who are active and were added before
/// its end. The members are given as they were at that end, or as they are while the month lasts.
pub fn seats(
    members: Vec<MemberModel>,
    roles: &BillableRoles,
    calendar: OrganizationCalendar,
    month: BillingMonth,
) -> Vec<Seat> {
    let end = calendar.start_of(month.last().plus_days(1));
    let needs_one = |member: &MemberModel| {
        roles.contains(member.role.as_str()) && member.is_active && member.created_at < end
    };
    members.into_iter().filter(needs_one).map(|member| seat(member, calendar)).collect()
}

fn seat(member: MemberModel, calendar: OrganizationCalendar) -> Seat {
    let MemberModel { user_id, name, email, created_at, .. } = member;
    Seat { user_id, name, email, added_on: day_of(created_at, calendar) }
}

/// The local day of an instant. Zero and less is how other systems write that they do not know.
fn day_of(at: UnixTime, calendar: OrganizationCalendar) -> Option<UsageDate> {
    if at.seconds() <= 0 { None } else { calendar.day_at(at) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mai_client_organization::{MemberRole, MemberSource};
    use mai_global_settings::SeatRole;
    use mai_primitives::OrganizationId;

    fn member(created_at: &str, role: MemberRole, is_active: bool) -> MemberModel {
        let at = created_at.parse::<chrono::DateTime<chrono::Utc>>().unwrap().into();
        MemberModel {
            client_org_id: OrganizationId::new("a").unwrap(),
            user_id: UserId::new("anna").unwrap(),
            name: None,
            email: None,
            role,
            source: MemberSource::Api,
            is_active,
            created_at: at,
            updated_at: at,
        }
    }

    /// The days of adding of the seats that a member needs in November.
    fn november(member: MemberModel) -> Vec<Option<String>> {
        let month = "2026-11".parse().unwrap();
        let seats = seats(vec![member], &BillableRoles::default(), OrganizationCalendar::default(), month);
        seats.into_iter().map(|seat| seat.added_on.map(|day| day.to_string())).collect()
    }

    #[test]
    fn the_roles_are_those_of_members() {
        let names: Vec<&str> = MemberRole::ALL.iter().map(|role| role.as_str()).collect();
        assert_eq!(SeatRole::ALL.iter().map(|role| role.as_str()).collect::<Vec<_>>(), names);
    }

    #[test]
    fn a_day_is_the_organizations_own() {
        use MemberRole::Member;
        // Half an hour before and after midnight in Warsaw, at both ends of the month.
        for (created_at, days) in [
            ("2026-10-31T22:30:00Z", vec![Some("2026-10-31".to_owned())]),
            ("2026-10-31T23:30:00Z", vec![Some("2026-11-01".to_owned())]),
            ("2026-11-30T22:30:00Z", vec![Some("2026-11-30".to_owned())]),
            ("2026-11-30T23:30:00Z", vec![]),
            ("1970-01-01T00:00:00Z", vec![None]),
        ] {
            assert_eq!(november(member(created_at, Member, true)), days, "{created_at}");
        }
    }

    #[test]
    fn only_active_members_with_a_billable_role_need_a_seat() {
        let (old, after) = ("2026-01-01T12:00:00Z", "2026-12-01T12:00:00Z");
        for (member, seats) in [
            (member(old, MemberRole::Admin, true), 1),
            (member(old, MemberRole::Pending, true), 0),
            (member(old, MemberRole::Member, false), 0),
            (member(after, MemberRole::Member, true), 0),
        ] {
            assert_eq!(november(member.clone()).len(), seats, "{member:?}");
        }
    }
}
