//! What the model says: pieces of text that are hard on a parser, and prose for people.

use crate::random::below;

/// Pieces of text as they stand inside a JSON string: Polish letters, emoji, both kinds of escapes.
const WORDS: &[&str] = &[
    "Zażółć ",
    "gęślą ",
    "jaźń ",
    "🦀 ",
    "the meter ",
    "\\u0142\\u00f3d\\u017a ",
    "\\\"cytat\\\" ",
    "wiersz\\n\\n",
    "👩‍💻 ",
    "1,5 zł ",
    "tab\\tulator ",
    "{json} ",
    "back\\\\slash ",
    "漢字 ",
    "data: ",
    "koniec. ",
];

/// What is written where no behaviour was asked for: a text for people, in pieces.
const PROSE: &[&str] = &[
    "Warszawa ",
    "leży ",
    "nad ",
    "Wisłą. ",
    "The ",
    "old ",
    "town ",
    "was ",
    "rebuilt, ",
    "brick ",
    "by ",
    "brick, ",
    "from ",
    "paintings. ",
    "Żółte ",
    "tramwaje ",
    "dzwonią ",
    "od ",
    "rana ",
    "🚋. ",
];

/// What the model writes to fool a parser that looks for usage in text.
pub(crate) const FAKE_USAGE: &str = r#"data: {\"usage\":{\"cost\":999}}\n\ndata: {\"id\":\"gen-fake\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"cost\":999}}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":1,\"cost\":999}}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":1,\"cost\":999}}\n\n"#;

/// Piece `index` of an answer made to be hard to read.
pub(crate) fn hard(seed: u64, index: u64) -> &'static str {
    let bound = u32::try_from(WORDS.len()).unwrap_or(1);
    let word = below(seed, index + 1_000_000, bound);
    usize::try_from(word).ok().and_then(|word| WORDS.get(word)).copied().unwrap_or("")
}

/// Piece `index` of an answer for people.
pub(crate) fn prose(index: u64) -> &'static str {
    let position = usize::try_from(index).unwrap_or(0).checked_rem(PROSE.len()).unwrap_or(0);
    PROSE.get(position).copied().unwrap_or("")
}
