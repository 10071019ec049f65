//! What the databases' own errors become.

use diesel::prelude::*;
use mai_storage::{Error, Storage, sum_i64, testing::TestDb, text_enum};

use crate::{
    create_counters,
    schema::{counters, notes},
};

text_enum! {
    /// How sure somebody is.
    pub enum Mood {
        /// Not at all.
        Unsure = "unsure",
        /// Very.
        Certain = "certain",
    }
}

fn note(storage: &Storage, id: i64, word: &str, counter: i64) -> Result<usize, Error> {
    storage.write_blocking(|conn| {
        let row = (notes::id.eq(id), notes::word.eq(word), notes::counter.eq(counter));
        Ok(diesel::insert_into(notes::table).values(row).execute(conn)?)
    })
}

#[test]
fn constraints_have_names_of_their_own() {
    TestDb::each(|storage| {
        create_counters(storage);
        note(storage, 1, "unsure", 1).unwrap();
        let same_key = note(storage, 1, "certain", 1);
        assert!(matches!(same_key, Err(Error::Unique(_))), "{same_key:?}");
        let same_value = note(storage, 2, "unsure", 1);
        assert!(matches!(same_value, Err(Error::Unique(_))), "{same_value:?}");
        let no_such_counter = note(storage, 3, "certain", 99);
        assert!(matches!(no_such_counter, Err(Error::ForeignKey(_))), "{no_such_counter:?}");
        let still_referenced = storage
            .write_blocking(|conn| Ok::<_, Error>(diesel::delete(counters::table.find(1)).execute(conn)?));
        assert!(matches!(still_referenced, Err(Error::ForeignKey(_))), "{still_referenced:?}");
        let missing = storage.read_blocking(|conn| {
            Ok::<_, Error>(notes::table.find(77).select(notes::word).first::<String>(conn)?)
        });
        assert!(matches!(missing, Err(Error::NotFound)), "{missing:?}");
    });
}

#[test]
fn errors_tell_whether_to_try_again_and_whether_to_keep_the_connection() {
    use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};
    let database =
        |kind, text: &str| Error::from(DieselError::DatabaseError(kind, Box::new(text.to_owned())));
    for collision in [
        database(Kind::SerializationFailure, "could not serialize access"),
        database(Kind::Unknown, "deadlock detected"),
        database(Kind::Unknown, "database is locked"),
        database(Kind::Unknown, "database table is locked: counters"),
    ] {
        assert!(collision.is_transient(), "{collision:?}");
        assert!(collision.is_retryable() && !collision.breaks_connection(), "{collision:?}");
    }
    for lost in [
        database(Kind::ClosedConnection, "anything"),
        database(Kind::Unknown, "terminating connection due to administrator command"),
        database(Kind::Unknown, "server closed the connection unexpectedly"),
        database(Kind::Unknown, "the database system is shutting down"),
        Error::from(DieselError::BrokenTransactionManager),
    ] {
        assert!(lost.is_transient(), "{lost:?}");
        assert!(lost.breaks_connection() && !lost.is_retryable(), "{lost:?}");
    }
    for impaired in [
        database(Kind::ReadOnlyTransaction, "anything, in any language"),
        database(Kind::Unknown, "database or disk is full"),
        database(Kind::Unknown, "attempt to write a readonly database"),
        database(Kind::Unknown, "disk I/O error"),
        database(Kind::Unknown, "could not extend file \"base/16384/16399\": No space left on device"),
        database(Kind::Unknown, "canceling statement due to statement timeout"),
    ] {
        assert!(matches!(impaired, Error::Impaired(_)), "{impaired:?}");
        assert!(impaired.is_transient() && !impaired.is_retryable(), "{impaired:?}");
    }
    for refusal in [
        database(Kind::CheckViolation, "database is locked"),
        database(Kind::Unknown, "column x does not exist"),
        Error::from(DieselError::NotFound),
    ] {
        assert!(!refusal.is_transient(), "{refusal:?}");
        assert!(!refusal.breaks_connection() && !refusal.is_retryable(), "{refusal:?}");
    }
}

fn sum(storage: &Storage, at_least: i64) -> Result<i64, Error> {
    storage.read_blocking(|conn| {
        let rows = counters::table.filter(counters::value.ge(at_least));
        Ok(rows.select(sum_i64(counters::value)).first(conn)?)
    })
}

#[test]
fn a_sum_is_exact_or_an_error_and_of_nothing_0() {
    TestDb::each(|storage| {
        create_counters(storage);
        assert_eq!(sum(storage, 1).unwrap(), 0);
        let store = |first: i64, second: i64| {
            let stored = storage.write_blocking(|conn| {
                for (id, value) in [(1, first), (2, second)] {
                    diesel::update(counters::table.find(id)).set(counters::value.eq(value)).execute(conn)?;
                }
                Ok::<_, Error>(())
            });
            stored.unwrap();
        };
        // Beyond 2^53, where a float would begin to round.
        store(9_007_199_254_740_993, 2);
        assert_eq!(sum(storage, 1).unwrap(), 9_007_199_254_740_995);
        store(i64::MAX - 1, 1);
        assert_eq!(sum(storage, 1).unwrap(), i64::MAX);
        store(i64::MAX, 1);
        let overflow = sum(storage, 1);
        assert!(matches!(overflow, Err(Error::OutOfRange(_))), "{overflow:?}");
    });
}

#[test]
fn a_stored_sum_that_leaves_the_range_is_named() {
    TestDb::each(|storage| {
        create_counters(storage);
        let add = |amount: i64| {
            storage.write_blocking(|conn| {
                let sum = counters::value + amount;
                Ok::<_, Error>(
                    diesel::update(counters::table.find(1)).set(counters::value.eq(sum)).execute(conn)?,
                )
            })
        };
        assert_eq!(add(i64::MAX / 2).unwrap(), 1);
        let overflow = add(i64::MAX / 2 + 2);
        assert!(matches!(overflow, Err(Error::OutOfRange(_))), "{overflow:?}");
    });
}

#[test]
fn a_text_enum_reads_what_it_wrote_and_nothing_else() {
    TestDb::each(|storage| {
        create_counters(storage);
        for (id, mood) in (1..).zip(Mood::ALL) {
            let read = storage.write_blocking(|conn| {
                let row = (notes::id.eq(id), notes::word.eq(mood), notes::counter.eq(1));
                diesel::insert_into(notes::table).values(row).execute(conn)?;
                Ok::<_, Error>(notes::table.find(id).select(notes::word).first::<Mood>(conn)?)
            });
            assert_eq!(read.unwrap(), *mood);
        }
        for (id, unknown) in [(11, "Certain"), (12, ""), (13, "certain "), (14, "sure")] {
            note(storage, id, unknown, 1).unwrap();
            let read = storage.read_blocking(|conn| {
                Ok::<_, Error>(notes::table.find(id).select(notes::word).first::<Mood>(conn)?)
            });
            assert!(matches!(read, Err(Error::Query(_))), "`{unknown}` was read as {read:?}");
        }
    });
    assert_eq!("certain".parse(), Ok(Mood::Certain));
    assert!("sure".parse::<Mood>().unwrap_err().contains("unsure, certain"));
}
