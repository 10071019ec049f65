//! The two trees of migrations say the same, and run once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use diesel::{
    Connection as _, PgConnection, QueryableByName, RunQueryDsl as _, connection::SimpleConnection,
    sql_types::Text,
};
use mai_storage::{
    DatabaseUrl, DbConnection, Error, Storage, migrate,
    testing::{POSTGRES_VARIABLE, TestDb},
};

/// The names in a tree, in the order in which they run.
fn names(tree: &str) -> Vec<String> {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(tree);
    let names =
        std::fs::read_dir(tree).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    column: String,
    #[diesel(sql_type = Text)]
    nullable: String,
}

/// The columns of every table of ours, each with whether it may be null.
#[expect(clippy::disallowed_methods, reason = "the databases' own catalogues are no tables of ours")]
fn columns(storage: &Storage) -> BTreeMap<String, BTreeMap<String, String>> {
    let rows: Vec<Row> = storage
        .read_blocking(|conn| {
            let rows = match conn {
                DbConnection::Sqlite(inner) => diesel::sql_query(
                    "SELECT m.name AS \"table\", c.name AS \"column\", \
                            CASE c.\"notnull\" WHEN 1 THEN 'NO' ELSE 'YES' END AS nullable \
                     FROM sqlite_master m, pragma_table_info(m.name) c \
                     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'",
                )
                .load(inner),
                DbConnection::Postgres(inner) => diesel::sql_query(
                    "SELECT table_name::TEXT AS \"table\", column_name::TEXT AS \"column\", \
                            is_nullable::TEXT AS nullable \
                     FROM information_schema.columns WHERE table_schema = current_schema()",
                )
                .load(inner),
            };
            Ok::<_, Error>(rows?)
        })
        .unwrap();
    let mut tables = BTreeMap::<_, BTreeMap<_, _>>::new();
    for row in rows.into_iter().filter(|row| !row.table.starts_with("__diesel")) {
        tables.entry(row.table).or_default().insert(row.column, row.nullable);
    }
    tables
}

#[test]
fn both_trees_have_the_same_names() {
    assert_eq!(names("sqlite"), names("postgres"));
    assert!(!names("sqlite").is_empty());
}

#[test]
fn both_databases_get_the_same_tables_and_columns() {
    let (sqlite, postgres) = (columns(&TestDb::sqlite().storage), columns(&TestDb::postgres().storage));
    assert_eq!(sqlite.keys().collect::<Vec<_>>(), postgres.keys().collect::<Vec<_>>());
    for (table, columns) in &sqlite {
        assert_eq!(columns, &postgres[table], "columns of {table}");
    }
    assert!(sqlite["processed_generations"].contains_key("client_org_id"));
}

#[test]
fn what_ran_does_not_run_again() {
    TestDb::each(|storage| {
        assert_eq!(migrate::pending(storage.url()).unwrap(), Vec::<String>::new());
        assert_eq!(migrate::run(storage.url()).unwrap(), Vec::<String>::new());
    });
}

/// An empty schema of its own, which is dropped in the end.
struct EmptySchema {
    server: String,
    name: &'static str,
}

impl EmptySchema {
    fn new(name: &'static str) -> Self {
        let server = std::env::var(POSTGRES_VARIABLE).expect(POSTGRES_VARIABLE);
        let schema = Self { server, name };
        schema.run(&format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}"));
        schema
    }

    fn run(&self, sql: &str) {
        PgConnection::establish(&self.server).unwrap().batch_execute(sql).unwrap();
    }

    fn url(&self) -> DatabaseUrl {
        let separator = if self.server.contains('?') { '&' } else { '?' };
        DatabaseUrl::Postgres(format!("{}{separator}options=-csearch_path%3D{}", self.server, self.name))
    }
}

impl Drop for EmptySchema {
    fn drop(&mut self) {
        self.run(&format!("DROP SCHEMA {} CASCADE", self.name));
    }
}

/// Eight processes that start at once; what each of them ran.
fn start_eight(url: &DatabaseUrl) -> Vec<Vec<String>> {
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        let starting: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    migrate::run(url).unwrap()
                })
            })
            .collect();
        starting.into_iter().map(|one| one.join().unwrap()).filter(|ran| !ran.is_empty()).collect()
    })
}

/// A migration's name without its folder's hyphens is its version, as Diesel stores it.
fn all_versions() -> Vec<String> {
    names("sqlite").iter().map(|name| name.split('_').next().unwrap().replace('-', "")).collect()
}

#[test]
fn eight_processes_that_start_at_once_migrate_postgresql_once() {
    let schema = EmptySchema::new("test_eight_migrations");
    let url = schema.url();
    assert_eq!(migrate::pending(&url).unwrap(), names("postgres"));
    assert_eq!(start_eight(&url), [all_versions()]);
    assert_eq!(migrate::pending(&url).unwrap(), Vec::<String>::new());
}

#[test]
fn eight_processes_that_start_at_once_migrate_sqlite_once() {
    // More than once, because the first moment of a file is a short one.
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("test.db"));
        assert_eq!(start_eight(&url), [all_versions()]);
        assert_eq!(migrate::pending(&url).unwrap(), Vec::<String>::new());
    }
}
