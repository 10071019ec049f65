//! How an Open WebUI is set up for the gateway: its base URL and the five settings of `docs/open-webui.md`.

use super::{frame::Frame, told::Line, visit::Visit};
use crate::api::accounts::origin;

/// Labels the calls that Open WebUI makes for titles, tags and questions.
const CONFIGS: &str = r#"{"0":{"headers":{"X-Mai-Task":"{{TASK}}"}}}"#;

/// The base URL that a client needs.
pub(crate) fn base_url(visit: &Visit) -> String {
    format!("{}/v1", origin(&visit.request, &visit.api))
}

/// The five settings as lines of an environment file.
pub(crate) fn settings(frame: &Frame, base: &str, key: &str, secret: &str) -> Vec<Line> {
    let line = |id: &str, text: &str, name: &str, value: &str| {
        Line::new(id, frame.t(text), format!("{name}={value}"))
    };
    vec![
        line("webui-url", "webui-url", "OPENAI_API_BASE_URLS", base),
        line("webui-key", "webui-key", "OPENAI_API_KEYS", key),
        line("webui-forward", "webui-forward", "ENABLE_FORWARD_USER_INFO_HEADERS", "true"),
        line("webui-secret", "webui-secret", "FORWARD_USER_INFO_HEADER_JWT_SECRET", secret),
        line("webui-configs", "webui-configs", "OPENAI_API_CONFIGS", CONFIGS),
    ]
}
