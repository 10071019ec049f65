//! What changes in a month after its statement was issued.

use mai_generation_processing::UsageSource;
use mai_primitives::{OrganizationId, Pln, Usd, UsdPlnRate};

use super::{StatementModel, World, day, each, org, read, statement};
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

/// What all of these statements charge for a month.
fn charged(rows: &[StatementModel], month: &str) -> Pln {
    let mut amounts = Vec::new();
    for row in rows {
        let statement = read(row);
        if statement.month == month {
            amounts.extend(statement.usage.iter().filter_map(|line| line.cost_pln));
        }
        let late = statement.corrections.iter().filter(|line| line.month == month);
        amounts.extend(late.map(|line| line.cost_pln));
    }
    Pln::checked_sum(amounts).unwrap()
}

/// Lets the daily tables say another client price of all that an organization used.
fn price(world: &World, id: &OrganizationId, usd: &str) {
    use diesel::prelude::*;
    use mai_usage_tracking::schema::client_model_daily_usage as daily;
    let price = Usd::parse(usd).unwrap();
    let changed = world.storage.write_blocking(|conn| {
        let rows = daily::table.filter(daily::client_org_id.eq(id));
        diesel::update(rows).set(daily::markup_cost.eq(price)).execute(conn).map_err(crate::Error::from)
    });
    assert_eq!(changed.unwrap(), 1);
}

/// An organization whose October cost 0.03 USD at 3.65, which is 10.95 and so 11 grosze, and its statement.
fn three_cents(world: &World) -> (OrganizationId, StatementModel) {
    use diesel::prelude::*;
    use mai_exchange_rates::schema::nbp_rates;
    let stored = world.storage.write_blocking(|conn| {
        diesel::update(nbp_rates::table.find(day("2026-10-30")))
            .set(nbp_rates::mid.eq(UsdPlnRate::parse("3.65").unwrap()))
            .execute(conn)
            .map_err(crate::Error::from)
    });
    assert_eq!(stored.unwrap(), 1);
    let a = world.warsaw("a");
    world.use_model(&a, "gen-1", "2026-10-05", "openai/o3", "0.02");
    world.at("2026-11-02T09:00:00Z");
    let row = world.issue(&a, "2026-10");
    assert_eq!(row.net, Pln::from_grosz(11));
    (a, row)
}

/// Issues the statement of a month after October 2026 on the tenth of the one that follows it.
fn issue_later(world: &World, id: &OrganizationId, month: crate::BillingMonth) -> StatementModel {
    world.at(&format!("{}-10T09:00:00Z", month.after()));
    world.issue(id, &month.to_string())
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

#[test]
fn a_refund_in_parts_gives_back_exactly_what_was_charged() {
    each(|world| {
        let (a, october) = three_cents(world);
        let mut rows = vec![october];
        let mut month = crate::BillingMonth::of(day("2026-11-01"));
        // Each -0.01 USD alone would be -3.65 and so -4 grosze, 12 in all.
        for (usd, grosz) in [("0.02", -4), ("0.01", -3), ("0", -4)] {
            price(world, &a, usd);
            let row = issue_later(world, &a, month);
            assert_eq!(read(&row).corrections[0].cost_pln, Pln::from_grosz(grosz), "{usd}");
            rows.push(row);
            month = month.after();
        }
        assert_eq!(charged(&rows, "2026-10"), Pln::ZERO);
        assert_eq!(world.storage.read_blocking(crate::statements::verify::verify).unwrap().broken, []);
    });
}

#[test]
fn small_amounts_that_come_late_add_up() {
    each(|world| {
        let (a, october) = three_cents(world);
        let mut rows = vec![october];
        let mut month = crate::BillingMonth::of(day("2026-11-01"));
        for thousandths in 31..=40 {
            price(world, &a, &format!("0.0{thousandths}"));
            rows.push(issue_later(world, &a, month));
            month = month.after();
        }
        // 0.001 USD alone would always be 0.365 and so no grosz; 0.04 USD are 14.6.
        assert_eq!(charged(&rows, "2026-10"), Pln::from_grosz(15));
        assert_eq!(billed(&rows, "2026-10"), Usd::parse("0.04").unwrap());
    });
}

#[test]
fn earlier_months_without_a_statement_are_told() {
    each(|world| {
        let (a, b) = (world.warsaw("a"), world.warsaw("b"));
        let unbilled = |id| {
            let months = world.closing(id, "2026-12").unbilled_months;
            months.into_iter().map(|month| month.to_string()).collect::<Vec<_>>()
        };
        for (name, date) in [("gen-1", "2026-09-20"), ("gen-2", "2026-10-20"), ("gen-3", "2026-11-20")] {
            world.use_model(&a, name, date, "openai/o3", "1");
        }
        world.use_model(&b, "gen-1", "2026-10-20", "openai/o3", "1");
        world.at("2027-01-02T09:00:00Z");
        assert_eq!(unbilled(&a), ["2026-09", "2026-10", "2026-11"]);
        // From the first statement of anybody on: what was before was settled by other means.
        world.issue(&b, "2026-10");
        assert_eq!((unbilled(&a), unbilled(&b)), (vec!["2026-10".to_owned(), "2026-11".to_owned()], vec![]));
        world.issue(&a, "2026-11");
        assert_eq!(unbilled(&a), ["2026-10"]);
    });
}
