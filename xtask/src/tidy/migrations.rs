//! The schema must be the same in both databases, and such that PostgreSQL with Citus can spread every
//! table of an organization's data by `client_org_id` unchanged: each key contains that column, and
//! nothing depends on a trigger or on the time of the server that runs a statement.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Finding,
    sql::{Change, Key, KeyKind, Token, changes, tokens},
    tree::Tree,
};
use crate::migrate::TREES;

/// Tables that are the same on every server of a cluster. All others belong to one organization a row.
const REFERENCE: [&str; 22] = [
    "global_settings",
    "default_markup_rates",
    "client_organizations",
    "api_tokens",
    "directory_revision",
    "processed_generation_cleanup_log",
    "accounts",
    "sessions",
    "sign_in_links",
    "audit_log",
    "audit_head",
    "model_price_list",
    "model_prices",
    "alert_destinations",
    "batch_lease",
    "batch_runs",
    "batch_steps",
    "nbp_rates",
    "nbp_calendar",
    "billing_settings",
    "statement_series",
    "statement_numbers",
];

const TENANT: &str = "client_org_id";

/// Functions of the present time, followed by a parenthesis, and words that stand for it.
const TIME_FUNCTIONS: [&str; 6] =
    ["now", "unixepoch", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday"];
const TIME_WORDS: [&str; 5] =
    ["current_timestamp", "current_date", "current_time", "localtimestamp", "localtime"];

/// A table after all migrations, and where it was made.
struct Table {
    path: String,
    line: usize,
    columns: BTreeSet<String>,
}

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut schemas = Vec::new();
    for database in TREES {
        let prefix = format!("migrations/{database}/");
        let mut schema = BTreeMap::new();
        for (path, text) in tree.texts(&["sql"]).filter(|(path, _)| path.starts_with(&prefix)) {
            let tokens = tokens(text);
            findings.extend(forbidden(path, &tokens));
            if path.ends_with("/up.sql") {
                for (line, change) in changes(&tokens) {
                    findings.extend(wrong_keys(path, line, &change, database));
                    apply(&mut schema, path, line, change);
                }
            }
        }
        schemas.push(schema);
    }
    findings.extend(missing_files(tree));
    if let [first, second] = schemas.as_slice() {
        findings.extend(differences(first, second, true));
        findings.extend(differences(second, first, false));
    }
    findings
}

/// Files of one tree that the other lacks.
fn missing_files(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in tree.texts(&["sql"]) {
        for (here, there) in [("sqlite", "postgres"), ("postgres", "sqlite")] {
            let Some(rest) = path.strip_prefix(&format!("migrations/{here}/")) else { continue };
            let twin = format!("migrations/{there}/{rest}");
            if !tree.exists(&twin) {
                findings.push(Finding::new(path, 1, format!("there is no {twin}; add it")));
            }
        }
        let down = path.strip_suffix("/up.sql").map(|folder| format!("{folder}/down.sql"));
        if down.as_ref().is_some_and(|down| !tree.exists(down)) {
            findings.push(Finding::new(path, 1, "there is no down.sql beside it; add it"));
        }
    }
    findings
}

fn forbidden(path: &str, tokens: &[Token]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let followers = tokens.iter().skip(1).map(|token| token.text.as_str()).chain([""]);
    for (token, follower) in tokens.iter().zip(followers) {
        let word = token.text.as_str();
        if word == "trigger" {
            findings.push(Finding::new(
                path,
                token.line,
                "no triggers; do the work in the transaction that writes the row",
            ));
        }
        if TIME_WORDS.contains(&word) || (TIME_FUNCTIONS.contains(&word) && follower == "(") {
            findings.push(Finding::new(
                path,
                token.line,
                format!("`{word}` is the server's time; store a value of our clock instead"),
            ));
        }
    }
    findings
}

fn wrong_keys(path: &str, line: usize, change: &Change, database: &str) -> Vec<Finding> {
    let (Change::Create { table, keys, .. } | Change::Add { table, keys, .. }) = change else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    if let Change::Create { is_strict, .. } = change
        && database == "sqlite"
        && !is_strict
    {
        findings.push(Finding::new(
            path,
            line,
            format!("make {table} STRICT, so that sums cannot become REAL"),
        ));
    }
    let is_reference = REFERENCE.contains(&table.as_str());
    let has_primary = keys.iter().any(|key| key.kind == KeyKind::Primary);
    if matches!(change, Change::Create { .. }) && !is_reference && !has_primary {
        findings.push(Finding::new(
            path,
            line,
            format!("give {table} a PRIMARY KEY ({TENANT}, …), or add it to the list of reference tables"),
        ));
    }
    for key in keys {
        if let Some(message) = wrong_key(table, key, is_reference) {
            findings.push(Finding::new(path, key.line, message));
        }
    }
    findings
}

fn wrong_key(table: &str, key: &Key, is_reference: bool) -> Option<String> {
    let begins = key.columns.first().is_some_and(|first| first == TENANT);
    match &key.kind {
        KeyKind::Foreign(target) if REFERENCE.contains(&target.as_str()) => None,
        KeyKind::Foreign(target) if is_reference => {
            Some(format!("the reference table {table} may not refer to {target}, whose rows are spread"))
        }
        KeyKind::Foreign(target) => (!key.columns.iter().any(|column| column == TENANT))
            .then(|| format!("the foreign key from {table} to {target} must contain {TENANT}")),
        KeyKind::Primary => {
            (!is_reference && !begins).then(|| format!("the primary key of {table} must begin with {TENANT}"))
        }
        KeyKind::Unique => {
            (!is_reference && !begins).then(|| format!("a unique key of {table} must begin with {TENANT}"))
        }
    }
}

fn apply(schema: &mut BTreeMap<String, Table>, path: &str, line: usize, change: Change) {
    match change {
        Change::Create { table, columns, .. } => {
            let columns = columns.into_iter().collect();
            schema.insert(table, Table { path: path.to_owned(), line, columns });
        }
        Change::Drop { table } => {
            schema.remove(&table);
        }
        Change::Rename { table, to } => {
            if let Some(moved) = schema.remove(&table) {
                schema.insert(to, moved);
            }
        }
        Change::Add { table, columns, .. } => {
            if let Some(table) = schema.get_mut(&table) {
                table.columns.extend(columns);
            }
        }
        Change::DropColumn { table, column } => {
            if let Some(table) = schema.get_mut(&table) {
                table.columns.remove(&column);
            }
        }
        Change::RenameColumn { table, column, to } => {
            if let Some(table) = schema.get_mut(&table) {
                table.columns.remove(&column);
                table.columns.insert(to);
            }
        }
    }
}

/// Tables of `here` that `there` lacks, and, when asked, tables whose columns differ.
fn differences(
    here: &BTreeMap<String, Table>,
    there: &BTreeMap<String, Table>,
    compare_columns: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, table) in here {
        let Some(twin) = there.get(name) else {
            findings.push(Finding::new(
                &table.path,
                table.line,
                format!("the other database has no table {name}; make it there as well"),
            ));
            continue;
        };
        let different: Vec<_> =
            table.columns.symmetric_difference(&twin.columns).map(String::as_str).collect();
        if compare_columns && !different.is_empty() {
            findings.push(Finding::new(
                &table.path,
                table.line,
                format!("{name} has not the same columns in both databases: {}", different.join(", ")),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: &str = "migrations/sqlite/1_a/up.sql";

    /// What is wrong with two trees that have one migration each.
    fn findings(sqlite: &str, postgres: &str) -> Vec<String> {
        let tree = Tree::of([
            (UP, sqlite),
            ("migrations/sqlite/1_a/down.sql", ""),
            ("migrations/postgres/1_a/up.sql", postgres),
            ("migrations/postgres/1_a/down.sql", ""),
        ]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    /// What is wrong with the same text on both, as SQLite sees it.
    fn on_sqlite(text: &str) -> Vec<String> {
        let all = findings(text, text).into_iter();
        all.filter_map(|finding| finding.strip_prefix(&format!("{UP}:")).map(str::to_owned)).collect()
    }

    #[test]
    fn tenant_tables_with_their_keys_pass() {
        let text = "-- No TRIGGER, no now() here.\n\
            CREATE TABLE client_organizations (id TEXT PRIMARY KEY, name TEXT UNIQUE DEFAULT 'now()') STRICT;\n\
            CREATE TABLE a (client_org_id TEXT REFERENCES client_organizations (id), b TEXT, now BIGINT,\n\
            PRIMARY KEY (client_org_id, b), UNIQUE (client_org_id, now)) STRICT;\n\
            CREATE TABLE c (client_org_id TEXT, b TEXT, PRIMARY KEY (client_org_id),\n\
            FOREIGN KEY (b, client_org_id) REFERENCES a (b, client_org_id)) STRICT;\n";
        assert_eq!(findings(text, text), [""; 0]);
    }

    #[test]
    fn each_broken_rule_fails_at_its_line() {
        for (text, expected) in [
            ("CREATE TABLE a (client_org_id TEXT) STRICT;", "1: give a a PRIMARY KEY"),
            ("\nCREATE TABLE a (id TEXT PRIMARY KEY) STRICT;", "2: the primary key of a"),
            (
                "CREATE TABLE a (id TEXT, client_org_id TEXT,\nPRIMARY KEY (id, client_org_id)) STRICT;",
                "2: the primary key",
            ),
            (
                "CREATE TABLE a (client_org_id TEXT, b TEXT UNIQUE, PRIMARY KEY (client_org_id)) STRICT;",
                "1: a unique key",
            ),
            (
                "CREATE TABLE a (client_org_id TEXT, b TEXT, PRIMARY KEY (client_org_id, b)) STRICT;\nCREATE UNIQUE INDEX i ON a (b);",
                "2: a unique key",
            ),
            (
                "CREATE TABLE a (client_org_id TEXT PRIMARY KEY) STRICT;\nCREATE TABLE b (client_org_id TEXT PRIMARY KEY,\nx TEXT REFERENCES a (x)) STRICT;",
                "3: the foreign key from b to a",
            ),
            (
                "CREATE TABLE a (client_org_id TEXT PRIMARY KEY) STRICT;\nCREATE TABLE api_tokens (client_org_id TEXT REFERENCES a) STRICT;",
                "2: the reference table api_tokens",
            ),
            ("CREATE TABLE a (client_org_id TEXT PRIMARY KEY);", "1: make a STRICT"),
            ("CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END;", "1: no triggers"),
            ("UPDATE a SET b = now();", "1: `now`"),
            (
                "CREATE TABLE a (client_org_id TEXT PRIMARY KEY,\nb TEXT DEFAULT CURRENT_TIMESTAMP) STRICT;",
                "2: `current_timestamp`",
            ),
        ] {
            let found = on_sqlite(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with(expected), "{found:?}");
        }
    }

    #[test]
    fn the_two_trees_may_not_differ() {
        let one = "CREATE TABLE a (client_org_id TEXT PRIMARY KEY, b TEXT) STRICT;\n";
        let later = "CREATE TABLE a (client_org_id TEXT PRIMARY KEY);\nALTER TABLE a ADD COLUMN b TEXT;\n";
        assert_eq!(findings(one, later), [""; 0]);
        let other = "CREATE TABLE a (client_org_id TEXT PRIMARY KEY, c TEXT);\n";
        assert_eq!(
            findings(one, other),
            [format!("{UP}:1: a has not the same columns in both databases: b, c")]
        );
        assert!(findings(one, "")[0].starts_with(&format!("{UP}:1: the other database has no table a")));
        assert!(findings("", "CREATE TABLE a (client_org_id TEXT PRIMARY KEY);")[0].contains("no table a"));
        let tree = Tree::of([
            (UP, ""),
            ("migrations/sqlite/1_a/down.sql", ""),
            ("migrations/postgres/1_a/up.sql", ""),
        ]);
        let found: Vec<_> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("no down.sql") && found[1].contains("postgres/1_a/down.sql"), "{found:?}");
    }
}
