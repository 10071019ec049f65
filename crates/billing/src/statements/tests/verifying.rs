//! Whoever changes the books by hand is found out.

use diesel::prelude::*;

use super::each;
use crate::{
    Error,
    statements::{
        document::sha256,
        schema::{statement_numbers, statement_usage, statements},
        verify::verify,
    },
};

#[test]
fn changed_documents_and_missing_numbers_are_found() {
    each(|world| {
        let ids = ["a", "b", "c"].map(|name| world.warsaw(name));
        for id in &ids {
            world.use_model(id, "gen-1", "2026-10-05", "openai/o3", "1");
        }
        world.at("2026-11-02T09:00:00Z");
        for id in &ids {
            world.issue(id, "2026-10");
        }
        let broken = || {
            let checked = world.storage.read_blocking(verify).unwrap();
            checked.broken.into_iter().map(|broken| (broken.number, broken.why)).collect::<Vec<_>>()
        };
        assert_eq!(broken(), []);
        let tampered = world.storage.write_blocking(|conn| {
            let document: String = statements::table
                .find((&ids[0], super::day("2026-10-01")))
                .select(statements::document)
                .first(conn)?;
            diesel::update(statements::table.find((&ids[0], super::day("2026-10-01"))))
                .set(statements::document.eq(document.replace("\"requests\":1", "\"requests\":2")))
                .execute(conn)?;
            diesel::update(statements::table.find((&ids[1], super::day("2026-10-01"))))
                .set(statements::gross.eq(0_i64))
                .execute(conn)?;
            diesel::delete(statement_numbers::table.find(("2026/11", 3_i64))).execute(conn)?;
            Ok::<_, Error>(())
        });
        tampered.unwrap();
        let found: Vec<(String, String)> = broken();
        let numbers: Vec<&str> = found.iter().map(|(number, _)| number.as_str()).collect();
        assert_eq!(numbers, ["2026/11/0003", "2026/11/0001", "2026/11/0002", "2026/11/0003"]);
        for (place, word) in ["missing", "hash", "document", "registered"].into_iter().enumerate() {
            assert!(found[place].1.contains(word), "{found:?}");
        }
    });
}

#[test]
fn changed_figures_beside_the_documents_are_found() {
    each(|world| {
        let ids = ["a", "b", "c", "d"].map(|name| world.warsaw(name));
        for id in &ids {
            world.use_model(id, "gen-1", "2026-10-05", "openai/o3", "1");
        }
        world.at("2026-11-02T09:00:00Z");
        for id in &ids {
            world.issue(id, "2026-10");
        }
        // Also one that corrects an earlier month.
        world.use_model(&ids[0], "late", "2026-10-06", "openai/o3", "1");
        world.at("2026-12-02T09:00:00Z");
        world.issue(&ids[0], "2026-11");
        assert_eq!(world.storage.read_blocking(verify).unwrap().broken, []);
        let october = super::day("2026-10-01");
        let tampered = world.storage.write_blocking(|conn| {
            let usage = |id| statement_usage::table.filter(statement_usage::client_org_id.eq(id));
            let charged = statement_usage::cost_pln.eq(1_i64);
            diesel::update(usage(&ids[0]).filter(statement_usage::month.gt(october)))
                .set(charged)
                .execute(conn)?;
            diesel::delete(usage(&ids[1])).execute(conn)?;
            diesel::update(statements::table.find((&ids[2], october)))
                .set(statements::rate_table_no.eq("001/A/NBP/2026"))
                .execute(conn)?;
            diesel::update(statements::table.find((&ids[3], october)))
                .set(statements::usage_usd.eq(0_i64))
                .execute(conn)?;
            Ok::<_, Error>(())
        });
        tampered.unwrap();
        let broken = world.storage.read_blocking(verify).unwrap().broken;
        let numbers: Vec<&str> = broken.iter().map(|broken| broken.number.as_str()).collect();
        assert_eq!(numbers, ["2026/12/0001", "2026/11/0002", "2026/11/0003", "2026/11/0004"]);
        for (place, words) in
            ["usage that it bills", "usage that it bills", "its row", "its row"].into_iter().enumerate()
        {
            assert!(broken[place].why.contains(words), "{broken:?}");
        }
    });
}

#[test]
fn sums_that_are_not_those_of_the_lines_are_found() {
    each(|world| {
        let a = world.warsaw("a");
        world.use_model(&a, "gen-1", "2026-10-05", "openai/o3", "1");
        world.at("2026-11-02T09:00:00Z");
        let row = world.issue(&a, "2026-10");
        // Whoever can write documents and hashes still has to add up.
        let forged = row.document.replace("\"cost_pln\":5.46", "\"cost_pln\":5.45");
        assert_ne!(forged, row.document);
        let hash = sha256(forged.as_bytes());
        let tampered = world.storage.write_blocking(|conn| {
            diesel::update(statements::table.find((&a, row.month)))
                .set((statements::document.eq(&forged), statements::document_sha256.eq(&hash)))
                .execute(conn)?;
            diesel::update(statement_numbers::table.find(("2026/11", 1_i64)))
                .set(statement_numbers::document_sha256.eq(&hash))
                .execute(conn)?;
            Ok::<_, Error>(())
        });
        tampered.unwrap();
        let broken = world.storage.read_blocking(verify).unwrap().broken;
        assert_eq!(broken.len(), 1, "{broken:?}");
        assert!(broken[0].why.contains("its sums"), "{broken:?}");
    });
}
