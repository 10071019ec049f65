//! `GET /generation?id=`: the record that settles what an answer did not tell.

use crate::ledger::Found;
use crate::respond::{MockResponse, error, json, not_found};
use crate::server::{State, query_value};
use crate::wire::record;
use http::StatusCode;

/// Answers a look-up. An unknown id and a record that is not ready yet look the same.
pub(crate) fn answer(state: &State, query: &str) -> MockResponse {
    let Some(id) = query_value(query, "id").filter(|id| !id.is_empty()) else {
        return error(StatusCode::BAD_REQUEST, "Invalid request: id is required", None);
    };
    match state.ledger.look_up(id) {
        Found::NotYet => not_found(),
        Found::Fail(status) => {
            error(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), "Look-up failed", None)
        }
        Found::Charge(charge) => json(StatusCode::OK, record(&charge)),
    }
}
