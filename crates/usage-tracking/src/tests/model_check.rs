//! Random batches against the simplest possible model of the books.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use mai_generation_processing::NewGeneration;
use mai_primitives::{GenerationId, UsageDate};
use mai_storage::testing::TestDb;
use proptest::{prelude::*, test_runner::TestRunner};

use super::{NOON, day, give_rate, mismatches, on, org, used};
use crate::{Recorded, Totals, query, record_generations};

/// What a generation is reduced to here: id, day, member, model, tokens, cost.
type Draft = (u8, u8, u8, u8, u8, u8);

fn drafts() -> impl Strategy<Value = Vec<Vec<Draft>>> {
    // Few values, so that repetitions, conflicts and ties are common.
    let draft = (0..20_u8, 0..3_u8, 0..3_u8, 0..4_u8, 0..3_u8, 0..3_u8);
    prop::collection::vec(prop::collection::vec(draft, 0..12), 0..6)
}

fn generation(organization: &str, (name, date, user, model, tokens, cost): Draft) -> NewGeneration {
    let new = used(
        &format!("gen-{name}"),
        &format!("user-{user}"),
        &format!("lab/{model}"),
        i64::from(tokens),
        i64::from(cost),
    );
    let mut new = on(["2026-06-30", "2026-07-01", "2026-07-02"][usize::from(date)], new);
    new.client_org_id = org(organization);
    new
}

#[derive(Default)]
struct Model {
    booked: HashMap<GenerationId, NewGeneration>,
}

impl Model {
    fn record(&mut self, new: &NewGeneration) -> Recorded {
        match self.booked.get(&new.id) {
            None => {
                self.booked.insert(new.id.clone(), new.clone());
                Recorded::New
            }
            Some(old)
                if (old.total_cost, old.input_tokens, old.output_tokens)
                    == (new.total_cost, new.input_tokens, new.output_tokens) =>
            {
                Recorded::Duplicate
            }
            Some(_) => Recorded::Conflict,
        }
    }

    fn days(&self) -> BTreeMap<UsageDate, (Totals, i64)> {
        let mut days: BTreeMap<UsageDate, (Totals, BTreeSet<&str>)> = BTreeMap::new();
        for one in self.booked.values() {
            let (totals, users) = days.entry(one.generation_date).or_default();
            let part = Totals {
                tokens: one.input_tokens + one.output_tokens,
                requests: 1,
                raw_cost: one.total_cost,
                markup_cost: one.markup_rate.apply(one.total_cost).unwrap(),
            };
            *totals = totals.checked_add(part).unwrap();
            users.insert(one.user_id.as_str());
        }
        let count = |users: BTreeSet<&str>| i64::try_from(users.len()).unwrap();
        days.into_iter().map(|(date, (totals, users))| (date, (totals, count(users)))).collect()
    }
}

#[test]
fn the_books_agree_with_a_model() {
    TestDb::each(|storage| {
        let case = Cell::new(0);
        let config = ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
        let check = |batches: Vec<Vec<Draft>>| {
            // Each case has an organization of its own, so that one database serves them all.
            case.set(case.get() + 1);
            let organization = format!("org-{}", case.get());
            let mut model = Model::default();
            for batch in batches {
                let batch: Vec<_> = batch.into_iter().map(|draft| generation(&organization, draft)).collect();
                let expected: Vec<_> = batch.iter().map(|new| model.record(new)).collect();
                let recorded = storage
                    .write_blocking(|conn| record_generations(conn, &org(&organization), &batch, NOON));
                prop_assert_eq!(recorded.unwrap(), expected);
                give_rate(storage, &org(&organization), "2026-07-01", 40_000);
            }
            let rows = storage.read_blocking(|conn| {
                query::daily_rows(conn, &org(&organization), day("2026-06-01"), day("2026-08-01"))
            });
            let days: BTreeMap<_, _> = rows
                .unwrap()
                .into_iter()
                .map(|row| {
                    let totals = Totals {
                        tokens: row.total_tokens,
                        requests: row.total_requests,
                        raw_cost: row.raw_cost,
                        markup_cost: row.markup_cost,
                    };
                    (row.usage_date, (totals, row.unique_users))
                })
                .collect();
            prop_assert_eq!(days, model.days());
            prop_assert_eq!(mismatches(storage, &org(&organization)), []);
            Ok(())
        };
        TestRunner::new(config).run(&drafts(), check).unwrap();
    });
}
