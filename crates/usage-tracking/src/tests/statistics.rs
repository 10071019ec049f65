//! Every statistic of random usage against plain loops over the generations.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use mai_client_organization::{MemberForm, MemberRole, MemberSource, MemberTable};
use mai_generation_processing::NewGeneration;
use mai_primitives::{UsageDate, UserId};
use mai_storage::{Storage, testing::TestDb};
use proptest::{prelude::*, test_runner::TestRunner};

use super::{NOON, clock, create_organization, day, on, org, record_generations, service, used, wait};
use crate::{
    CATALOGUE, ClientUsageTable, Days, Listing, Totals,
    range::DayRange,
    stats::{
        costs::UnitCosts,
        series::{DailyUsage, GroupBy, Metric, SeriesOf},
        users::Activity,
    },
};

/// The members of the registry; only the first three are active and let in.
const REGISTERED: [&str; 5] = ["user-0", "user-1", "idle", "left", "pending"];
const MODELS: [&str; 5] = ["openai/o3", "openai/other", "lab/x", "lab/y", "plain"];

/// A generation: day from the first, user, model, tokens, nano-dollars.
type Draft = (u64, u8, u8, u8, u16);

fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    // Few values, so that days, members and models meet.
    prop::collection::vec((0..100_u64, 0..4_u8, 0..5_u8, 0..3_u8, 0..1_000_u16), 0..60)
}

fn first() -> UsageDate {
    day("2026-04-20")
}

fn generation(organization: &str, index: usize, (age, user, model, tokens, nanos): Draft) -> NewGeneration {
    let user = format!("user-{user}");
    let model = MODELS[usize::from(model)];
    let mut new = used(&format!("gen-{index}"), &user, model, i64::from(tokens), i64::from(nanos));
    new.client_org_id = org(organization);
    on(&first().plus_days(age).to_string(), new)
}

fn register(storage: &Storage, organization: &str) {
    let form = |id: &&str| MemberForm {
        user_id: UserId::new(id).unwrap(),
        name: Some(format!("Name of {id}")),
        email: Some(format!("{id}@example.com")),
        role: if *id == "pending" { MemberRole::Pending } else { MemberRole::Member },
        source: MemberSource::Csv,
        is_active: *id != "left",
    };
    let members = MemberTable::new(storage.clone(), std::sync::Arc::new(clock("2026-07-15T12:00:00Z")));
    let forms = REGISTERED.iter().map(form).collect();
    wait(members.upsert(&org(organization), forms)).unwrap();
}

/// The generations of a range, and what they add up to by whatever key.
struct Plain<'a>(Vec<&'a NewGeneration>);

impl<'a> Plain<'a> {
    fn of(all: &'a [NewGeneration], from: UsageDate, to: UsageDate) -> Self {
        Self(all.iter().filter(|one| (from..=to).contains(&one.generation_date)).collect())
    }

    fn by<K: Ord>(&self, key: impl Fn(&NewGeneration) -> K) -> BTreeMap<K, Totals> {
        let mut sums: BTreeMap<K, Totals> = BTreeMap::new();
        for one in &self.0 {
            let sum = sums.entry(key(one)).or_default();
            *sum = sum.checked_add(part(one)).unwrap();
        }
        sums
    }

    fn count<K: Ord>(&self, key: impl Fn(&NewGeneration) -> K) -> i64 {
        i64::try_from(self.by(key).len()).unwrap()
    }

    fn totals(&self) -> Totals {
        Totals::sum(self.0.iter().map(|one| part(one))).unwrap()
    }
}

fn part(one: &NewGeneration) -> Totals {
    Totals {
        tokens: one.input_tokens + one.output_tokens,
        requests: 1,
        raw_cost: one.total_cost,
        markup_cost: one.markup_rate.apply(one.total_cost).unwrap(),
    }
}

#[test]
fn every_statistic_agrees_with_the_generations() {
    TestDb::each(|storage| {
        let case = Cell::new(0);
        let now = clock("2026-07-15T12:00:00Z");
        let usage = service(storage, &now);
        let config = ProptestConfig { cases: 25, failure_persistence: None, ..ProptestConfig::default() };
        let cases = (drafts(), 0..100_u64, 0..60_u64, 0..4_usize);
        let check = |(drafts, start, length, top): (Vec<Draft>, u64, u64, usize)| {
            case.set(case.get() + 1);
            let name = format!("org-{}", case.get());
            create_organization(storage, &name, &now);
            register(storage, &name);
            let all: Vec<NewGeneration> =
                drafts.into_iter().enumerate().map(|(at, draft)| generation(&name, at, draft)).collect();
            let booked = storage.write_blocking(|conn| record_generations(conn, &org(&name), &all, NOON));
            booked.unwrap();
            let from = first().plus_days(start);
            let to = from.plus_days(length);
            let asked = Asked { usage: &usage, name: &name, from, to, all: &all };
            asked.users()?;
            asked.models()?;
            asked.series(top)?;
            asked.engagement()?;
            asked.trend()?;
            asked.costs()
        };
        TestRunner::new(config).run(&cases, check).unwrap();
    });
}

struct Asked<'a> {
    usage: &'a ClientUsageTable,
    name: &'a str,
    from: UsageDate,
    to: UsageDate,
    all: &'a [NewGeneration],
}

type Checked = Result<(), TestCaseError>;

impl Asked<'_> {
    fn days(&self) -> Days {
        Days { start: Some(self.from), end: Some(self.to) }
    }

    fn plain(&self) -> Plain<'_> {
        Plain::of(self.all, self.from, self.to)
    }

    fn users(&self) -> Checked {
        let list = |activity| {
            let org = org(self.name);
            let listed = self.usage.users(&org, self.days(), activity, Listing::default());
            let listed = wait(listed).unwrap();
            assert_eq!((listed.range.from(), listed.range.to()), (self.from, self.to));
            listed.page
        };
        let page = list(Activity::All);
        let mut expected = self.plain().by(|one| one.user_id.to_string());
        for idle in REGISTERED {
            expected.entry(idle.to_owned()).or_default();
        }
        let found: BTreeMap<String, Totals> =
            page.items.iter().map(|user| (user.user_id.to_string(), user.totals)).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(page.items.len(), expected.len());
        prop_assert_eq!((page.totals, page.count), (self.plain().totals(), expected.len()));
        for user in &page.items {
            let mut own = self.plain();
            own.0.retain(|one| one.user_id == user.user_id);
            prop_assert_eq!(user.days_active, own.count(|one| one.generation_date));
            prop_assert_eq!(user.last_activity.is_some(), user.days_active > 0);
            prop_assert!(user.openrouter_user_id.is_some());
            let registered = REGISTERED.contains(&user.user_id.as_str());
            prop_assert_eq!(user.member.is_some(), registered);
            prop_assert_eq!(user.email().is_some(), registered);
        }
        let costs: Vec<_> = page.items.iter().map(|user| user.totals.markup_cost).collect();
        prop_assert!(costs.is_sorted_by(|a, b| a >= b));

        let (active, idle) = (list(Activity::Active), list(Activity::Idle));
        prop_assert_eq!(active.matched + idle.matched, page.count);
        prop_assert_eq!((active.matched_totals, idle.matched_totals), (page.totals, Totals::default()));
        prop_assert_eq!(idle.totals, page.totals);
        for user in REGISTERED.iter().chain(&["user-3"]) {
            let user = UserId::new(user).unwrap();
            let own = wait(self.usage.own_usage(&org(self.name), Some(user.clone()), self.days())).unwrap();
            prop_assert_eq!(own.totals, expected.get(user.as_str()).copied().unwrap_or_default());
        }
        Ok(())
    }

    fn models(&self) -> Checked {
        let org = org(self.name);
        let models = wait(self.usage.models(&org, self.days(), Listing::default())).unwrap().page;
        let mut expected = self.plain().by(|one| one.model_name.to_string());
        for offered in CATALOGUE {
            expected.entry(offered.id.to_owned()).or_default();
        }
        let found: BTreeMap<String, Totals> =
            models.items.iter().map(|model| (model.model_name.to_string(), model.totals)).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(models.totals, self.plain().totals());
        for model in &models.items {
            let mut own = self.plain();
            own.0.retain(|one| one.model_name == model.model_name);
            prop_assert_eq!(model.days_used, own.count(|one| one.generation_date));
            prop_assert_eq!(
                model.in_catalogue,
                CATALOGUE.iter().any(|one| one.id == model.model_name.as_str())
            );
        }

        let providers = wait(self.usage.providers(&org, self.days(), Listing::default())).unwrap().page;
        prop_assert_eq!(providers.totals, self.plain().totals());
        let author = |one: &NewGeneration| one.model_name.author().map(str::to_owned);
        let expected = self.plain().by(author);
        for provider in &providers.items {
            let mut own = self.plain();
            own.0.retain(|one| author(one) == provider.slug);
            let sums = expected.get(&provider.slug).copied().unwrap_or_default();
            prop_assert_eq!(provider.totals, sums);
            prop_assert_eq!(provider.days_used, own.count(|one| one.generation_date));
            prop_assert_eq!(provider.models_used, own.count(|one| one.model_name.clone()));
        }
        let used = providers.items.iter().filter(|provider| provider.totals.requests > 0).count();
        prop_assert_eq!(used, expected.len());
        Ok(())
    }

    fn series(&self, top: usize) -> Checked {
        let read = |group_by, metric| {
            wait(self.usage.daily_usage(&org(self.name), self.days(), group_by, metric, top)).unwrap()
        };
        let plain = read(GroupBy::Nothing, Metric::Cost);
        let by_day: BTreeMap<UsageDate, Totals> =
            plain.days.iter().map(|row| (row.usage_date, Totals::from(row))).collect();
        prop_assert_eq!(by_day, self.plain().by(|one| one.generation_date));
        prop_assert_eq!(plain.totals, self.plain().totals());
        prop_assert!(plain.series.is_empty());
        for metric in [Metric::Cost, Metric::Tokens, Metric::Requests] {
            let user = |one: &NewGeneration| one.user_id.to_string();
            self.one_series(&read(GroupBy::User, metric), metric, top, user)?;
            let model = |one: &NewGeneration| one.model_name.to_string();
            self.one_series(&read(GroupBy::Model, metric), metric, top, model)?;
            let author = |one: &NewGeneration| one.model_name.author().unwrap_or_default().to_owned();
            self.one_series(&read(GroupBy::Provider, metric), metric, top, author)?;
        }
        Ok(())
    }

    fn one_series(
        &self,
        found: &DailyUsage,
        metric: Metric,
        top: usize,
        key: impl Fn(&NewGeneration) -> String,
    ) -> Checked {
        let sums = self.plain().by(&key);
        let named: Vec<(&str, Totals)> = found
            .series
            .iter()
            .filter_map(|series| match &series.who {
                SeriesOf::One { id, .. } => Some((id.as_str(), series.totals)),
                SeriesOf::Others => None,
            })
            .collect();
        prop_assert_eq!(named.len(), top.min(sums.len()));
        let mut figures: Vec<i64> = sums.values().map(|totals| metric.of(totals)).collect();
        figures.sort_by_key(|figure| std::cmp::Reverse(*figure));
        for ((id, totals), figure) in named.iter().zip(figures) {
            prop_assert_eq!(Some(totals), sums.get(*id));
            prop_assert_eq!(metric.of(totals), figure);
        }
        prop_assert_eq!(found.series.len() - named.len(), usize::from(sums.len() > top));
        for (place, row) in found.days.iter().enumerate() {
            let day = Totals::sum(found.series.iter().map(|series| series.per_day[place].0)).unwrap();
            prop_assert_eq!(day, Totals::from(row));
        }
        let whole = Totals::sum(found.series.iter().map(|series| series.totals)).unwrap();
        prop_assert_eq!(whole, found.totals);
        Ok(())
    }

    fn engagement(&self) -> Checked {
        let found = wait(self.usage.engagement(&org(self.name), self.days())).unwrap();
        let plain = self.plain();
        let before = Plain::of(self.all, first(), self.from.minus_days(1)).by(|one| one.user_id.clone());
        let users = plain.by(|one| one.user_id.clone());
        let new = users.keys().filter(|user| !before.contains_key(user)).count();
        prop_assert_eq!(found.active_users, i64::try_from(users.len()).unwrap());
        prop_assert_eq!(found.new_users, i64::try_from(new).unwrap());
        prop_assert_eq!(found.returning_users, found.active_users - found.new_users);
        prop_assert_eq!(found.totals, plain.totals());
        prop_assert_eq!(found.active_days, plain.count(|one| one.generation_date));
        prop_assert_eq!(found.user_days, plain.count(|one| (one.generation_date, one.user_id.clone())));
        let known = |user: &UserId| ["user-0", "user-1", "idle"].contains(&user.as_str());
        let seen = users.keys().filter(|user| known(user)).count();
        prop_assert_eq!(found.members, 3);
        prop_assert_eq!(found.members_without_usage, 3 - i64::try_from(seen).unwrap());
        let mut seen: BTreeSet<UserId> = before.into_keys().collect();
        for day in &found.days {
            let mut own = self.plain();
            own.0.retain(|one| one.generation_date == day.date);
            let users = own.by(|one| one.user_id.clone());
            prop_assert_eq!(day.active_users, i64::try_from(users.len()).unwrap());
            let new = users.into_keys().filter(|user| seen.insert(user.clone())).count();
            prop_assert_eq!(day.new_users, i64::try_from(new).unwrap());
        }
        Ok(())
    }

    fn trend(&self) -> Checked {
        let found = wait(self.usage.trend(&org(self.name), Some(self.to), 3)).unwrap();
        prop_assert_eq!(found.months.len(), 3);
        let last = &found.months[2];
        // What has not come yet is no part of a month that runs.
        let end = self.to.min(day("2026-07-15"));
        prop_assert_eq!(last.range, DayRange::new(end.first_of_month(), end).unwrap());
        prop_assert_eq!(last.is_complete, end.day_of_month() == end.days_in_month());
        let figures = |range: DayRange| Plain::of(self.all, range.from(), range.to());
        for month in &found.months {
            let plain = figures(month.range);
            prop_assert_eq!(month.figures.totals, plain.totals());
            prop_assert_eq!(month.figures.active_users, plain.count(|one| one.user_id.clone()));
            prop_assert_eq!(month.figures.days_with_usage, plain.count(|one| one.generation_date));
            let before = month.range.from().minus_days(1);
            let before = Plain::of(self.all, before.first_of_month(), before).totals();
            let (now, then) = (month.figures.totals.requests, before.requests);
            // The number nearest to a quotient, once more and in another way.
            let nearest = (then > 0).then(|| {
                let millionths = (now - then) * 1_000_000;
                let down = millionths.div_euclid(then);
                let (below, above) = (millionths - down * then, (down + 1) * then - millionths);
                if below < above || (below == above && millionths < 0) { down } else { down + 1 }
            });
            prop_assert_eq!(month.change.requests_ppm, nearest);
        }
        let same = &found.same_days_before;
        prop_assert_eq!(same.figures.totals, figures(same.range).totals());
        let days = i64::from(end.day_of_month()).min(i64::from(same.range.from().days_in_month()));
        prop_assert_eq!(same.range.days(), days);
        prop_assert_eq!(same.range.from(), end.first_of_month().minus_days(1).first_of_month());
        Ok(())
    }

    fn costs(&self) -> Checked {
        let found = wait(self.usage.cost_analytics(&org(self.name), self.days())).unwrap();
        prop_assert_eq!(found.totals, self.plain().totals());
        prop_assert_eq!(found.active_users, self.plain().count(|one| one.user_id.clone()));
        let by = |list: &[crate::ModelUsage]| Totals::sum(list.iter().map(|model| model.totals)).unwrap();
        prop_assert_eq!((by(&found.by_cost), by(&found.by_tokens)), (found.totals, found.totals));
        prop_assert!(found.by_tokens.is_sorted_by(|a, b| a.totals.tokens >= b.totals.tokens));
        prop_assert!(found.by_cost.is_sorted_by(|a, b| a.totals.markup_cost >= b.totals.markup_cost));
        let unit = UnitCosts::of(&found.totals);
        prop_assert_eq!(unit.per_request.is_some(), found.totals.requests > 0);
        prop_assert_eq!(unit.per_1k_tokens.is_some(), found.totals.tokens > 0);
        Ok(())
    }
}
