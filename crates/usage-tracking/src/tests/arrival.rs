//! In whatever order and batches the reports of a generation arrive, the same row remains.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::mpsc,
    time::Duration,
};

use mai_generation_processing::{
    AuditAction, NewGeneration, ProcessedGenerationModel, UsageSource,
    audit::list_audit,
    query::{find, insert_or_lock},
};
use mai_primitives::{GenerationId, MarkupRate, OpenRouterUserId, OrganizationId, Usd, UserId};
use mai_storage::{Storage, testing::TestDb};
use proptest::{prelude::*, test_runner::TestRunner};

use super::{NOON, books_of, clock, create_organization, generation, id, mismatches, model, on, org};
use crate::{Recorded, record_generations};

/// Who, at which cost, how many tokens, whether those are an estimate.
type Figures = (usize, i64, i64, bool);
/// Day, member, model, and rate of the call.
type Facts = (usize, u8, u8, i64);

/// A report of one of three generations. Few values, so that agreement and difference are both common.
fn reports() -> impl Strategy<Value = Vec<(u8, Figures, Facts)>> {
    let figures = (0..5_usize, 0..3_i64, 0..3_i64, any::<bool>());
    let facts = (0..3_usize, 0..3_u8, 0..3_u8, 1..3_i64);
    prop::collection::vec((0..3_u8, figures, facts), 1..14)
}

fn report(organization: &OrganizationId, (name, figures, facts): (u8, Figures, Facts)) -> NewGeneration {
    let ((source, cost, tokens, tokens_estimated), (date, user, model_name, rate)) = (figures, facts);
    let new = NewGeneration {
        client_org_id: organization.clone(),
        total_cost: Usd::from_nanos(1_000 + cost),
        input_tokens: tokens,
        tokens_estimated,
        user_id: UserId::new(format!("user-{user}")).unwrap(),
        openrouter_user_id: OpenRouterUserId::new(format!("a_user_{user}")).unwrap(),
        model_name: model(&format!("lab/{model_name}")),
        markup_rate: MarkupRate::from_ppm(rate * 1_000_000).unwrap(),
        source: UsageSource::ALL[source],
        // Only our own gateway hears what a call is for.
        task: (UsageSource::ALL[source] == UsageSource::Gateway).then(|| format!("task-{user}")),
        ..generation(&format!("gen-{name}"))
    };
    on(["2026-06-30", "2026-07-01", "2026-07-02"][date], new)
}

/// The first of those with the greatest authority.
fn best<'a>(reports: impl Iterator<Item = &'a NewGeneration>) -> Option<&'a NewGeneration> {
    reports.min_by_key(|report| std::cmp::Reverse(report.source.authority()))
}

/// What the row has to be after these reports, which are in the order of their arrival: the most
/// authoritative one, with the task that our gateway heard first. Its counts, where they are an estimate, are those of the best source that has
/// native ones at this cost; where that source told several, any of them.
fn allowed(reports: &[&NewGeneration]) -> Vec<ProcessedGenerationModel> {
    let winner = best(reports.iter().copied()).unwrap();
    let mut new = winner.clone();
    if !winner.source.is_of_our_gateway() {
        // The rate of the organization, whatever the report carries.
        new.markup_rate = MarkupRate::parse("1.5").unwrap();
    }
    let heard = reports.iter().find(|report| report.source == UsageSource::Gateway);
    new.task = heard.and_then(|report| report.task.clone());
    let row = new.row(NOON).unwrap();
    let native = |report: &&NewGeneration| !report.tokens_estimated && report.total_cost == winner.total_cost;
    let Some(counts) = best(reports.iter().copied().filter(native)).filter(|_| winner.tokens_estimated)
    else {
        return vec![row];
    };
    let equal = reports.iter().copied().filter(native).filter(|report| report.source == counts.source);
    let with_counts = |report: &NewGeneration| ProcessedGenerationModel {
        input_tokens: report.input_tokens,
        total_tokens: report.input_tokens + report.output_tokens,
        tokens_estimated: false,
        tokens_source: report.source,
        ..row.clone()
    };
    equal.map(with_counts).collect()
}

fn book(storage: &Storage, org: &OrganizationId, batch: &[NewGeneration]) -> Vec<Recorded> {
    storage.write_blocking(|conn| record_generations(conn, org, batch, NOON)).unwrap()
}

/// Each difference is in the audit, and nothing else is.
fn check_audit(
    storage: &Storage,
    org: &OrganizationId,
    reports: &[NewGeneration],
    recorded: &[Recorded],
) -> Result<(), TestCaseError> {
    let audit = storage.read_blocking(|conn| list_audit(conn, Some(org), 1_000)).unwrap();
    let written: BTreeSet<_> = audit
        .iter()
        .map(|row| {
            let figures = (row.reported_cost.unwrap(), row.reported_input_tokens.unwrap());
            (row.generation_id.clone(), row.action, row.reported_source.unwrap(), figures)
        })
        .collect();
    let expected: BTreeSet<_> = reports
        .iter()
        .zip(recorded)
        .filter_map(|(report, recorded)| {
            let action = match recorded {
                Recorded::Corrected => AuditAction::Corrected,
                Recorded::Conflict => AuditAction::Refused,
                _ => return None,
            };
            Some((report.id.clone(), action, report.source, (report.total_cost, report.input_tokens)))
        })
        .collect();
    prop_assert_eq!(written, expected);
    // Also what was booked first and corrected later is there.
    for report in reports {
        let row = storage.read_blocking(|conn| find(conn, org, &report.id)).unwrap().unwrap();
        let cost = Some(report.total_cost);
        let is_told = audit
            .iter()
            .filter(|audit| audit.generation_id == report.id)
            .any(|audit| audit.booked_cost == cost || audit.reported_cost == cost);
        prop_assert!(report.total_cost == row.total_cost || is_told, "{:?}", report);
    }
    Ok(())
}

#[test]
fn the_most_authoritative_report_remains() {
    TestDb::each(|storage| {
        let case = Cell::new(0);
        let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
        let check = |(drafts, batch): (Vec<_>, usize)| {
            case.set(case.get() + 1);
            let name = format!("org-{}", case.get());
            create_organization(storage, &name, &clock("2026-06-01T00:00:00Z"));
            let org = org(&name);
            let reports: Vec<_> = drafts.into_iter().map(|draft| report(&org, draft)).collect();
            let recorded: Vec<_> =
                reports.chunks(batch).flat_map(|batch| book(storage, &org, batch)).collect();

            let mut by_id: BTreeMap<GenerationId, Vec<&NewGeneration>> = BTreeMap::new();
            for report in &reports {
                by_id.entry(report.id.clone()).or_default().push(report);
            }
            for (id, reports) in &by_id {
                let row = storage.read_blocking(|conn| find(conn, &org, id)).unwrap().unwrap();
                prop_assert!(
                    allowed(reports).contains(&row),
                    "{:#?}\nis none of\n{:#?}",
                    row,
                    allowed(reports)
                );
            }
            let books = books_of(storage, &org);
            let requests: i64 = books.days.iter().map(|row| row.total_requests).sum();
            prop_assert_eq!(requests, i64::try_from(by_id.len()).unwrap());
            prop_assert!(books.days.iter().all(|row| row.total_requests > 0));
            prop_assert!(books.users.iter().all(|row| row.total_requests > 0));
            prop_assert!(books.models.iter().all(|row| row.total_requests > 0));
            prop_assert_eq!(mismatches(storage, &org), []);
            check_audit(storage, &org, &reports, &recorded)
        };
        TestRunner::new(config).run(&(reports(), 1..6_usize), check).unwrap();
    });
}

/// While one process has read a row and not rewritten it yet, another brings a report whose authority
/// lies between the two. It must be compared with what the first is going to write.
#[test]
fn a_report_waits_for_the_correction_that_another_process_is_making() {
    TestDb::each(|storage| {
        let new = |source, nanos| NewGeneration {
            source,
            total_cost: Usd::from_nanos(nanos),
            ..generation("gen-1")
        };
        let org = org("a");
        assert_eq!(book(storage, &org, &[new(UsageSource::Webhook, 1)]), [Recorded::New]);
        let (read, go) = mpsc::channel();
        let (done, finished) = mpsc::channel();
        std::thread::scope(|scope| {
            let org = &org;
            scope.spawn(move || {
                go.recv().unwrap();
                let recorded = book(storage, org, &[new(UsageSource::Broadcast, 2)]);
                assert_eq!(recorded, [Recorded::Conflict]);
                done.send(()).unwrap();
            });
            let first = storage.write_blocking(|conn| {
                let report = new(UsageSource::Gateway, 3);
                insert_or_lock(conn, org, [&report.row(NOON)?])?;
                read.send(()).unwrap();
                // The other one cannot finish before this transaction; it is given the time to try.
                let early = finished.recv_timeout(Duration::from_millis(300));
                assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
                record_generations(conn, org, &[report], NOON)
            });
            assert_eq!(first.unwrap(), [Recorded::Corrected]);
        });
        let row = storage.read_blocking(|conn| find(conn, &org, &id("gen-1"))).unwrap().unwrap();
        assert_eq!((row.source, row.total_cost.nanos()), (UsageSource::Gateway, 3));
        assert_eq!(mismatches(storage, &org), []);
    });
}

/// Five processes, each with the reports of one source, in batches and orders of their own.
#[test]
fn processes_that_bring_the_same_generations_at_once_converge() {
    const GENERATIONS: usize = 60;
    TestDb::each(|storage| {
        let org = org("a");
        let start = std::sync::Barrier::new(UsageSource::ALL.len());
        std::thread::scope(|scope| {
            for (number, source) in UsageSource::ALL.iter().enumerate() {
                let (org, start) = (&org, &start);
                scope.spawn(move || {
                    let mut mine: Vec<_> = (0..GENERATIONS)
                        .map(|n| {
                            let figures = (number, i64::try_from(n % 2 * number).unwrap(), 1, n % 3 == 0);
                            let user = u8::try_from(number).unwrap();
                            let new = report(org, (0, figures, (n % 3, user % 3, user % 2, 1)));
                            NewGeneration { id: id(&format!("gen-{n:02}")), ..new }
                        })
                        .collect();
                    mine.rotate_left(number * 11);
                    if number % 2 == 1 {
                        mine.reverse();
                    }
                    start.wait();
                    for batch in mine.chunks(5 + number * 4) {
                        book(storage, org, batch);
                    }
                    assert_eq!(mine[0].source, *source);
                });
            }
        });
        for n in 0..GENERATIONS {
            let row =
                storage.read_blocking(|conn| find(conn, &org, &id(&format!("gen-{n:02}")))).unwrap().unwrap();
            assert_eq!(row.source, UsageSource::GenerationLookup);
            assert_eq!(row.user_id.as_str(), "user-1");
        }
        assert_eq!(mismatches(storage, &org), []);
    });
}
