//! `GET /generation?id=`: the record that settles what an answer did not tell.

use crate::ledger::{Charge, Found};
use crate::respond::{MockResponse, error, json, not_found, quote, quote_option};
use crate::server::{State, query_value};
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

/// The answer of `GET /generation` for a charge.
fn record(charge: &Charge) -> String {
    let created = chrono::DateTime::from_timestamp_millis(charge.started_unix_ms)
        .map(|time| time.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string());
    format!(
        concat!(
            r#"{{"data":{{"id":{id},"upstream_id":null,"request_id":null,"total_cost":{cost},"usage":{cost},"upstream_inference_cost":{upstream},"#,
            r#""cache_discount":null,"is_byok":{byok},"created_at":{created},"model":{model},"provider_name":{provider},"app_id":null,"#,
            r#""streamed":{streamed},"cancelled":{cancelled},"latency":50,"moderation_latency":null,"generation_time":{time},"#,
            r#""finish_reason":{reason},"native_finish_reason":{reason},"service_tier":null,"#,
            r#""tokens_prompt":{norm_prompt},"tokens_completion":{norm_completion},"#,
            r#""native_tokens_prompt":{prompt},"native_tokens_completion":{completion},"native_tokens_completion_images":0,"#,
            r#""native_tokens_reasoning":{reasoning},"native_tokens_cached":{cached},"num_media_prompt":null,"num_input_audio_prompt":null,"#,
            r#""num_media_completion":null,"num_search_results":null,"num_fetches":null,"web_search_engine":null,"origin":"","http_referer":null,"#,
            r#""user_agent":null,"external_user":{user},"session_id":null,"api_type":"{api_type}","router":null,"preset_id":null,"#,
            r#""provider_responses":null,"data_region":"global","workspace_id":null,"response_cache_source_id":null}}}}"#,
        ),
        id = quote(&charge.id),
        cost = charge.cost_text,
        upstream = charge.upstream_text.as_deref().unwrap_or("null"),
        byok = charge.byok,
        created = quote_option(created.as_deref()),
        model = quote(&charge.model),
        provider = quote(charge.provider),
        streamed = charge.streamed,
        cancelled = charge.cancelled,
        time = charge.finished_unix_ms - charge.started_unix_ms,
        reason = quote_option(charge.finish_reason),
        // The normalised counts always differ from the native ones, so that a meter that mixes them up is seen.
        norm_prompt = charge.prompt_tokens * 3 / 4 + 1,
        norm_completion = charge.completion_tokens * 3 / 4 + 1,
        prompt = charge.prompt_tokens,
        completion = charge.completion_tokens,
        reasoning = charge.reasoning_tokens,
        cached = charge.cached_tokens,
        user = quote_option(charge.user.as_deref()),
        api_type = charge.route.api_type(),
    )
}
