//! What changes in a month after its statement was issued.

use mai_generation_processing::UsageSource;
use mai_primitives::{Pln, Usd};

use super::{StatementModel, World, each, org, read, statement};
use crate::statements::Standing;

/// What all of these statements bill of a month in USD.
fn billed(rows: &[StatementModel], month: &str) -> Usd {
    let mut amounts = Vec::new();
    for row in rows {
        let statement = read(row);
        if statement.month == month {
            amounts.extend(statement.usage.iter().map(|line| line.cost_usd));
        }
        let late = statement.corrections.iter().filter(|line| line.month == month);
        amounts.extend(late.map(|line| line.cost_usd));
    }
    Usd::checked_sum(amounts).unwrap()
}

/// What the ledger has of a month in USD.
fn ledger(world: &World, month: &str) -> Usd {
    use diesel::prelude::*;
    use mai_generation_processing::schema::processed_generations as ledger;
    let month: crate::BillingMonth = month.parse().unwrap();
    let costs = world.storage.read_blocking(|conn| {
        ledger::table
            .filter(ledger::generation_date.between(month.first(), month.last()))
            .select(ledger::markup_cost)
            .load::<Usd>(conn)
            .map_err(crate::Error::from)
    });
    Usd::checked_sum(costs.unwrap()).unwrap()
}

#[test]
fn late_usage_is_billed_by_the_next_statements_and_adds_up() {
    each(|world| {
        let a = world.warsaw("a");
        world.use_model(&a, "gen-1", "2026-10-05", "openai/o3", "10");
        world.at("2026-11-02T09:00:00Z");
        let mut rows = vec![world.issue(&a, "2026-10")];
        // Late, of a model that is billed already and of one that is not.
        world.use_model(&a, "late-1", "2026-10-31", "openai/o3", "0.02");
        world.use_model(&a, "late-2", "2026-10-30", "google/gemini-2.5-pro", "0.000001");
        world.use_model(&a, "gen-2", "2026-11-10", "openai/o3", "1");
        world.at("2026-12-01T12:00:00Z");
        let november = world.issue(&a, "2026-11");
        let document = read(&november);
        let lines: Vec<_> = document
            .corrections
            .iter()
            .map(|line| {
                let rate = (line.usd_pln.to_string(), line.effective_date.to_string());
                (
                    line.month.as_str(),
                    line.model.as_str(),
                    line.cost_usd.to_string(),
                    line.cost_pln.grosz(),
                    rate,
                )
            })
            .collect();
        let rate = || ("3.6376".to_owned(), "2026-10-30".to_owned());
        // 0.03 × 3.6376 = 0.109… PLN: by the rate that billed October, not by November's.
        assert_eq!(
            lines,
            [
                ("2026-10", "google/gemini-2.5-pro", "0.0000015".to_owned(), 0, rate()),
                ("2026-10", "openai/o3", "0.03".to_owned(), 11, rate()),
            ]
        );
        assert_eq!(document.rate.as_ref().unwrap().usd_pln.to_string(), "3.7001");
        assert_eq!(document.usage.len(), 1);
        assert_eq!(document.totals.corrections_pln, Pln::from_grosz(11));
        // 1.5 × 3.7001 = 5.55; and 0.11.
        assert_eq!(document.totals.net_pln, Some(Pln::from_grosz(566)));
        rows.push(november);
        assert_eq!(billed(&rows, "2026-10"), ledger(world, "2026-10"));
        assert_eq!(billed(&rows, "2026-11"), ledger(world, "2026-11"));

        // Late once more, of both months; and less of one generation, by what OpenRouter tells of it afterwards.
        world.use_model(&a, "late-3", "2026-10-31", "openai/o3", "0.5");
        world.report(&a, "gen-2", "2026-11-10", "openai/o3", "0.4", UsageSource::GenerationLookup);
        world.at("2027-01-02T12:00:00Z");
        let december = world.issue(&a, "2026-12");
        let document = read(&december);
        let lines: Vec<_> = document
            .corrections
            .iter()
            .map(|line| {
                (line.month.as_str(), line.requests, line.cost_usd.to_string(), line.cost_pln.to_string())
            })
            .collect();
        // 0.75 × 3.6376 = 2.7282; −0.9 × 3.7001 = −3.33009.
        assert_eq!(
            lines,
            [
                ("2026-10", 1, "0.75".to_owned(), "2.73".to_owned()),
                ("2026-11", 0, "-0.9".to_owned(), "-3.33".to_owned()),
            ]
        );
        // The refund is more than the rest: net −0.60, VAT −0.138 = −0.14.
        let totals = &document.totals;
        let sums = [totals.net_pln, totals.vat_pln, totals.gross_pln].map(|sum| sum.unwrap().to_string());
        assert_eq!(sums, ["-0.60", "-0.14", "-0.74"]);
        rows.push(december);
        for month in ["2026-10", "2026-11", "2026-12"] {
            assert_eq!(billed(&rows, month), ledger(world, month), "{month}");
        }
        // Nothing is left to correct.
        world.at("2027-02-02T12:00:00Z");
        assert_eq!(world.closing(&a, "2027-01").standing, Standing::NothingToBill);
    });
}

#[test]
fn usage_of_a_month_without_a_statement_gets_one_of_its_own() {
    each(|world| {
        let a = world.warsaw("a");
        world.at("2026-11-02T09:00:00Z");
        let empty = world.try_issue(&a, "2026-10");
        assert_eq!((empty.is_new, empty.closing.standing), (false, Standing::NothingToBill));
        world.use_model(&a, "late-1", "2026-10-31", "openai/o3", "2");
        assert!(world.closing(&a, "2026-11").standing == Standing::NothingToBill, "no month is corrected");
        assert_eq!(world.issue(&a, "2026-10").number, "2026/11/0001");
    });
}

#[test]
fn months_may_be_issued_in_any_order() {
    each(|world| {
        let a = world.warsaw("a");
        world.use_model(&a, "gen-1", "2026-09-20", "openai/o3", "1");
        world.use_model(&a, "gen-2", "2026-10-20", "openai/o3", "2");
        world.use_model(&a, "gen-3", "2026-11-20", "openai/o3", "3");
        world.at("2026-12-02T09:00:00Z");
        let mut rows = vec![world.issue(&a, "2026-09")];
        world.use_model(&a, "late", "2026-09-21", "openai/o3", "0.1");
        rows.push(world.issue(&a, "2026-11"));
        rows.push(world.issue(&a, "2026-10"));
        assert_eq!(read(&rows[1]).corrections.len(), 1);
        assert_eq!(read(&rows[2]).corrections.len(), 0, "November's statement has corrected it");
        for month in ["2026-09", "2026-10", "2026-11"] {
            assert_eq!(billed(&rows, month), ledger(world, month), "{month}");
        }
    });
}

#[test]
fn a_frozen_month_of_seats_is_not_corrected() {
    each(|world| {
        let a = world.warsaw("a");
        world.member(&a, "anna");
        world.at("2026-11-02T09:00:00Z");
        assert_eq!(read(&world.issue(&a, "2026-10")).subscription.len(), 1);
        world.member(&a, "bob");
        world.at("2026-12-02T09:00:00Z");
        let november = statement(world.closing(&org("a"), "2026-11"));
        assert!(november.corrections.is_empty());
        assert_eq!(november.subscription.iter().map(|line| line.seats).sum::<i64>(), 2);
    });
}
