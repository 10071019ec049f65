//! The price of a month of seats: one tier for all, proration by whole days, and a sum of rounded lines.

use mai_global_settings::SubscriptionTiers;
use mai_primitives::{Pln, UnixTime, UsageDate};

use crate::{month::BillingMonth, seats::Seat};

/// What an organization pays for its seats in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The month.
    pub month: BillingMonth,
    /// The tiers by which it is billed.
    pub tiers: SubscriptionTiers,
    /// The place of the tier that holds for all; none where there is no user.
    pub current: Option<usize>,
    /// What a seat costs for the whole month; without a user, what the first one would.
    pub price_per_user: Pln,
    /// The seats, by user id.
    pub lines: Vec<SeatLine>,
    /// The sum of the lines.
    pub total: Pln,
    /// When the month was frozen; none while it can change.
    pub frozen_at: Option<UnixTime>,
}

/// One seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatLine {
    /// Who has it.
    pub seat: Seat,
    /// For how many days of the month, the day of adding included.
    pub days_charged: u32,
    /// The price of the seat for those days, rounded half away from zero to the grosz.
    pub cost: Pln,
}

/// The days of a month for which somebody pays who was added on a day: from that day on, or all of them where it was before
/// the month or nobody knows.
pub fn days_charged(month: BillingMonth, added_on: Option<UsageDate>) -> u32 {
    match added_on {
        Some(day) if BillingMonth::of(day) == month => month.days() + 1 - day.day_of_month(),
        _ => month.days(),
    }
}

/// What the seats of a month cost. None where an amount leaves the range.
///
/// The rules are the original's, but for the sum: it adds the rounded lines, so that it is what anybody gets who adds up
/// the lines that are shown.
pub fn charge(month: BillingMonth, tiers: SubscriptionTiers, seats: Vec<Seat>) -> Option<Subscription> {
    let current = tiers.place_of(u32::try_from(seats.len()).ok()?);
    let price_per_user = tiers.all().get(current.unwrap_or(0))?.price;
    let line = |seat: Seat| {
        let days_charged = days_charged(month, seat.added_on);
        let cost = price_per_user.share(days_charged, month.days())?;
        Some(SeatLine { seat, days_charged, cost })
    };
    let lines = seats.into_iter().map(line).collect::<Option<Vec<_>>>()?;
    let total = Pln::checked_sum(lines.iter().map(|line| line.cost))?;
    Some(Subscription { month, tiers, current, price_per_user, lines, total, frozen_at: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mai_primitives::UserId;
    use proptest::prelude::*;

    fn day(text: &str) -> UsageDate {
        UsageDate::parse(text).unwrap()
    }

    /// A month with so many seats from before it, and one that was added on a day.
    fn month(text: &str, others: usize, added_on: Option<&str>) -> Subscription {
        let seat = |number: usize, added_on| Seat {
            user_id: UserId::new(format!("user-{number}")).unwrap(),
            name: None,
            email: None,
            added_on,
        };
        let mut seats: Vec<_> = (0..others).map(|number| seat(number, Some(day("2000-01-01")))).collect();
        if let Some(added_on) = added_on {
            seats.push(seat(others, Some(day(added_on))));
        }
        charge(text.parse().unwrap(), SubscriptionTiers::default(), seats).unwrap()
    }

    fn last(subscription: &Subscription) -> (u32, String) {
        let line = subscription.lines.last().unwrap();
        (line.days_charged, line.cost.to_string())
    }

    /// The figures that are known of the original.
    #[test]
    fn proration_of_the_original() {
        for (text, others, added_on, days, cost) in [
            ("2026-02", 4, "2026-02-15", 14, "34.50"),
            ("2026-01", 4, "2026-01-31", 1, "2.23"),
            ("2024-02", 0, "2024-02-29", 1, "2.72"),
            ("2026-04", 19, "2026-04-16", 15, "27.00"),
            ("2024-02", 0, "2024-02-01", 29, "79.00"),
            ("2024-02", 0, "2024-02-15", 15, "40.86"),
            ("2026-03", 0, "2026-03-31", 1, "2.55"),
        ] {
            assert_eq!(last(&month(text, others, Some(added_on))), (days, cost.to_owned()), "{added_on}");
        }
    }

    #[test]
    fn one_tier_holds_for_all_and_totals_fall_at_its_edges() {
        for (users, price, total, place) in [
            (0, "79.00", "0.00", None),
            (1, "79.00", "79.00", Some(0)),
            (3, "79.00", "237.00", Some(0)),
            (4, "69.00", "276.00", Some(1)),
            (9, "69.00", "621.00", Some(1)),
            (10, "59.00", "590.00", Some(2)),
            (19, "59.00", "1121.00", Some(2)),
            (20, "54.00", "1080.00", Some(3)),
            (1_000, "54.00", "54000.00", Some(3)),
        ] {
            let month = month("2026-11", users, None);
            let shown = (month.price_per_user.to_string(), month.total.to_string());
            assert_eq!((shown.0.as_str(), shown.1.as_str(), month.current), (price, total, place), "{users}");
        }
    }

    #[test]
    fn who_comes_on_the_last_day_moves_the_tier_of_the_whole_month() {
        let month = month("2026-10", 3, Some("2026-10-31"));
        assert_eq!((month.price_per_user.to_string().as_str(), month.current), ("69.00", Some(1)));
        // 3 x 69 and a 31st of it.
        assert_eq!((last(&month), month.total.to_string()), ((1, "2.23".to_owned()), "209.23".to_owned()));
    }

    #[test]
    fn an_unknown_day_of_adding_is_a_whole_month() {
        let november = "2026-11".parse().unwrap();
        assert_eq!(days_charged(november, None), 30);
        assert_eq!(days_charged(november, Some(day("2026-11-01"))), 30);
        assert_eq!(days_charged(november, Some(day("2025-11-20"))), 30, "a November of another year");
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_its_lines(year in 2000_i32..2100, number in 1_u32..=12, days in prop::collection::vec(0_u64..60, 0..40)) {
            let month: BillingMonth = format!("{year}-{number:02}").parse().unwrap();
            let seats: Vec<_> = days.iter().enumerate().map(|(number, days)| Seat {
                user_id: UserId::new(format!("user-{number}")).unwrap(),
                name: None,
                email: None,
                added_on: (number % 7 != 6).then(|| month.last().minus_days(*days)),
            }).collect();
            let subscription = charge(month, SubscriptionTiers::default(), seats).unwrap();
            let sum: i64 = subscription.lines.iter().map(|line| line.cost.grosz()).sum();
            prop_assert_eq!(subscription.total.grosz(), sum);
            for line in &subscription.lines {
                prop_assert!((1..=month.days()).contains(&line.days_charged));
                prop_assert!(line.cost <= subscription.price_per_user && line.cost > Pln::ZERO);
                // Within half a grosz of the exact share.
                let exact = subscription.price_per_user.grosz() * i64::from(line.days_charged);
                let distance = (line.cost.grosz() * i64::from(month.days()) - exact).abs();
                prop_assert!(distance * 2 <= i64::from(month.days()));
            }
        }
    }
}
