//! The row of a delivery, and what can become of an attempt.

use diesel::prelude::*;
use mai_primitives::{OrganizationId, UnixTime};
use mai_storage::text_enum;

use crate::{destination::Channel, schema::alert_deliveries};

/// The pauses after attempts that failed, in seconds; after the last one an attempt more is made, and then
/// the delivery has failed: ten attempts within about 47 hours.
pub const PAUSES: [i64; 9] = [5, 30, 120, 600, 3_600, 10_800, 21_600, 43_200, 86_400];

/// For how long a delivery is in a process's hands, in seconds. An attempt takes at most half of it.
pub const LEASE: i64 = 60;

/// The longest word about what was wrong, in characters.
const LONGEST_ERROR: usize = 200;

text_enum! {
    /// Where a delivery stands.
    pub enum DeliveryState {
        /// It will be tried, again or for the first time.
        Waiting = "waiting",
        /// The receiver has it.
        Delivered = "delivered",
        /// It was given up.
        Failed = "failed",
    }
}

/// A delivery as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = alert_deliveries, treat_none_as_default_value = false)]
pub struct DeliveryModel {
    /// The organization that the alert is about.
    pub client_org_id: OrganizationId,
    /// A UUID.
    pub id: String,
    /// The alert.
    pub alert_id: String,
    /// The destination.
    pub destination_id: String,
    /// By which way.
    pub channel: Channel,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was begun.
    pub attempts: i32,
    /// How often since it was raised or replayed, by which the pauses are counted.
    pub tries: i32,
    /// When it is due, while it waits.
    pub next_attempt_at: UnixTime,
    /// The attempt in whose hands it is.
    pub claim: Option<String>,
    /// Until when, unless it says what became of it.
    pub claimed_until: Option<UnixTime>,
    /// When it was last begun.
    pub last_attempt_at: Option<UnixTime>,
    /// The HTTP or SMTP status of the last attempt, where there was an answer.
    pub last_status: Option<i32>,
    /// What was wrong with the last attempt.
    pub last_error: Option<String>,
    /// When it succeeded last.
    pub delivered_at: Option<UnixTime>,
    /// When it was made.
    pub created_at: UnixTime,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// The status of the answer, where there was one.
    pub(crate) status: Option<i32>,
    /// What was wrong.
    pub(crate) error: Option<String>,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The receiver has it.
    Delivered,
    /// It is worth trying again.
    Again,
    /// The receiver is gone, and wants nothing any more.
    Gone,
}

impl Outcome {
    pub(crate) fn delivered(status: i32) -> Self {
        Self { verdict: Verdict::Delivered, status: Some(status), error: None }
    }

    /// `error` is cut, and made one line.
    pub(crate) fn failed(verdict: Verdict, status: Option<i32>, error: &str) -> Self {
        let line = error.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = line.chars().filter(|letter| !letter.is_control()).take(LONGEST_ERROR).collect();
        Self { verdict, status, error: Some(line) }
    }
}

/// The pause after so many tries; none when it is enough.
pub(crate) fn pause_after(tries: i32) -> Option<i64> {
    let place = usize::try_from(tries).ok()?.checked_sub(1)?;
    PAUSES.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        assert!(PAUSES.is_sorted());
        assert_eq!((pause_after(1), pause_after(9), pause_after(10)), (Some(5), Some(86_400), None));
        assert_eq!((pause_after(0), pause_after(-1)), (None, None));
    }

    #[test]
    fn errors_are_short_and_one_line() {
        let long = format!("a\r\nb\u{0} {}", "x".repeat(500));
        let outcome = Outcome::failed(Verdict::Again, None, &long);
        let error = outcome.error.unwrap();
        assert!(error.starts_with("a b xx") && error.chars().count() == 200, "{error}");
    }
}
