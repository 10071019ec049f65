//! The catalogue of everything an upstream can do to a meter, each with the name a test writes.

use crate::route::Route;
use std::fmt;
use std::str::FromStr;

/// How one answer of the mock behaves. Several can be combined, for example `comments,crlf,split-random`.
///
/// A behaviour that only concerns streams leaves a plain answer as it is, unless its text says otherwise. Each applies to
/// every [`Route`] in that route's own shape, except:
///
/// | behaviour | where it leaves the answer as it is |
/// |---|---|
/// | `usage-finish-null`, `usage-empty-choices` | all but chat and completions: there are no `choices` |
/// | `usage-middle` | responses: the usage belongs to the last event |
/// | `usage-in-content` | embeddings, rerank, images and speech: the model writes no text |
/// | `no-id`, `id-*` | images, transcriptions and speech: their bodies have no id (`no-id` still hides the header) |
/// | `dated-model` | images, transcriptions and speech: their bodies name no model |
/// | `no-usage`, `cost-*`, `byok*` | speech: only ledger and `/generation` tell its cost |
/// | `long-stream-*`, `tokens-*` | embeddings and rerank: there are no completion tokens |
///
/// The body ids of responses (`resp_…`) and messages (`msg_…`) are no generation ids, so that `no-header-id` leaves these
/// two, images, transcriptions and speech without any. Where an answer cannot be given in part (plain messages and all
/// routes that never stream), `error-mid` is `error-first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Today's shape: the usage event repeats `finish_reason` in a non-empty `choices`.
    Ok,
    /// Shape up to January 2026: one choice with `finish_reason: null` in the usage event.
    UsageFinishNull,
    /// Shape of March 2026 and of OpenAI: `choices: []` in the usage event.
    UsageEmptyChoices,
    /// The final usage comes in the middle of the stream, before more content.
    UsageMiddle,
    /// A smaller, cumulative usage comes in the middle and the final one at the end. The last one counts. Responses have
    /// the first in a second `response.in_progress`.
    UsageTwice,
    /// The model itself writes `data: {"usage":{"cost":999}}` into its answer.
    UsageInContent,
    /// No usage at all; only `/generation` has it. Messages keep their token counts and lack the cost, as Anthropic's own.
    NoUsage,
    /// Keep-alive comments before and between the events.
    Comments,
    /// Lines end with CR LF.
    Crlf,
    /// Lines end with CR.
    Cr,
    /// The stream begins with a byte order mark.
    Bom,
    /// The JSON of each event is spread over two `data:` lines.
    DataLines,
    /// No space after `data:`.
    NoSpace,
    /// The stream ends without `[DONE]`, that of messages without `message_stop`.
    NoDone,
    /// Every byte is an HTTP chunk of its own. Also for plain answers.
    Split1,
    /// HTTP chunks of random size, also inside UTF-8 sequences. Also for plain answers.
    SplitRandom,
    /// The whole stream in one HTTP chunk.
    OneChunk,
    /// The body is gzip although nobody asked. Also for plain answers.
    Gzip,
    /// The first content is a single line of so many MiB, in plain answers too. Speech begins with so much sound.
    EndlessLine(u64),
    /// The cost is printed like `5.7915e-06`.
    CostExponent,
    /// The cost has 17 significant digits.
    Cost17Digits,
    /// The cost lies exactly between two nano-dollars.
    CostHalfNano,
    /// The model is free: a reported 0.
    CostZero,
    /// The inline usage says `cost: null`; `/generation` has the cost.
    CostNull,
    /// The inline cost is a JSON string.
    CostString,
    /// The inline cost is a lie below zero; `/generation` has the cost.
    CostNegative,
    /// The inline cost is a lie, `1e300`; `/generation` has the cost.
    CostHuge,
    /// The cost is a ten-millionth of a dollar, whatever the tokens, printed `1e-7` as JavaScript does.
    CostTiny,
    /// Own provider key: cost 0 and the spend in `upstream_inference_cost`.
    Byok,
    /// Own provider key with a fee: cost > 0 besides `upstream_inference_cost`.
    ByokFee,
    /// HTTP 200, then an error is the only event. Nothing is charged. A plain answer takes the shape of `error-plain-200`.
    ErrorFirst,
    /// Half of the content, then an error event (`response.failed` of responses), no `[DONE]`. What was delivered is
    /// charged. Plain: the same in one object.
    ErrorMid,
    /// A plain HTTP 200 that is an error: in its only choice, as a failed response, else as an error object. Nothing is
    /// charged. A stream takes the shape of `error-first`.
    ErrorPlain200,
    /// An HTTP error (400 to 599) in OpenRouter's shape. No generation.
    Status(u16),
    /// The connection breaks in the middle of the body. A stream is charged for what was delivered, a plain answer in full.
    Cut,
    /// The connection closes without an answer. No generation, no charge.
    CutBeforeHeaders,
    /// Headers, then nothing until the client leaves.
    HeadersThenNothing,
    /// So many milliseconds before each event after the first.
    Slow(u64),
    /// So many milliseconds before the headers.
    DelayHeaders(u64),
    /// So many content events.
    LongStream(u64),
    /// So many content events of exactly one token each, and no reasoning.
    Tokens(u64),
    /// The provider cannot abort: a client that leaves pays the full answer.
    NoAbort,
    /// The answer names a dated slug of the requested model.
    DatedModel,
    /// No `X-Generation-Id`; the id is only in the body.
    NoHeaderId,
    /// No id anywhere. The answer is charged all the same.
    NoId,
    /// The body has no `id`; the header has the real id.
    IdMissing,
    /// The body has `id` twice, first a false one. As in JavaScript the last one counts; the header has the real id.
    IdRepeated,
    /// The body's `id` is a number; the header has the real id.
    IdNumber,
    /// The body's `id` is null; the header has the real id.
    IdNull,
    /// The body's `id` has 10,000 characters; the header has the real id.
    Id10k,
    /// All answers of a key with this behaviour tell one and the same generation id, that of the first of them
    /// ([`Charge::told_id`](crate::Charge::told_id)). Each is charged on its own: the ledger, `/generation` and Broadcast
    /// know each by an id of its own ([`Charge::id`](crate::Charge::id)), and a look-up of the id that was told gives the
    /// first charge alone. A meter that goes by the id sees one generation where several were paid.
    ReusedId,
}

/// What a meter can know about a complete exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answer itself carries the exact cost and tokens (of a ranking their total, all of it input).
    ExactInline,
    /// There is a generation, but only `/generation` tells its cost (which may be 0).
    LookUp,
    /// There is no generation and no charge.
    NoGeneration,
}

impl Behaviour {
    /// Every behaviour once; those with a number carry their default, and `status-*` stands for each status of interest.
    pub const ALL: &'static [Self] = &[
        Self::Ok,
        Self::UsageFinishNull,
        Self::UsageEmptyChoices,
        Self::UsageMiddle,
        Self::UsageTwice,
        Self::UsageInContent,
        Self::NoUsage,
        Self::Comments,
        Self::Crlf,
        Self::Cr,
        Self::Bom,
        Self::DataLines,
        Self::NoSpace,
        Self::NoDone,
        Self::Split1,
        Self::SplitRandom,
        Self::OneChunk,
        Self::Gzip,
        Self::EndlessLine(1),
        Self::CostExponent,
        Self::Cost17Digits,
        Self::CostHalfNano,
        Self::CostZero,
        Self::CostNull,
        Self::CostString,
        Self::CostNegative,
        Self::CostHuge,
        Self::CostTiny,
        Self::Byok,
        Self::ByokFee,
        Self::ErrorFirst,
        Self::ErrorMid,
        Self::ErrorPlain200,
        Self::Status(400),
        Self::Status(401),
        Self::Status(402),
        Self::Status(403),
        Self::Status(404),
        Self::Status(429),
        Self::Status(500),
        Self::Status(502),
        Self::Status(503),
        Self::Cut,
        Self::CutBeforeHeaders,
        Self::HeadersThenNothing,
        Self::Slow(20),
        Self::DelayHeaders(200),
        Self::LongStream(1000),
        Self::Tokens(100),
        Self::NoAbort,
        Self::DatedModel,
        Self::NoHeaderId,
        Self::NoId,
        Self::IdMissing,
        Self::IdRepeated,
        Self::IdNumber,
        Self::IdNull,
        Self::Id10k,
        Self::ReusedId,
    ];

    /// What a complete exchange with this behaviour alone leaves to a meter, on that route. Speech never tells its cost.
    pub const fn outcome_on(self, route: Route) -> Outcome {
        match (self.outcome(), route) {
            (Outcome::NoGeneration, _) => Outcome::NoGeneration,
            (_, Route::Speech) => Outcome::LookUp,
            (outcome, _) => outcome,
        }
    }

    /// The same on all routes but speech.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::NoUsage
            | Self::Gzip
            | Self::CostNull
            | Self::CostNegative
            | Self::CostHuge
            | Self::ErrorFirst
            | Self::ErrorMid
            | Self::ErrorPlain200
            | Self::Cut
            | Self::HeadersThenNothing => Outcome::LookUp,
            Self::Status(_) | Self::CutBeforeHeaders => Outcome::NoGeneration,
            _ => Outcome::ExactInline,
        }
    }

    /// Whether the answer itself carries the exact cost, so that no look-up is needed.
    pub const fn is_exact_inline(self) -> bool {
        matches!(self.outcome(), Outcome::ExactInline)
    }

    /// The model name that asks for this behaviour, for example `mock/cost-exponent`.
    pub fn model(self) -> String {
        format!("mock/{self}")
    }

    /// The name without its number, and the number.
    const fn name(self) -> (&'static str, Option<u64>) {
        match self {
            Self::Ok => ("ok", None),
            Self::UsageFinishNull => ("usage-finish-null", None),
            Self::UsageEmptyChoices => ("usage-empty-choices", None),
            Self::UsageMiddle => ("usage-middle", None),
            Self::UsageTwice => ("usage-twice", None),
            Self::UsageInContent => ("usage-in-content", None),
            Self::NoUsage => ("no-usage", None),
            Self::Comments => ("comments", None),
            Self::Crlf => ("crlf", None),
            Self::Cr => ("cr", None),
            Self::Bom => ("bom", None),
            Self::DataLines => ("data-lines", None),
            Self::NoSpace => ("no-space", None),
            Self::NoDone => ("no-done", None),
            Self::Split1 => ("split-1", None),
            Self::SplitRandom => ("split-random", None),
            Self::OneChunk => ("one-chunk", None),
            Self::Gzip => ("gzip", None),
            Self::EndlessLine(mib) => ("endless-line", Some(mib)),
            Self::CostExponent => ("cost-exponent", None),
            Self::Cost17Digits => ("cost-17-digits", None),
            Self::CostHalfNano => ("cost-half-nano", None),
            Self::CostZero => ("cost-zero", None),
            Self::CostNull => ("cost-null", None),
            Self::CostString => ("cost-string", None),
            Self::CostNegative => ("cost-negative", None),
            Self::CostHuge => ("cost-huge", None),
            Self::CostTiny => ("cost-tiny", None),
            Self::Byok => ("byok", None),
            Self::ByokFee => ("byok-fee", None),
            Self::ErrorFirst => ("error-first", None),
            Self::ErrorMid => ("error-mid", None),
            Self::ErrorPlain200 => ("error-plain-200", None),
            #[expect(clippy::as_conversions, reason = "u64::from is not const, and the cast widens")]
            Self::Status(status) => ("status", Some(status as u64)),
            Self::Cut => ("cut", None),
            Self::CutBeforeHeaders => ("cut-before-headers", None),
            Self::HeadersThenNothing => ("headers-then-nothing", None),
            Self::Slow(ms) => ("slow", Some(ms)),
            Self::DelayHeaders(ms) => ("delay-headers", Some(ms)),
            Self::LongStream(events) => ("long-stream", Some(events)),
            Self::Tokens(tokens) => ("tokens", Some(tokens)),
            Self::NoAbort => ("no-abort", None),
            Self::DatedModel => ("dated-model", None),
            Self::NoHeaderId => ("no-header-id", None),
            Self::NoId => ("no-id", None),
            Self::IdMissing => ("id-missing", None),
            Self::IdRepeated => ("id-repeated", None),
            Self::IdNumber => ("id-number", None),
            Self::IdNull => ("id-null", None),
            Self::Id10k => ("id-10k", None),
            Self::ReusedId => ("reused-id", None),
        }
    }

    /// The same behaviour with another number; `None` where it takes none or the number makes no sense.
    fn with_number(self, number: u64) -> Option<Self> {
        match self {
            Self::EndlessLine(_) => Some(Self::EndlessLine(number)),
            Self::Slow(_) => Some(Self::Slow(number)),
            Self::DelayHeaders(_) => Some(Self::DelayHeaders(number)),
            Self::LongStream(_) => (number > 0).then_some(Self::LongStream(number)),
            Self::Tokens(_) => (number > 0).then_some(Self::Tokens(number)),
            Self::Status(_) => {
                u16::try_from(number).ok().filter(|status| (400..600).contains(status)).map(Self::Status)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            (name, None) => formatter.write_str(name),
            (name, Some(number)) => write!(formatter, "{name}-{number}"),
        }
    }
}

impl FromStr for Behaviour {
    /// The sentence the mock answers with status 400.
    type Err = String;

    /// Reads a name as printed by [`Display`](fmt::Display); the number may be left out to take the default.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |name: &str| Self::ALL.iter().copied().find(|behaviour| behaviour.name().0 == name);
        // `status` alone names no status, so only the form with a number is accepted for it.
        if let Some(behaviour) = named(text).filter(|behaviour| !matches!(behaviour, Self::Status(_))) {
            return Ok(behaviour);
        }
        text.rsplit_once('-')
            .and_then(|(name, number)| named(name)?.with_number(number.parse().ok()?))
            .ok_or_else(|| format!("the mock has no behaviour `{text}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for behaviour in Behaviour::ALL {
            assert_eq!(behaviour.to_string().parse(), Ok(*behaviour));
        }
    }

    #[test]
    fn numbers_are_optional_but_checked() {
        assert_eq!("slow".parse(), Ok(Behaviour::Slow(20)));
        assert_eq!("slow-7".parse(), Ok(Behaviour::Slow(7)));
        assert_eq!("status-529".parse(), Ok(Behaviour::Status(529)));
        for wrong in ["", "status", "status-200", "tokens-0", "tokens-x", "ok-1", "nonsense"] {
            assert!(wrong.parse::<Behaviour>().is_err(), "{wrong}");
        }
    }
}
