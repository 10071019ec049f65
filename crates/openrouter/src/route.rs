//! The routes of OpenRouter that cost money.

/// A metered route: what is asked for, and with it where the answer says what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// `POST /chat/completions`.
    ChatCompletions,
    /// `POST /completions`, the older form without roles.
    Completions,
    /// `POST /embeddings`.
    Embeddings,
    /// `POST /responses`, OpenAI's newer form.
    Responses,
    /// `POST /messages`, Anthropic's form.
    Messages,
    /// `POST /rerank`.
    Rerank,
    /// `POST /images`.
    Images,
    /// `POST /audio/speech`, answered with sound.
    Speech,
    /// `POST /audio/transcriptions`.
    Transcriptions,
}

impl Route {
    /// Every route once.
    pub const ALL: [Self; 9] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
        Self::Rerank,
        Self::Images,
        Self::Speech,
        Self::Transcriptions,
    ];

    /// The path below the base URL, ours and upstream's alike.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Responses => "/responses",
            Self::Messages => "/messages",
            Self::Rerank => "/rerank",
            Self::Images => "/images",
            Self::Speech => "/audio/speech",
            Self::Transcriptions => "/audio/transcriptions",
        }
    }
}
