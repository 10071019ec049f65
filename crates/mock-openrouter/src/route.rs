//! The routes that cost money, and what sets them apart.

/// A route that orders a generation. Each is `POST` below `/api/v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// `/chat/completions`.
    ChatCompletions,
    /// `/completions`, the older form with `choices[].text`.
    Completions,
    /// `/embeddings`.
    Embeddings,
    /// `/responses`.
    Responses,
    /// `/messages`, Anthropic's form.
    Messages,
    /// `/rerank`.
    Rerank,
    /// `/images`.
    Images,
    /// `/audio/speech`, answered with sound and nothing else.
    Speech,
    /// `/audio/transcriptions`, ordered with a form or with JSON.
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

    /// The path below the base URL, for example `/chat/completions`.
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

    /// The route of a path without its leading slash.
    pub(crate) fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.path().strip_prefix('/') == Some(path))
    }

    /// Whether `"stream": true` gives a stream of events. The other routes answer as a whole whatever is asked.
    pub const fn streams(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions | Self::Responses | Self::Messages)
    }

    /// `api_type` of `/generation`.
    pub const fn api_type(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Responses | Self::Messages => "completions",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Images => "image",
            Self::Speech => "tts",
            Self::Transcriptions => "stt",
        }
    }

    /// `gen_ai.operation.name` of Broadcast.
    pub(crate) const fn operation(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::Responses | Self::Messages => "chat",
            Self::Completions => "text_completion",
            other => other.api_type(),
        }
    }

    /// What a generation id begins with.
    pub(crate) const fn id_prefix(self) -> &'static str {
        match self {
            Self::Embeddings => "gen-emb-",
            Self::Rerank => "gen-rerank-",
            Self::Speech => "gen-tts-",
            Self::Transcriptions => "gen-stt-",
            _ => "gen-",
        }
    }

    /// Whether anything is generated: embeddings and rankings have no completion tokens, ever.
    pub(crate) const fn has_completion(self) -> bool {
        !matches!(self, Self::Embeddings | Self::Rerank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_of_the_look_up() {
        let types = Route::ALL.map(Route::api_type);
        let text = "completions";
        assert_eq!(types, [text, text, "embeddings", text, text, "rerank", "image", "tts", "stt"]);
    }

    #[test]
    fn paths_lead_back_to_their_routes() {
        for route in Route::ALL {
            assert_eq!(Route::of(&route.path()[1..]), Some(route));
        }
        for wrong in ["", "/images", "chat", "audio", "models"] {
            assert_eq!(Route::of(wrong), None, "{wrong}");
        }
    }
}
