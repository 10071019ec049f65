//! The calls of the management API. All take a management key, which no inference key can stand for.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{LookupError, MAX_BODY, OpenRouterClient, TOO_LONG, read_body, retry_after};
use crate::management::{
    CreatedManagedKey, ManagedKey, ManagedKeyPatch, NewBody, NewManagedKey, PatchBody, parse_created,
    parse_key, parse_keys,
};

/// How long OpenRouter may take for a call of the management API.
const PATIENCE: Duration = Duration::from_secs(30);

const NOT_A_KEY: LookupError = LookupError::Malformed("it is not a key object");

impl OpenRouterClient {
    /// Makes a key.
    pub async fn create_key(
        &self,
        management_key: &SecretString,
        new: &NewManagedKey,
    ) -> Result<CreatedManagedKey, LookupError> {
        let body = json(&NewBody::from(new))?;
        let answer = self.manage(Method::POST, self.keys_url.clone(), management_key, Some(body)).await?;
        parse_created(&answer).ok_or(NOT_A_KEY)
    }

    /// A key as it is now. One that OpenRouter does not have is [`LookupError::Upstream`] with 404.
    pub async fn managed_key(
        &self,
        management_key: &SecretString,
        hash: &str,
    ) -> Result<ManagedKey, LookupError> {
        let answer = self.manage(Method::GET, self.key(hash)?, management_key, None).await?;
        parse_key(&answer).ok_or(NOT_A_KEY)
    }

    /// Changes what the patch names, and returns the key as it is then.
    pub async fn update_key(
        &self,
        management_key: &SecretString,
        hash: &str,
        patch: ManagedKeyPatch,
    ) -> Result<ManagedKey, LookupError> {
        let body = json(&PatchBody::from(patch))?;
        let answer = self.manage(Method::PATCH, self.key(hash)?, management_key, Some(body)).await?;
        parse_key(&answer).ok_or(NOT_A_KEY)
    }

    /// Deletes a key, for good.
    pub async fn delete_key(&self, management_key: &SecretString, hash: &str) -> Result<(), LookupError> {
        self.manage(Method::DELETE, self.key(hash)?, management_key, None).await.map(drop)
    }

    /// At most 100 keys of the account's default workspace, also disabled ones, after the first `offset`.
    pub async fn managed_keys(
        &self,
        management_key: &SecretString,
        offset: usize,
    ) -> Result<Vec<ManagedKey>, LookupError> {
        let mut url = self.keys_url.clone();
        url.query_pairs_mut()
            .append_pair("offset", &offset.to_string())
            .append_pair("include_disabled", "true");
        let answer = self.manage(Method::GET, url, management_key, None).await?;
        parse_keys(&answer).ok_or(LookupError::Malformed("it is not a list of keys"))
    }

    fn key(&self, hash: &str) -> Result<Url, LookupError> {
        let unknown = || LookupError::Upstream { status: StatusCode::NOT_FOUND.as_u16() };
        if hash.is_empty() || !hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(unknown());
        }
        Url::parse(&format!("{}/{hash}", self.keys_url)).map_err(|_| unknown())
    }

    /// The body of an answer that tells of success.
    async fn manage(
        &self,
        method: Method,
        url: Url,
        management_key: &SecretString,
        body: Option<Bytes>,
    ) -> Result<Vec<u8>, LookupError> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", management_key.expose_secret()))
            .map_err(|_| LookupError::Unauthorized)?;
        authorization.set_sensitive(true);
        let mut request = self
            .http
            .request(method, url)
            .timeout(PATIENCE)
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json");
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await?;
        match response.status() {
            status if status.is_success() => read_body(response, MAX_BODY, TOO_LONG).await,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(LookupError::Unauthorized),
            StatusCode::TOO_MANY_REQUESTS => {
                Err(LookupError::RateLimited { retry_after: retry_after(response.headers()) })
            }
            status => Err(LookupError::Upstream { status: status.as_u16() }),
        }
    }
}

fn json(body: &impl Serialize) -> Result<Bytes, LookupError> {
    let json = serde_json::to_vec(body);
    json.map(Bytes::from).map_err(|error| LookupError::Transport(Box::new(error)))
}
