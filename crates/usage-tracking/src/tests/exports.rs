//! Pages put together are all rows, each once, whatever their length and wherever they are cut.

use std::collections::BTreeSet;

use mai_storage::testing::TestDb;

use super::{books, clock, create_organization, day, generation, on, org, record, service, used, wait};
use crate::{Days, Error};

#[test]
fn pages_have_every_row_of_the_range_once_and_no_other() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        create_organization(storage, "b", &clock);
        let mut batch = Vec::new();
        for (date, count) in [("2026-07-01", 1), ("2026-07-03", 5), ("2026-07-04", 3), ("2026-07-09", 4)] {
            for index in 0..count {
                let (user, model) = (format!("user-{index}"), format!("lab/{index}"));
                batch.push(on(date, used(&format!("gen-{date}-{index}"), &user, &model, 1, 1)));
            }
        }
        record(storage, &batch);
        let mut foreign = generation("gen-b");
        foreign.client_org_id = org("b");
        let usage = service(storage, &clock);
        wait(usage.add_generation(foreign)).unwrap();

        let (from, to) = (day("2026-07-02"), day("2026-07-08"));
        let days = Days { start: Some(from), end: Some(to) };
        let export = wait(usage.export(&org("a"), days)).unwrap();
        let books = books(storage);
        let in_range = |date| (from..=to).contains(date);
        for limit in 1..=9 {
            let (mut users, mut after) = (Vec::new(), None);
            loop {
                let page = wait(usage.user_days(&export, after, limit)).unwrap();
                assert!(page.len() <= usize::try_from(limit).unwrap());
                after = page.last().map(|row| (row.usage_date, row.user_id.clone()));
                users.extend(page);
                if after.is_none() {
                    break;
                }
            }
            let expected: Vec<_> =
                books.users.iter().filter(|row| in_range(&row.usage_date)).cloned().collect();
            assert_eq!(users, expected, "{limit}");

            let (mut models, mut after) = (Vec::new(), None);
            loop {
                let page = wait(usage.model_days(&export, after, limit)).unwrap();
                after = page.last().map(|row| (row.usage_date, row.model_name.clone()));
                models.extend(page);
                if after.is_none() {
                    break;
                }
            }
            let expected: Vec<_> =
                books.models.iter().filter(|row| in_range(&row.usage_date)).cloned().collect();
            assert_eq!(models, expected, "{limit}");

            let (mut ids, mut after) = (Vec::new(), None);
            loop {
                let page = wait(usage.generations(&export, after, limit)).unwrap();
                after = page.last().map(|row| (row.generation_date, row.id.clone()));
                ids.extend(page.into_iter().map(|row| row.id.to_string()));
                if after.is_none() {
                    break;
                }
            }
            let expected: Vec<_> = batch
                .iter()
                .filter(|new| in_range(&new.generation_date))
                .map(|new| new.id.to_string())
                .collect();
            assert_eq!(ids, expected, "{limit}");
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 8);
        }
    });
}

#[test]
fn an_export_needs_an_organization_and_a_range() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        let usage = service(storage, &clock);
        assert!(matches!(wait(usage.export(&org("z"), Days::default())), Err(Error::UnknownOrganization(_))));
        let backwards = Days { start: Some(day("2026-07-16")), end: None };
        assert!(matches!(wait(usage.export(&org("a"), backwards)), Err(Error::InvalidRange(..))));
        let export = wait(usage.export(&org("a"), Days::default())).unwrap();
        assert_eq!((export.client_org_name.as_str(), export.range.days()), ("Company a", 15));
    });
}
