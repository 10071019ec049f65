//! What a month that runs will probably cost.
//!
//! Usage of organizations follows the week. So each day to come is taken to cost what the same weekday cost
//! on average over the last four weeks, and the bounds are those of a rest of the month like the cheapest
//! and like the dearest of these weeks. Today counts as the greater of what it has cost so far and what its
//! weekday costs. It is an estimate for people; nothing is billed by it.

use mai_primitives::{UsageDate, Usd};

use crate::model::ClientDailyUsageModel;

/// How many weeks before today are looked at, at most.
const WEEKS: u64 = 4;

/// What the client will be charged for the present month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// What is probable.
    pub total: Usd,
    /// With a rest of the month like the cheapest of the weeks looked at.
    pub low: Usd,
    /// With a rest like the dearest.
    pub high: Usd,
    /// What is probably still to come of today and of each day after it, in their order up to the month's end.
    /// With what was spent they add up to the total.
    pub days: Vec<(UsageDate, Usd)>,
}

/// The forecast of the month of `today`, from the rows of the days before; none without usage in the week
/// before today. A week counts where it or an earlier one of the four has usage.
pub(crate) fn of_month(rows: &[ClientDailyUsageModel], today: UsageDate) -> Option<Forecast> {
    let cost_of = |day: UsageDate| -> i128 {
        let row = rows.iter().find(|row| row.usage_date == day);
        row.map_or(0, |row| row.markup_cost.nanos().into())
    };
    // The costs of seven days, of which the last is that many weeks before yesterday.
    let week = |back: u64| -> [i128; 7] {
        let mut costs = [0; 7];
        for (days, cost) in (1..=7_u64).zip(costs.iter_mut()) {
            *cost = cost_of(today.minus_days(back * 7 + 8 - days));
        }
        costs
    };
    let mut weeks: Vec<[i128; 7]> = (0..WEEKS).map(week).collect();
    while weeks.last().is_some_and(|week| week.iter().all(|cost| *cost == 0)) {
        weeks.pop();
    }
    let count = i128::try_from(weeks.len()).ok().filter(|count| *count > 0)?;
    let sums: Vec<i128> = weeks.iter().map(|week| week.iter().sum()).collect();
    let (all, least, most) = (sums.iter().sum::<i128>(), *sums.iter().min()?, *sums.iter().max()?);
    // The first of the seven has the weekday of today.
    let expected = |ahead: u64| -> i128 {
        let place = usize::try_from(ahead % 7).unwrap_or(0);
        weeks.iter().filter_map(|week| week.get(place)).sum::<i128>() / count
    };
    let ahead = u64::from(today.days_in_month().saturating_sub(today.day_of_month()));
    let spent: i128 = rows
        .iter()
        .filter(|row| row.usage_date >= today.first_of_month() && row.usage_date <= today)
        .map(|row| i128::from(row.markup_cost.nanos()))
        .sum();
    let rest_of_today = (expected(0) - cost_of(today)).max(0);
    let to_come: Vec<i128> = std::iter::once(rest_of_today).chain((1..=ahead).map(expected)).collect();
    let sum_to_come: i128 = to_come.iter().sum();
    let usd = |nanos: i128| i64::try_from(nanos).ok().map(Usd::from_nanos);
    let scaled = |sum: i128| {
        sum_to_come
            .checked_mul(sum)
            .and_then(|product| product.checked_mul(count))
            .map(|product| product / all.max(1))
    };
    let days = (0..).zip(to_come).map(|(days, cost)| Some((today.plus_days(days), usd(cost)?)));
    Some(Forecast {
        total: usd(spent + sum_to_come)?,
        low: usd(spent + scaled(least)?)?,
        high: usd(spent + scaled(most)?)?,
        days: days.collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use mai_primitives::{OrganizationId, UnixTime};

    use super::*;

    fn day(text: &str) -> UsageDate {
        UsageDate::parse(text).unwrap()
    }

    fn row(usage_date: UsageDate, dollars: i64) -> ClientDailyUsageModel {
        ClientDailyUsageModel {
            client_org_id: OrganizationId::new("org").unwrap(),
            usage_date,
            total_tokens: 1,
            total_requests: 1,
            raw_cost: Usd::ZERO,
            markup_cost: Usd::from_nanos(dollars * 1_000_000_000),
            primary_model: None,
            unique_users: 1,
            created_at: UnixTime::from_seconds(0),
            updated_at: UnixTime::from_seconds(0),
            usd_pln_rate: None,
            rate_table_no: None,
            rate_effective_date: None,
        }
    }

    fn dollars(forecast: &Forecast) -> [i64; 3] {
        [forecast.low, forecast.total, forecast.high].map(|amount| amount.nanos() / 1_000_000_000)
    }

    #[test]
    fn the_same_every_day_goes_on() {
        let today = day("2026-11-16");
        let rows: Vec<_> = (1..=28).map(|back| row(today.minus_days(back), 2)).collect();
        let forecast = of_month(&rows, today).unwrap();
        assert_eq!(dollars(&forecast), [60, 60, 60]);
        assert_eq!(
            (forecast.days.len(), forecast.days[0].0, forecast.days[14].0),
            (15, today, day("2026-11-30"))
        );
    }

    #[test]
    fn weekdays_repeat_and_today_counts_at_least_what_it_cost() {
        // A Monday; only Mondays cost something, 7 dollars, and today has cost 9 already.
        let today = day("2026-11-16");
        let mut rows: Vec<_> = (1..=4).map(|weeks| row(today.minus_days(weeks * 7), 7)).collect();
        rows.push(row(today, 9));
        let forecast = of_month(&rows, today).unwrap();
        let mondays: Vec<_> =
            forecast.days.iter().filter(|(_, cost)| *cost > Usd::ZERO).map(|(day, _)| *day).collect();
        assert_eq!(mondays, [day("2026-11-23"), day("2026-11-30")]);
        // The 2nd, the 9th, today and the two to come.
        assert_eq!(dollars(&forecast), [37, 37, 37]);
    }

    #[test]
    fn the_days_to_come_and_what_was_spent_are_the_total() {
        let today = day("2026-11-16");
        let mut rows: Vec<_> = (1..=28).map(|back| row(today.minus_days(back), 2)).collect();
        rows.push(row(today, 1));
        let forecast = of_month(&rows, today).unwrap();
        // A dollar of today is still to come.
        assert_eq!(forecast.days[0], (today, Usd::from_nanos(1_000_000_000)));
        let to_come: i64 = forecast.days.iter().map(|(_, cost)| cost.nanos()).sum();
        // Fifteen days and the dollar of today were spent.
        assert_eq!(forecast.total.nanos(), 31 * 1_000_000_000 + to_come);
    }

    #[test]
    fn the_bounds_are_the_cheapest_and_the_dearest_week() {
        let today = day("2026-11-15");
        let rows: Vec<_> =
            (1..=28).map(|back| row(today.minus_days(back), if back <= 7 { 4 } else { 2 })).collect();
        // Spent 7 x 4 + 7 x 2 = 42; 16 days of 2.50 to come, times 14/17.5 and 28/17.5.
        assert_eq!(dollars(&of_month(&rows, today).unwrap()), [74, 82, 106]);
    }

    #[test]
    fn without_usage_before_today_nothing_is_foretold() {
        let today = day("2026-11-15");
        assert_eq!(of_month(&[], today), None);
        assert_eq!(of_month(&[row(today, 5)], today), None);
        // The last day of a month has nothing to come but its own rest.
        let last = day("2026-11-30");
        let forecast = of_month(&[row(last.minus_days(7), 3)], last).unwrap();
        assert_eq!((dollars(&forecast), forecast.days.len()), ([6, 6, 6], 1));
    }
}
