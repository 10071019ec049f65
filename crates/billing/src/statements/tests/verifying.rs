//! Whoever changes the books by hand is found out.

use diesel::prelude::*;

use super::each;
use crate::{
    Error,
    statements::{
        schema::{statement_numbers, statements},
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
