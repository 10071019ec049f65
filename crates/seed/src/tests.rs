use diesel::prelude::*;
use mai_organization::client_organization::{MemberModel, members::members_of, query::organizations};
use mai_organization::generation_processing::{
    ProcessedGenerationModel, query::complete_from, schema::processed_generations,
};
use mai_organization::usage_tracking::{
    ClientDailyUsageModel, ClientModelDailyUsageModel, ClientUserDailyUsageModel,
    schema::{client_daily_usage, client_model_daily_usage, client_user_daily_usage},
    verify::check_days,
};
use mai_primitives::OrganizationId;
use mai_storage::{DbConnection, testing::TestDb};

use super::*;

fn plan(organizations: u64, users: u64, days: u64) -> SeedPlan {
    SeedPlan { seed: 42, organizations, users, days, end: UsageDate::parse("2026-03-31").unwrap() }
}

/// Everything that is stored of an organization.
#[derive(Debug, PartialEq)]
struct Books {
    members: Vec<MemberModel>,
    ledger: Vec<ProcessedGenerationModel>,
    days: Vec<ClientDailyUsageModel>,
    users: Vec<ClientUserDailyUsageModel>,
    models: Vec<ClientModelDailyUsageModel>,
}

fn load(conn: &mut DbConnection, organization: &OrganizationId) -> mai_storage::Result<Books> {
    let mut ledger: Vec<ProcessedGenerationModel> = processed_generations::table
        .filter(processed_generations::client_org_id.eq(organization))
        .load(conn)?;
    let mut days: Vec<ClientDailyUsageModel> =
        client_daily_usage::table.filter(client_daily_usage::client_org_id.eq(organization)).load(conn)?;
    let mut users: Vec<ClientUserDailyUsageModel> = client_user_daily_usage::table
        .filter(client_user_daily_usage::client_org_id.eq(organization))
        .load(conn)?;
    let mut models: Vec<ClientModelDailyUsageModel> = client_model_daily_usage::table
        .filter(client_model_daily_usage::client_org_id.eq(organization))
        .load(conn)?;
    ledger.sort_by(|a, b| a.id.cmp(&b.id));
    days.sort_by_key(|row| row.usage_date);
    users.sort_by(|a, b| (a.usage_date, &a.user_id).cmp(&(b.usage_date, &b.user_id)));
    models.sort_by(|a, b| (a.usage_date, &a.model_name).cmp(&(b.usage_date, &b.model_name)));
    let members = members_of(conn, organization).unwrap();
    Ok(Books { members, ledger, days, users, models })
}

/// The books of all organizations, by their ids.
fn books(storage: &Storage) -> Vec<Books> {
    storage
        .read_blocking(|conn| {
            let mut ids: Vec<_> = organizations(conn).unwrap().into_iter().map(|row| row.id).collect();
            ids.sort();
            ids.iter().map(|id| load(conn, id)).collect::<mai_storage::Result<Vec<Books>>>()
        })
        .unwrap()
}

fn assert_conserved(storage: &Storage, plan: &SeedPlan) {
    let mismatches = storage
        .read_blocking(|conn| {
            let from = complete_from(conn)?;
            let mut all = Vec::new();
            for row in organizations(conn).unwrap() {
                all.extend(
                    check_days(conn, &row.id, plan.end.minus_days(plan.days), plan.end, from).unwrap(),
                );
            }
            Ok::<_, mai_storage::Error>(all)
        })
        .unwrap();
    assert_eq!(mismatches, []);
}

#[test]
fn a_company_with_a_ledger_adds_up() {
    TestDb::each(|storage| {
        let plan = plan(1, 12, 75);
        let mut progress = Vec::new();
        let report = seed(storage, &plan, |done| progress.push(done)).unwrap();
        assert_conserved(storage, &plan);
        assert!(progress.is_sorted() && progress.last() == Some(&plan.organization_days()), "{progress:?}");

        let books = books(storage).remove(0);
        let first_day = plan.end.minus_days(59);
        let before = |date: UsageDate| u64::from(date < first_day);
        let daily_rows = books.days.iter().map(|row| before(row.usage_date)).sum::<u64>()
            + books.users.iter().map(|row| before(row.usage_date)).sum::<u64>()
            + books.models.iter().map(|row| before(row.usage_date)).sum::<u64>();
        let ledger_rows = u64::try_from(books.ledger.len()).unwrap();
        assert_eq!(report, SeedReport { organizations: 1, members: 12, ledger_rows, daily_rows });
        assert_eq!(books.ledger.iter().map(|row| row.generation_date).min(), Some(first_day));
        assert_eq!(books.days.first().unwrap().usage_date, plan.end.minus_days(74));
        assert_eq!(books.days.last().unwrap().usage_date, plan.end);
        assert_eq!(books.members.iter().filter(|member| !member.is_active).count(), 1);
    });
}

#[test]
fn a_fleet_without_a_ledger_adds_up() {
    TestDb::each(|storage| {
        let plan = plan(3, 40, 30);
        let report = seed(storage, &plan, |_| ()).unwrap();
        assert_conserved(storage, &plan);
        let books = books(storage);
        assert_eq!((books.len(), report.members, report.ledger_rows), (3, 120, 0));
        let rows: usize = books.iter().map(|one| one.days.len() + one.users.len() + one.models.len()).sum();
        assert_eq!(report.daily_rows, u64::try_from(rows).unwrap());
        assert!(books.iter().all(|one| one.ledger.is_empty() && one.days.len() == 30));
    });
}

#[test]
fn equal_plans_make_equal_rows_and_other_seeds_make_others() {
    let (first, second, other) = (TestDb::sqlite(), TestDb::postgres(), TestDb::sqlite());
    let plan = plan(2, 4, 64);
    seed(&first.storage, &plan, |_| ()).unwrap();
    seed(&second.storage, &plan, |_| ()).unwrap();
    seed(&other.storage, &SeedPlan { seed: 43, ..plan }, |_| ()).unwrap();
    let rows = books(&first.storage);
    assert!(!rows[0].ledger.is_empty() && !rows[1].users.is_empty());
    assert_eq!(rows, books(&second.storage));
    assert_ne!(rows[0].days[0].raw_cost, books(&other.storage)[0].days[0].raw_cost);
}

#[test]
fn a_day_does_not_depend_on_how_much_else_is_made() {
    let (small, large) = (TestDb::sqlite(), TestDb::sqlite());
    seed(&small.storage, &plan(1, 5, 3), |_| ()).unwrap();
    seed(&large.storage, &plan(2, 5, 9), |_| ()).unwrap();
    let (small, large) = (books(&small.storage).remove(0), books(&large.storage).remove(0));
    assert_eq!(small.days.len(), 3);
    assert_eq!(small.days, large.days[6..]);
    assert_eq!(
        small.ledger,
        large
            .ledger
            .into_iter()
            .filter(|row| row.generation_date >= small.days[0].usage_date)
            .collect::<Vec<_>>()
    );
}

/// What the fast inserts write is what booking generation by generation would have written.
#[test]
fn both_ways_of_writing_make_the_same_daily_rows() {
    let (booked, summed) = (TestDb::sqlite(), TestDb::sqlite());
    let plan = plan(1, 6, 10);
    seed(&booked.storage, &plan, |_| ()).unwrap();
    let days =
        Days { seed: plan.seed, end: plan.end, calendar: OrganizationCalendar::parse(write::ZONE).unwrap() };
    let organization = people::organization(plan.seed, 0, plan.users).unwrap();
    summed.storage.write_blocking(|conn| write::organization(conn, &days, &organization, 9)).unwrap();
    write_daily(&summed.storage, &days, &organization, &usage::models().unwrap(), 0..10).unwrap();
    let (booked, summed) = (books(&booked.storage).remove(0), books(&summed.storage).remove(0));
    assert_eq!((booked.days, booked.users, booked.models), (summed.days, summed.users, summed.models));
}

#[test]
fn a_seed_grows_only_once() {
    TestDb::each(|storage| {
        seed(storage, &plan(1, 1, 2), |_| ()).unwrap();
        let again = seed(storage, &plan(1, 1, 2), |_| ());
        assert!(matches!(again, Err(Error::Storage(mai_storage::Error::Unique(_)))), "{again:?}");
        seed(storage, &SeedPlan { seed: 43, ..plan(1, 1, 2) }, |_| ()).unwrap();
        assert_eq!(books(storage).len(), 2);
    });
}

#[test]
fn a_plan_asks_for_something_possible() {
    let database = TestDb::sqlite();
    for wrong in [plan(0, 1, 1), plan(1, 0, 1), plan(1, 1, 0), plan(100_001, 1, 1), plan(1, 10_001, 1)] {
        assert!(matches!(seed(&database.storage, &wrong, |_| ()), Err(Error::Plan { .. })), "{wrong:?}");
    }
    assert_eq!(SeedPlan::realistic(1, plan(1, 1, 1).end).ledger_days(), 60);
}
