//! How a limit and what was used of it is shown.

use mai_billing::{BillingMonth, LimitState, limits::LimitStanding};
use mai_primitives::display;

use crate::dashboard::{charts, figures::Tile, format, frame::Frame};

/// Where a limit stands, in words and as a bar.
pub(in super::super) struct Standing {
    /// How much of it is used.
    pub(in super::super) percent: String,
    /// The length of its bar in hundredths.
    pub(in super::super) width: i64,
    /// The class of the bar and of the word.
    pub(in super::super) class: &'static str,
    /// What it is called.
    pub(in super::super) word: String,
}

impl Standing {
    /// Of a limit of 0 everything is used.
    pub(in super::super) fn of(frame: &Frame, state: &LimitState) -> Self {
        let percent = state.percent();
        let (class, key) = match state.standing() {
            LimitStanding::Ok => ("ok", "limits-ok"),
            LimitStanding::Warning => ("warn", "limits-warning"),
            LimitStanding::Reached => ("bad", "limits-reached"),
        };
        // What is more than nothing is never shown as nothing.
        let is_little = percent == 0 && state.used().nanos() > 0;
        Self {
            percent: if is_little { format::percent(1) } else { format!("{}%", frame.number(percent)) },
            width: if is_little { 1 } else { charts::width(percent, 100) },
            class,
            word: frame.t(key),
        }
    }
}

/// The tile of a limit.
pub(in super::super) fn tile(frame: &Frame, label: String, state: &LimitState) -> Tile {
    let standing = Standing::of(frame, state);
    let (used, limit) = (display::usd(state.used()), display::usd(state.limit));
    let values = [("state", standing.word.as_str()), ("used", &used), ("limit", &limit)];
    let note = frame.language.with_all("limits-tile-note", &values);
    let tile = Tile::new(label, standing.percent, note);
    Tile { progress: Some((standing.width, standing.class)), ..tile }
}

/// The day on which the limits of a month begin anew.
pub(in super::super) fn renewal(frame: &Frame, month: BillingMonth) -> String {
    format::date(frame.language, month.after().first())
}
