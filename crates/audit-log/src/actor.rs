//! [`Actor`]: in whose name something is done.

use std::sync::Arc;

use mai_storage::text_enum;

text_enum! {
    /// What kind of caller it is.
    pub enum ActorKind {
        /// The service itself: its jobs and its start.
        System = "system",
        /// The command line of the server.
        CommandLine = "command_line",
        /// The reseller's token of the settings.
        ResellerToken = "reseller_token",
        /// Somebody with an account of ours.
        Account = "account",
        /// A program with an API token.
        ApiToken = "api_token",
        /// Somebody who is signed in at Open WebUI.
        OpenWebui = "open_webui",
        /// Whoever opened a one-time link.
        Link = "link",
        /// Somebody who is not signed in, such as whoever tries passwords.
        Stranger = "stranger",
    }
}

/// Who acts, and from where. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    kind: ActorKind,
    id: String,
    remote: Option<String>,
    request_id: Option<String>,
}

impl Actor {
    /// Somebody, by kind and by the id that tells who: of an account, a token or a user.
    pub fn new(kind: ActorKind, id: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, id: id.into(), remote: None, request_id: None }))
    }

    /// The service itself.
    pub fn system() -> Self {
        Self::new(ActorKind::System, "")
    }

    /// The same actor with the address and the id of a request.
    #[must_use]
    pub fn at(&self, remote: Option<String>, request_id: Option<String>) -> Self {
        Self(Arc::new(Inner { kind: self.0.kind, id: self.0.id.clone(), remote, request_id }))
    }

    /// What kind of caller it is.
    pub fn kind(&self) -> ActorKind {
        self.0.kind
    }

    /// Which of its kind; empty where there is only one.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The address that the request came from.
    pub fn remote(&self) -> Option<&str> {
        self.0.remote.as_deref()
    }

    /// The id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }
}
