//! The client of OpenRouter's own API: what did this generation cost, what did this key, and what does each model?

use std::pin::Pin;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::generation::{GenerationDetails, GenerationLookup};
use crate::key::{KeyUsage, KeyUsageFuture, KeyUsageSource};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(15);

/// A record of a generation has about 2 KiB; provider responses within it may be longer.
const MAX_BODY: usize = 256 * 1024;
const TOO_LONG: &str = "it is longer than 256 KiB";

/// A look-up that is under way. It borrows nothing, so that it can be spawned.
pub type LookupFuture = Pin<Box<dyn Future<Output = Result<GenerationLookup, LookupError>> + Send>>;

/// Where the exact cost of a generation can be asked for.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
pub trait GenerationSource: Send + Sync {
    /// Asks for the record of generation `id` with an inference key of the account that made the call.
    fn generation(&self, api_key: &SecretString, id: &str) -> LookupFuture;
}

/// Why a look-up brought no answer. None of the texts contains the key.
#[derive(Debug, Error)]
pub enum LookupError {
    /// The key is missing, malformed, disabled or lacks the right (401, 403).
    #[error("OpenRouter refused the key")]
    Unauthorized,
    /// Too many requests (429).
    #[error("OpenRouter limits the request rate")]
    RateLimited {
        /// The pause that was asked for, where `Retry-After` gives seconds.
        retry_after: Option<Duration>,
    },
    /// Any other status but 200 and 404.
    #[error("OpenRouter answered with status {status}")]
    Upstream {
        /// The HTTP status.
        status: u16,
    },
    /// No connection, a timeout, or a connection that broke.
    #[error("OpenRouter could not be reached")]
    Transport(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is not what the API documents.
    #[error("OpenRouter's answer cannot be read: {0}")]
    Malformed(&'static str),
}

impl From<reqwest::Error> for LookupError {
    fn from(error: reqwest::Error) -> Self {
        Self::Transport(Box::new(error.without_url()))
    }
}

/// Why a client could not be built.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The base URL is no absolute `http` or `https` URL.
    #[error("`{0}` is not an http or https URL")]
    BaseUrl(String),
    /// TLS or the proxy settings of the environment could not be set up.
    #[error("the HTTP client could not be set up")]
    Setup(#[source] reqwest::Error),
}

/// Client of OpenRouter's own API. It follows no redirect, and gives up a look-up after 15 seconds and a call of the
/// management API after 30.
#[derive(Clone, Debug)]
pub struct OpenRouterClient {
    http: reqwest::Client,
    generation_url: Url,
    key_url: Url,
    keys_url: Url,
    models_url: Url,
}

impl OpenRouterClient {
    /// A client of the API at `base_url`, for example `https://openrouter.ai/api/v1`.
    ///
    /// The process must have installed a default rustls crypto provider before; without one the HTTP library panics.
    pub fn new(base_url: &str) -> Result<Self, ClientError> {
        let refused = || ClientError::BaseUrl(base_url.to_owned());
        let url = |path| {
            let url = Url::parse(&format!("{}/{path}", base_url.trim_end_matches('/'))).ok();
            url.filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none())
                .ok_or_else(refused)
        };
        let (generation_url, key_url, keys_url) = (url("generation")?, url("key")?, url("keys")?);
        let mut models_url = url("models")?;
        // Without it only the models that write text are listed.
        models_url.set_query(Some("output_modalities=all"));
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mai-usage/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(ClientError::Setup)?;
        Ok(Self { http, generation_url, key_url, keys_url, models_url })
    }

    async fn look_up(&self, api_key: &SecretString, id: &str) -> Result<GenerationLookup, LookupError> {
        let mut url = self.generation_url.clone();
        url.query_pairs_mut().append_pair("id", id);
        let Some(body) = self.get(url, api_key).await? else { return Ok(GenerationLookup::NotReady) };
        let details =
            GenerationDetails::parse(&body).ok_or(LookupError::Malformed("it is not a generation record"))?;
        if details.id != id {
            return Err(LookupError::Malformed("it is the record of another generation"));
        }
        Ok(GenerationLookup::Found(details))
    }

    async fn read_key(&self, api_key: &SecretString) -> Result<KeyUsage, LookupError> {
        let body = self.get(self.key_url.clone(), api_key).await?;
        let body = body.ok_or(LookupError::Upstream { status: StatusCode::NOT_FOUND.as_u16() })?;
        KeyUsage::parse(&body).ok_or(LookupError::Malformed("it does not tell the usage of a key"))
    }

    /// The body of a 200 answer; none for 404.
    async fn get(&self, url: Url, api_key: &SecretString) -> Result<Option<Vec<u8>>, LookupError> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", api_key.expose_secret()))
            .map_err(|_| LookupError::Unauthorized)?;
        authorization.set_sensitive(true);
        let request =
            self.http.get(url).header(AUTHORIZATION, authorization).header(ACCEPT, "application/json");
        let response = request.send().await?;
        match response.status() {
            StatusCode::OK => read_body(response, MAX_BODY, TOO_LONG).await.map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(LookupError::Unauthorized),
            StatusCode::TOO_MANY_REQUESTS => {
                Err(LookupError::RateLimited { retry_after: retry_after(response.headers()) })
            }
            status => Err(LookupError::Upstream { status: status.as_u16() }),
        }
    }
}

impl GenerationSource for OpenRouterClient {
    fn generation(&self, api_key: &SecretString, id: &str) -> LookupFuture {
        let (client, api_key, id) = (self.clone(), api_key.clone(), id.to_owned());
        Box::pin(async move { client.look_up(&api_key, &id).await })
    }
}

impl KeyUsageSource for OpenRouterClient {
    fn key_usage(&self, api_key: &SecretString) -> KeyUsageFuture {
        let (client, api_key) = (self.clone(), api_key.clone());
        Box::pin(async move { client.read_key(&api_key).await })
    }
}

/// The body, if it has at most `limit` bytes; else `too_long` says what is wrong with it.
async fn read_body(
    mut response: Response,
    limit: usize,
    too_long: &'static str,
) -> Result<Vec<u8>, LookupError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(LookupError::Malformed(too_long));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Seconds only: a date would need a clock that agrees with upstream's.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

mod management;
mod models;
#[cfg(test)]
mod tests;
