use diesel::prelude::*;
use mai_primitives::ModelName;
use mai_storage::{DbConnection, Storage, testing::TestDb};

use super::{day, generation, mismatches, model, on, org, record, spoil, totals, used};
use crate::{
    Totals,
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
    },
    verify::{MismatchKind, SummedTable, check_days},
};

fn kinds(storage: &Storage) -> Vec<MismatchKind> {
    mismatches(storage, &org("a")).into_iter().map(|mismatch| mismatch.kind).collect()
}

#[test]
fn a_changed_figure_is_found_where_it_is() {
    TestDb::each(|storage| {
        record(storage, &[generation("1"), on("2026-07-16", generation("2"))]);
        assert_eq!(kinds(storage), []);
        let right = totals(15, 1, 1_000, 1_500);
        spoil(storage, |conn| {
            diesel::update(users::table.filter(users::usage_date.eq(day("2026-07-16"))))
                .set(users::markup_cost.eq(1_501))
                .execute(conn)
        });
        let found = mismatches(storage, &org("a"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].usage_date, day("2026-07-16"));
        let other = totals(15, 1, 1_000, 1_501);
        assert_eq!(found[0].kind, MismatchKind::Sums { table: SummedTable::Users, client: right, other });
        assert_eq!(mismatches(storage, &org("b")), []);
    });
}

#[test]
fn a_missing_row_is_found_in_every_table() {
    TestDb::each(|storage| {
        record(storage, &[generation("1")]);
        spoil(storage, |conn| diesel::delete(models::table).execute(conn));
        let right = totals(15, 1, 1_000, 1_500);
        let o3 = Some(model("openai/o3"));
        let none = Totals::default();
        assert_eq!(
            kinds(storage),
            [
                MismatchKind::Sums { table: SummedTable::Models, client: right, other: none },
                MismatchKind::PrimaryModel { stored: o3, found: None },
            ]
        );
        spoil(storage, |conn| diesel::delete(days::table).execute(conn));
        spoil(storage, |conn| diesel::delete(users::table).execute(conn));
        assert_eq!(
            kinds(storage),
            [MismatchKind::Sums { table: SummedTable::Ledger, client: none, other: right }]
        );
    });
}

#[test]
fn wrong_derived_figures_are_found() {
    TestDb::each(|storage| {
        record(storage, &[generation("1"), used("2", "ben", "x/b", 1, 1)]);
        spoil(storage, |conn| {
            diesel::update(days::table)
                .set((days::unique_users.eq(1), days::primary_model.eq(Some("x/b"))))
                .execute(conn)
        });
        let found = Some(model("openai/o3"));
        assert_eq!(
            kinds(storage),
            [
                MismatchKind::UniqueUsers { stored: 1, counted: 2 },
                MismatchKind::PrimaryModel { stored: ModelName::new("x/b").ok(), found },
            ]
        );
    });
}

#[test]
fn days_whose_ledger_was_cleaned_are_compared_without_it() {
    TestDb::each(|storage| {
        record(storage, &[generation("1"), on("2026-07-16", generation("2"))]);
        let ledger = mai_generation_processing::schema::processed_generations::table;
        spoil(storage, |conn| diesel::delete(ledger.find((org("a"), super::id("1")))).execute(conn));
        let check = |ledger_from| {
            let check = |conn: &mut DbConnection| {
                check_days(conn, &org("a"), day("2026-07-01"), day("2026-07-31"), ledger_from)
            };
            storage.read_blocking(check).unwrap().len()
        };
        assert_eq!(check(None), 1);
        assert_eq!(check(Some(day("2026-07-15"))), 1);
        assert_eq!(check(Some(day("2026-07-16"))), 0);
    });
}
