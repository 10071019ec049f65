//! `cargo xtask migrate`: brings a database up to date, or makes the files of a new migration.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;
use mai_primitives::{Clock as _, SystemClock};
use mai_storage::DatabaseUrl;

/// The folders below `migrations/`, one for each database.
pub(crate) const TREES: [&str; 2] = ["sqlite", "postgres"];

/// Runs the migrations that have not run yet.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask migrate --database sqlite:data/mai-usage.db")]
pub(crate) struct Args {
    /// The database, `sqlite:PATH` or `postgres://…`.
    #[arg(
        long,
        env = "MAI_DATABASE_URL",
        hide_env_values = true,
        default_value = "sqlite:data/mai-usage.db"
    )]
    database: DatabaseUrl,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the folder of a new migration, with up.sql and down.sql, for both databases.
    #[command(after_help = "Example: cargo xtask migrate new exchange_rates")]
    New {
        /// What the migration adds, in lower case: letters, digits and underscores.
        name: String,
    },
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        None => run_pending(&args.database)?,
        Some(Command::New { name }) => {
            let now = SystemClock.now().format("%Y-%m-%d-%H%M%S");
            for path in create(&crate::workspace_root().join("migrations"), &format!("{now}"), &name)? {
                println!("{path}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the folder of a SQLite file where it is missing, and runs what has not run yet.
pub(crate) fn run_pending(database: &DatabaseUrl) -> Result<()> {
    if let DatabaseUrl::Sqlite(file) = database
        && let Some(folder) = file.parent()
    {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let ran = mai_storage::migrate::run(database).with_context(|| format!("cannot migrate {database}"))?;
    for name in &ran {
        println!("ran {name}");
    }
    println!("{database} is up to date");
    Ok(())
}

/// Makes the files in each tree below `migrations` and returns their paths.
fn create(migrations: &Path, time: &str, name: &str) -> Result<Vec<String>> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    ensure!(
        !name.is_empty() && name.bytes().all(plain),
        "`{name}` is no name for a migration; use lower case letters, digits and underscores"
    );
    let mut made = Vec::new();
    for tree in TREES {
        let folder = migrations.join(tree).join(format!("{time}_{name}"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (file, text) in [
            ("up.sql", "-- Say why these tables or columns exist.\n"),
            ("down.sql", "-- Undo up.sql, in the opposite order.\n"),
        ] {
            let path = folder.join(file);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            made.push(path.display().to_string());
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_migration_has_two_files_in_both_trees() {
        let folder = tempfile::tempdir().unwrap();
        let made = create(folder.path(), "2026-02-03-040506", "exchange_rates").unwrap();
        assert_eq!(made.len(), 4);
        for tree in TREES {
            for file in ["up.sql", "down.sql"] {
                let path = folder.path().join(tree).join("2026-02-03-040506_exchange_rates").join(file);
                assert!(fs::read_to_string(path).unwrap().ends_with('\n'));
            }
        }
    }

    #[test]
    fn a_name_that_is_no_folder_name_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "Rates", "a b", "../x", "a-b"] {
            assert!(create(folder.path(), "2026-02-03-040506", name).is_err(), "{name}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn pending_migrations_run_into_a_folder_that_does_not_exist_yet() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("data/new.db"));
        run_pending(&url).unwrap();
        assert_eq!(mai_storage::migrate::pending(&url).unwrap(), Vec::<String>::new());
    }
}
