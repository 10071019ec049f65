//! The list of models, for which no key is needed.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::ACCEPT;

use super::{LookupError, OpenRouterClient, read_body, retry_after};
use crate::models::{self, ListedModel};

/// A list of a thousand models has some megabytes.
const MAX_LIST: usize = 32 * 1024 * 1024;

/// How long OpenRouter may take for the list.
const PATIENCE: Duration = Duration::from_secs(30);

impl OpenRouterClient {
    /// Every model that OpenRouter sells, of whatever output: all that the answer lists, or an error.
    pub async fn models(&self) -> Result<Vec<ListedModel>, LookupError> {
        let request = self.http.get(self.models_url.clone()).timeout(PATIENCE);
        let response = request.header(ACCEPT, "application/json").send().await?;
        match response.status() {
            StatusCode::OK => {
                models::parse(&read_body(response, MAX_LIST, "it is longer than 32 MiB").await?)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(LookupError::Unauthorized),
            StatusCode::TOO_MANY_REQUESTS => {
                Err(LookupError::RateLimited { retry_after: retry_after(response.headers()) })
            }
            status => Err(LookupError::Upstream { status: status.as_u16() }),
        }
    }
}
