//! What reached the mock OpenRouter.

use mai_mock_openrouter::{Mock, RecordedRequest};

/// What the service asks of its own accord: what a provider key has used, and what models cost.
const OWN: [&str; 2] = ["/api/v1/key", "/api/v1/models?output_modalities=all"];

/// The requests that clients' calls led to, in the order in which they arrived.
pub fn calls(mock: &Mock) -> Vec<RecordedRequest> {
    let requests = mock.requests().into_iter();
    requests.filter(|request| !OWN.contains(&request.path.as_str())).collect()
}
