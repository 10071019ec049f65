//! Just enough of SQL's grammar to see tables, their columns and their keys.

use std::{iter::Peekable, str::Chars};

/// A word, a number or a sign, in lower case. Comments are dropped; a string is the token `''`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// What a statement does to the schema, as far as the rules care.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Create {
        table: String,
        columns: Vec<String>,
        keys: Vec<Key>,
        is_strict: bool,
    },
    Drop {
        table: String,
    },
    Rename {
        table: String,
        to: String,
    },
    /// Columns and keys that an existing table gets.
    Add {
        table: String,
        columns: Vec<String>,
        keys: Vec<Key>,
    },
    DropColumn {
        table: String,
        column: String,
    },
    RenameColumn {
        table: String,
        column: String,
        to: String,
    },
}

/// A primary key, a unique key or a foreign key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) kind: KeyKind,
    pub(crate) columns: Vec<String>,
    pub(crate) line: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Primary,
    Unique,
    /// Refers to this table.
    Foreign(String),
}

/// Splits `text` into tokens.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    let mut line = 1;
    while let Some(character) = rest.next() {
        let begun = line;
        let token = match character {
            '\n' => {
                line += 1;
                continue;
            }
            '-' if rest.peek() == Some(&'-') => {
                while rest.next_if(|next| *next != '\n').is_some() {}
                continue;
            }
            '/' if rest.peek() == Some(&'*') => {
                line += skip_comment(&mut rest);
                continue;
            }
            '\'' => {
                let inside = until(&mut rest, '\'');
                line += inside.matches('\n').count();
                "''".to_owned()
            }
            '"' => until(&mut rest, '"'),
            other if other.is_alphanumeric() || other == '_' => {
                let mut word = other.to_string();
                while let Some(next) = rest.next_if(|next| next.is_alphanumeric() || *next == '_') {
                    word.push(next);
                }
                word
            }
            other if other.is_whitespace() => continue,
            other => other.to_string(),
        };
        tokens.push(Token { text: token.to_lowercase(), line: begun });
    }
    tokens
}

fn until(rest: &mut Peekable<Chars<'_>>, end: char) -> String {
    rest.by_ref().take_while(|next| *next != end).collect()
}

/// Returns how many lines the comment covers beyond its first.
fn skip_comment(rest: &mut Peekable<Chars<'_>>) -> usize {
    let mut lines = 0;
    let mut last = ' ';
    for next in rest.by_ref().skip(1) {
        lines += usize::from(next == '\n');
        if last == '*' && next == '/' {
            break;
        }
        last = next;
    }
    lines
}

/// The changes that the statements make, each with the line on which its statement begins.
pub(crate) fn changes(tokens: &[Token]) -> Vec<(usize, Change)> {
    let statements = tokens.split(|token| token.text == ";");
    statements.filter_map(|statement| Some((statement.first()?.line, change(statement)?))).collect()
}

fn change(statement: &[Token]) -> Option<Change> {
    match words(statement).as_slice() {
        ["create", "unique", "index", ..] => {
            let (_, after) = split_at_word(statement, "on")?;
            let table = name(after)?;
            let key = Key { kind: KeyKind::Unique, columns: listed(after), line: after.first()?.line };
            Some(Change::Add { table, columns: Vec::new(), keys: vec![key] })
        }
        ["create", "table", ..] | ["create", _, "table", ..] => create_table(statement),
        ["drop", "table", ..] => Some(Change::Drop { table: name(statement.get(2..)?)? }),
        ["alter", "table", ..] => {
            let (table, action) = statement.get(2..)?.split_first()?;
            alter_table(table.text.clone(), action)
        }
        _ => None,
    }
}

fn create_table(statement: &[Token]) -> Option<Change> {
    let (_, after) = split_at_word(statement, "table")?;
    let table = name(after)?;
    let (body, tail) = first_group(after)?;
    let (mut columns, mut keys) = (Vec::new(), Vec::new());
    for part in split_by_comma(body) {
        item(part, &mut columns, &mut keys);
    }
    Some(Change::Create { table, columns, keys, is_strict: words(tail).contains(&"strict") })
}

fn alter_table(table: String, action: &[Token]) -> Option<Change> {
    match words(action).as_slice() {
        ["add", ..] => {
            let (mut columns, mut keys) = (Vec::new(), Vec::new());
            item(skip(action.get(1..)?, &["column", "if", "not", "exists"]), &mut columns, &mut keys);
            Some(Change::Add { table, columns, keys })
        }
        ["drop", "constraint", ..] => None,
        ["drop", ..] => {
            let column = name(skip(action.get(1..)?, &["column", "if", "exists"]))?;
            Some(Change::DropColumn { table, column })
        }
        ["rename", "to", to, ..] => Some(Change::Rename { table, to: (*to).to_owned() }),
        ["rename", "column", column, "to", to, ..] | ["rename", column, "to", to, ..] => {
            Some(Change::RenameColumn { table, column: (*column).to_owned(), to: (*to).to_owned() })
        }
        _ => None,
    }
}

/// Reads a column's definition or a table's constraint.
fn item(tokens: &[Token], columns: &mut Vec<String>, keys: &mut Vec<Key>) {
    let body = match words(tokens).as_slice() {
        ["constraint", _, ..] => tokens.get(2..).unwrap_or_default(),
        _ => tokens,
    };
    let Some(first) = body.first() else { return };
    let is_constraint = ["primary", "unique", "foreign", "check", "exclude"].contains(&first.text.as_str());
    let on = if is_constraint { listed(body) } else { vec![first.text.clone()] };
    if !is_constraint {
        columns.push(first.text.clone());
    }
    for (index, token) in body.iter().enumerate() {
        let kind = match token.text.as_str() {
            "primary" => KeyKind::Primary,
            "unique" => KeyKind::Unique,
            "references" => {
                KeyKind::Foreign(body.get(index + 1).map(|target| target.text.clone()).unwrap_or_default())
            }
            _ => continue,
        };
        keys.push(Key { kind, columns: on.clone(), line: token.line });
    }
}

fn words(tokens: &[Token]) -> Vec<&str> {
    tokens.iter().map(|token| token.text.as_str()).collect()
}

fn split_at_word<'a>(tokens: &'a [Token], word: &str) -> Option<(&'a [Token], &'a [Token])> {
    let at = tokens.iter().position(|token| token.text == word)?;
    Some((tokens.get(..at)?, tokens.get(at + 1..)?))
}

fn skip<'a>(mut tokens: &'a [Token], noise: &[&str]) -> &'a [Token] {
    while let Some((first, rest)) = tokens.split_first()
        && noise.contains(&first.text.as_str())
    {
        tokens = rest;
    }
    tokens
}

/// The name that follows `IF [NOT] EXISTS`, if that is there.
fn name(tokens: &[Token]) -> Option<String> {
    skip(tokens, &["if", "not", "exists"]).first().map(|token| token.text.clone())
}

/// What stands in the first parentheses, and what follows them.
fn first_group(tokens: &[Token]) -> Option<(&[Token], &[Token])> {
    let (_, inside) = split_at_word(tokens, "(")?;
    let mut depth = 1_usize;
    for (index, token) in inside.iter().enumerate() {
        match token.text.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((inside.get(..index)?, inside.get(index + 1..)?));
        }
    }
    None
}

fn split_by_comma(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    let mut depth = 0_usize;
    tokens.split(move |token| {
        match token.text.as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.text == ","
    })
}

/// The names that begin each part of the first parentheses.
fn listed(tokens: &[Token]) -> Vec<String> {
    let Some((inside, _)) = first_group(tokens) else { return Vec::new() };
    split_by_comma(inside).filter_map(|part| part.first().map(|token| token.text.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Change {
        let mut found = changes(&tokens(text));
        assert_eq!(found.len(), 1, "{text}");
        found.remove(0).1
    }

    #[test]
    fn a_table_shows_its_columns_and_keys() {
        let text = "-- a, (comment\nCREATE TABLE IF NOT EXISTS \"Members\" (\n  org TEXT NOT NULL REFERENCES orgs (id),\n\
                    /* b */ role TEXT CHECK (role IN ('a;', 'b''c')), \n  CONSTRAINT pk PRIMARY KEY (org, role)\n) STRICT, WITHOUT ROWID;";
        let Change::Create { table, columns, keys, is_strict } = only(text) else { panic!("no table") };
        assert_eq!(
            (table.as_str(), columns, is_strict),
            ("members", vec!["org".into(), "role".into()], true)
        );
        let foreign = Key { kind: KeyKind::Foreign("orgs".into()), columns: vec!["org".into()], line: 3 };
        let primary = Key { kind: KeyKind::Primary, columns: vec!["org".into(), "role".into()], line: 5 };
        assert_eq!(keys, [foreign, primary]);
    }

    #[test]
    fn later_changes_are_seen() {
        let unique = |line| vec![Key { kind: KeyKind::Unique, columns: vec!["b".into()], line }];
        for (text, expected) in [
            ("DROP TABLE IF EXISTS a", Change::Drop { table: "a".into() }),
            ("ALTER TABLE a RENAME TO b", Change::Rename { table: "a".into(), to: "b".into() }),
            (
                "ALTER TABLE a ADD COLUMN b TEXT UNIQUE",
                Change::Add { table: "a".into(), columns: vec!["b".into()], keys: unique(1) },
            ),
            (
                "ALTER TABLE a ADD CONSTRAINT c UNIQUE (b)",
                Change::Add { table: "a".into(), columns: Vec::new(), keys: unique(1) },
            ),
            (
                "CREATE UNIQUE INDEX c\nON a (b) WHERE x > 0",
                Change::Add { table: "a".into(), columns: Vec::new(), keys: unique(2) },
            ),
            ("ALTER TABLE a DROP COLUMN b", Change::DropColumn { table: "a".into(), column: "b".into() }),
            (
                "ALTER TABLE a RENAME COLUMN b TO c",
                Change::RenameColumn { table: "a".into(), column: "b".into(), to: "c".into() },
            ),
        ] {
            assert_eq!(only(text), expected);
        }
        assert_eq!(changes(&tokens("CREATE INDEX i ON a (b); INSERT INTO a (b) VALUES (1);")), []);
    }
}
