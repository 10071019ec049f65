//! [`Registry`]: who the users of an Open WebUI are, from its database or from its API.
//!
//! Both ways know versions 0.6 and 0.12. The API answers in pages of 30; versions that answered with the
//! whole list at once are understood as well.

use std::{collections::BTreeMap, time::Duration};

use mai_organization::client_organization::{ListedMember, MemberList, MemberSource, import::MAX_LISTED};
use mai_primitives::UnixTime;
use mai_storage::{DatabaseUrl, open_webui::open_webui_users};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;

use crate::settings::RegistrySettings;

/// How long Open WebUI may take for one page.
const PATIENCE: Duration = Duration::from_secs(15);

/// The longest page; pictures of people are in it.
const PAGE_BYTES_AT_MOST: usize = 16 << 20;

/// How often the pages are read again when people come or go meanwhile.
const ATTEMPTS: u32 = 3;

/// Why the registry could not be read. No text has a key or a password in it.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// Its database failed.
    #[error("the database of Open WebUI cannot be read: {0}")]
    Database(String),
    /// No connection, a timeout, or a connection that broke.
    #[error("Open WebUI cannot be reached: {0}")]
    Unreachable(String),
    /// The key is wrong, or not that of an administrator (401, 403).
    #[error("Open WebUI refuses the key; it must be that of an administrator")]
    Refused,
    /// Any other status but 200.
    #[error("Open WebUI answered with status {0}")]
    Status(u16),
    /// The answer is no list of users.
    #[error("the answer of Open WebUI cannot be read: {0}")]
    Malformed(&'static str),
    /// More users than an import takes.
    #[error("there are more than {MAX_LISTED} users")]
    TooMany,
}

/// Where an Open WebUI tells who its users are.
#[derive(Debug, Clone)]
pub enum Registry {
    /// Its own database, read and never written.
    Database(DatabaseUrl),
    /// Its API.
    Api(UsersApi),
}

impl Registry {
    /// The registry of the database, of the API, or of neither, as the settings name them; an error when
    /// there can be no HTTP client.
    pub fn of(settings: &RegistrySettings) -> reqwest::Result<(Option<Self>, Option<Self>)> {
        let database = settings.database.clone().map(Self::Database);
        let api = settings.api.as_ref().map(|(base_url, key)| UsersApi::new(base_url, key.clone()));
        Ok((database, api.transpose()?.map(Self::Api)))
    }

    /// Everybody who is registered.
    pub async fn read(&self) -> Result<MemberList, RegistryError> {
        let members = match self {
            Self::Database(url) => read_database(url.clone()).await?,
            Self::Api(api) => api.read().await?,
        };
        Ok(MemberList { source: MemberSource::OpenWebui, members, refused: Vec::new() })
    }
}

async fn read_database(url: DatabaseUrl) -> Result<Vec<ListedMember>, RegistryError> {
    let limit = i64::try_from(MAX_LISTED).unwrap_or(i64::MAX).saturating_add(1);
    let users = tokio::task::spawn_blocking(move || open_webui_users(&url, limit)).await;
    let users = users.map_err(|cause| RegistryError::Database(cause.to_string()))?;
    let users = users.map_err(|cause| RegistryError::Database(mai_capture::causes(&cause)))?;
    let users = users.into_iter().map(|user| User {
        id: user.id,
        name: user.name,
        email: user.email,
        role: user.role,
        created_at: user.created_at,
    });
    listed(users.collect())
}

/// A user, as far as we read it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct User {
    id: String,
    name: Option<String>,
    email: Option<String>,
    role: Option<String>,
    created_at: Option<i64>,
}

fn listed(users: Vec<User>) -> Result<Vec<ListedMember>, RegistryError> {
    if users.len() > MAX_LISTED {
        return Err(RegistryError::TooMany);
    }
    let member = |(user, line): (User, u64)| ListedMember {
        line,
        user_id: user.id,
        name: user.name.unwrap_or_default(),
        email: user.email.unwrap_or_default(),
        // Whoever has no role there may do nothing there.
        role: user.role.unwrap_or_else(|| "pending".to_owned()),
        active: String::new(),
        joined_at: user.created_at.map(UnixTime::from_seconds),
    };
    Ok(users.into_iter().zip(1..).map(member).collect())
}

/// Open WebUI's API, as an administrator uses it.
#[derive(Debug, Clone)]
pub struct UsersApi {
    address: String,
    key: SecretString,
    http: reqwest::Client,
}

/// What a page is: in old versions the list alone, and all of it.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Page { users: Vec<User>, total: usize },
    All(Vec<User>),
}

impl UsersApi {
    /// The API below a base URL without a slash at the end.
    pub fn new(base_url: &str, key: SecretString) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mai-usage/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { address: format!("{base_url}/api/v1/users/"), key, http })
    }

    async fn read(&self) -> Result<Vec<ListedMember>, RegistryError> {
        for _ in 0..ATTEMPTS {
            if let Some(users) = self.read_pages().await? {
                return listed(users);
            }
        }
        Err(RegistryError::Malformed("the pages do not have as many users as it says"))
    }

    /// All pages, if nobody came or went meanwhile: then somebody may be on two pages or on none.
    async fn read_pages(&self) -> Result<Option<Vec<User>>, RegistryError> {
        let mut users: BTreeMap<String, User> = BTreeMap::new();
        let mut expected = None;
        for page in 1_u32.. {
            let (page, total) = match self.page(page).await? {
                Answer::All(users) => return Ok(Some(users)),
                Answer::Page { users, total } => (users, total),
            };
            if total > MAX_LISTED {
                return Err(RegistryError::TooMany);
            }
            let before = users.len();
            users.extend(page.into_iter().map(|user| (user.id.clone(), user)));
            let is_steady = *expected.get_or_insert(total) == total && users.len() <= total;
            if !is_steady {
                return Ok(None);
            }
            if users.len() == total {
                break;
            }
            if users.len() == before {
                return Ok(None);
            }
        }
        Ok(Some(users.into_values().collect()))
    }

    async fn page(&self, page: u32) -> Result<Answer, RegistryError> {
        let unreachable =
            |cause: reqwest::Error| RegistryError::Unreachable(mai_capture::causes(&cause.without_url()));
        let address = format!("{}?page={page}", self.address);
        let request = self.http.get(address).bearer_auth(self.key.expose_secret());
        let mut answer = request.send().await.map_err(unreachable)?;
        match answer.status().as_u16() {
            200 => {}
            401 | 403 => return Err(RegistryError::Refused),
            other => return Err(RegistryError::Status(other)),
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
            if body.len().saturating_add(piece.len()) > PAGE_BYTES_AT_MOST {
                return Err(RegistryError::Malformed("a page is too long"));
            }
            body.extend_from_slice(&piece);
        }
        parse(&body)
    }
}

fn parse(body: &[u8]) -> Result<Answer, RegistryError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Wire {
        Page { users: Vec<User>, total: Option<usize> },
        All(Vec<User>),
    }
    match serde_json::from_slice(body) {
        Ok(Wire::Page { users, total: Some(total) }) => Ok(Answer::Page { users, total }),
        Ok(Wire::Page { users, total: None } | Wire::All(users)) => Ok(Answer::All(users)),
        Err(_) => Err(RegistryError::Malformed("it is no list of users")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> User {
        User {
            id: id.into(),
            name: Some("Żółw".into()),
            email: Some("z@x.example".into()),
            role: Some("user".into()),
            created_at: Some(1_700_000_000),
        }
    }

    #[test]
    fn every_form_of_an_answer() {
        let one = r#"{"id":"u1","name":"Żółw","email":"z@x.example","role":"user","profile_image_url":"data:image/png;base64,AAAA",
            "last_active_at":1700000001,"updated_at":1700000001,"created_at":1700000000,"group_ids":[],"settings":null}"#;
        let page = format!(r#"{{"users":[{one}],"total":31}}"#);
        assert_eq!(parse(page.as_bytes()).unwrap(), Answer::Page { users: vec![user("u1")], total: 31 });
        for whole in [format!("[{one}]"), format!(r#"{{"users":[{one}]}}"#)] {
            assert_eq!(parse(whole.as_bytes()).unwrap(), Answer::All(vec![user("u1")]));
        }
        let sparse = parse(br#"[{"id":"u","role":null}]"#).unwrap();
        let nothing = User { id: "u".into(), name: None, email: None, role: None, created_at: None };
        assert_eq!(sparse, Answer::All(vec![nothing]));
        for wrong in [&b""[..], b"{}", b"<html>", b"[{}]", br#"{"detail":"Not Found"}"#] {
            assert!(matches!(parse(wrong), Err(RegistryError::Malformed(_))), "{wrong:?}");
        }
    }

    #[test]
    fn whoever_has_no_role_waits_and_what_is_missing_is_left_open() {
        let nothing = User { id: "u2".into(), name: None, email: None, role: None, created_at: None };
        let members = listed(vec![user("u1"), nothing]).unwrap();
        assert_eq!((members[0].line, members[0].role.as_str()), (1, "user"));
        assert_eq!(members[0].joined_at, Some(UnixTime::from_seconds(1_700_000_000)));
        let second = &members[1];
        assert_eq!((second.role.as_str(), second.name.as_str(), second.joined_at), ("pending", "", None));
        assert!(matches!(listed(vec![user("u"); MAX_LISTED + 1]), Err(RegistryError::TooMany)));
    }
}
