//! How a limit and what was used of it is shown.

use mai_billing::{BillingMonth, LimitState, limits::LimitStanding};
use mai_primitives::display;

use crate::{
    api::limits,
    dashboard::{
        charts,
        figures::{Notice, Tile},
        format,
        frame::Frame,
    },
};

/// Where a limit stands, in words and as a bar.
pub(in super::super) struct Standing {
    /// How much of it is used.
    pub(in super::super) percent: String,
    /// The length of its bar in thousandths.
    pub(in super::super) width: i64,
    /// The class of the bar and of the word.
    pub(in super::super) class: &'static str,
    /// What it is called.
    pub(in super::super) word: String,
}

impl Standing {
    /// Of a limit of 0 everything is used.
    pub(in super::super) fn of(frame: &Frame, state: &LimitState) -> Self {
        let (class, key) = match state.standing() {
            LimitStanding::Ok => ("ok", "limits-ok"),
            LimitStanding::Warning => ("warn", "limits-warning"),
            LimitStanding::Reached => ("bad", "limits-reached"),
        };
        let used = state.used();
        Self {
            percent: format::used_percent(frame.language, state),
            width: match state.standing() {
                LimitStanding::Reached => charts::FULL,
                _ => charts::width(used.nanos(), state.limit.nanos()),
            },
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

/// That the organization's own limit is used up, where it is.
pub(in super::super) fn used_up(frame: &Frame, month: BillingMonth, states: &[LimitState]) -> Option<Notice> {
    limits::is_used_up(states).then(|| reached(frame, month, "limits-organization-reached"))
}

/// That a limit is used up, and until when.
pub(in super::super) fn reached(frame: &Frame, month: BillingMonth, key: &str) -> Notice {
    Notice { kind: "bad", text: frame.with(key, &renewal(frame, month)) }
}

/// The day on which the limits of a month begin anew.
pub(in super::super) fn renewal(frame: &Frame, month: BillingMonth) -> String {
    format::date(frame.language, month.after().first())
}
