//! What an answer says, event by event, as bytes. How these bytes travel is decided in [`body`](crate::body).

use crate::behaviour::Behaviour;
use crate::wire::{Generation, PROVIDER_ERROR, delta};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;

/// Filler of an endless line.
static FILLER: [u8; 32 * 1024] = [b'a'; 32 * 1024];

/// Stands in a text where the filler goes.
const FILLER_MARK: &str = "{{filler}}";

/// One thing that comes next.
enum Step {
    /// Byte order mark and first comments.
    Prelude,
    /// Content events, one at a time.
    Content(Range<u64>),
    /// A usage event for that many completion tokens.
    Usage(i64),
    /// The event with the finish reason.
    Finish,
    /// An error event.
    Error,
    /// `[DONE]`.
    Done,
    /// Bytes of a plain answer.
    Plain(Bytes),
    /// So many MiB of filler.
    Filler(u64),
    /// The connection breaks.
    Break,
    /// Nothing more, and no end.
    Hang,
}

/// What a body does next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Takes the next bytes with [`Script::take`].
    Bytes,
    /// Ends.
    End,
    /// Breaks the connection.
    Break,
    /// Waits for the client to leave.
    Hang,
}

/// The rest of an answer.
pub(crate) struct Script {
    steps: VecDeque<Step>,
    /// What all events of the stream begin with.
    head: String,
    /// Completion tokens in the content taken so far.
    pub(crate) delivered: i64,
}

impl Script {
    /// A streamed answer.
    pub(crate) fn stream(generation: &Generation) -> Self {
        let plan = &generation.plan;
        let all = generation.reachable_events();
        let half = plan.content_events().div_ceil(2).min(all);
        let mut steps = VecDeque::from([Step::Prelude]);
        if plan.has(Behaviour::HeadersThenNothing) {
            steps = VecDeque::from([Step::Hang]);
        } else if all < plan.content_events() {
            steps.extend([Step::Content(0..all), Step::Error]);
        } else if plan.has(Behaviour::Cut) {
            steps.extend([Step::Content(0..half), Step::Break]);
        } else {
            let total = generation.completion_tokens(all);
            steps.push_back(Step::Content(0..half));
            if plan.has(Behaviour::UsageMiddle) {
                steps.push_back(Step::Usage(total));
            }
            if plan.has(Behaviour::UsageTwice) {
                steps.push_back(Step::Usage(generation.completion_tokens(half)));
            }
            steps.extend([Step::Content(half..all), Step::Finish]);
            if !plan.has(Behaviour::UsageMiddle) && !plan.has(Behaviour::NoUsage) {
                steps.push_back(Step::Usage(total));
            }
            if !plan.has(Behaviour::NoDone) {
                steps.push_back(Step::Done);
            }
        }
        steps.retain(|step| !matches!(step, Step::Content(events) if events.is_empty()));
        if !plan.has(Behaviour::Bom) && !plan.has(Behaviour::Comments) {
            steps.retain(|step| !matches!(step, Step::Prelude));
        }
        Self { steps, head: generation.head("chat.completion.chunk"), delivered: 0 }
    }

    /// A plain answer in two parts; the filler of an endless line goes between them.
    pub(crate) fn plain(generation: &Generation, before: Bytes, after: Bytes) -> Self {
        let plan = &generation.plan;
        let mut steps = VecDeque::new();
        if plan.has(Behaviour::HeadersThenNothing) {
            steps.push_back(Step::Hang);
        } else {
            steps.push_back(Step::Plain(before));
            steps.extend(plan.endless_mib().map(Step::Filler));
            steps.push_back(if plan.has(Behaviour::Cut) { Step::Break } else { Step::Plain(after) });
        }
        Self { steps, head: String::new(), delivered: 0 }
    }

    /// What comes next.
    pub(crate) fn next(&self) -> Next {
        match self.steps.front() {
            None => Next::End,
            Some(Step::Break) => Next::Break,
            Some(Step::Hang) => Next::Hang,
            Some(_) => Next::Bytes,
        }
    }

    /// The bytes of the next step; several parts where one would be too large.
    pub(crate) fn take(&mut self, generation: &Generation) -> Vec<Bytes> {
        match self.steps.pop_front() {
            Some(Step::Content(events)) => self.content(events, generation),
            Some(Step::Plain(bytes)) => vec![bytes],
            Some(Step::Filler(mib)) => filler(mib).collect(),
            Some(step) => vec![self.event(&step, generation).into()],
            None => Vec::new(),
        }
    }

    /// The first of these content events; the others go back to the front.
    fn content(&mut self, mut events: Range<u64>, generation: &Generation) -> Vec<Bytes> {
        let plan = &generation.plan;
        let Some(index) = events.next() else { return Vec::new() };
        if !events.is_empty() {
            self.steps.push_front(Step::Content(events));
        }
        self.delivered += generation.tokens_of_event(index);
        let endless = plan.endless_mib().filter(|_| index == 0);
        let mark = if endless.is_some() { FILLER_MARK } else { "" };
        let text = format!("{mark}{}", generation.text(index));
        let mut event = frame(&format!("{}{}]}}", self.head, delta(&text, "null")), generation);
        if plan.has(Behaviour::Comments) && index % 3 == 1 {
            event.insert_str(0, &comment(generation));
        }
        match (endless, event.split_once(FILLER_MARK)) {
            (Some(mib), Some((before, after))) => {
                let (before, after) = (before.to_owned().into(), after.to_owned().into());
                [before].into_iter().chain(filler(mib)).chain([after]).collect()
            }
            _ => vec![event.into()],
        }
    }

    /// The text of a step that is a single small event.
    fn event(&self, step: &Step, generation: &Generation) -> String {
        let plan = &generation.plan;
        let rest = match step {
            Step::Prelude => {
                let bom = if plan.has(Behaviour::Bom) { "\u{feff}" } else { "" };
                let comments =
                    if plan.has(Behaviour::Comments) { comment(generation).repeat(2) } else { String::new() };
                return bom.to_owned() + &comments;
            }
            Step::Done => return frame("[DONE]", generation),
            Step::Finish => format!("{}]", delta("", r#""stop""#)),
            Step::Error => format!(r#"{}],"error":{PROVIDER_ERROR}"#, delta("", r#""error""#)),
            Step::Usage(tokens) => {
                let choice = if plan.has(Behaviour::UsageEmptyChoices) {
                    String::new()
                } else if plan.has(Behaviour::UsageFinishNull) {
                    delta("", "null")
                } else {
                    delta("", r#""stop""#)
                };
                format!(r#"{choice}],"usage":{}"#, generation.usage(*tokens))
            }
            Step::Content(_) | Step::Plain(_) | Step::Filler(_) | Step::Break | Step::Hang => {
                return String::new();
            }
        };
        frame(&format!("{}{rest}}}", self.head), generation)
    }
}

/// A payload as an event of the stream.
fn frame(payload: &str, generation: &Generation) -> String {
    let plan = &generation.plan;
    let end = line_end(generation);
    let field = if plan.has(Behaviour::NoSpace) { "data:" } else { "data: " };
    if plan.has(Behaviour::DataLines)
        && let Some((first, second)) = payload.split_once(',')
    {
        // The parser joins both lines with a line feed, which is white space between two members of the object.
        return format!("{field}{first},{end}{field}{second}{end}{end}");
    }
    format!("{field}{payload}{end}{end}")
}

fn comment(generation: &Generation) -> String {
    let end = line_end(generation);
    format!(": OPENROUTER PROCESSING{end}{end}")
}

fn line_end(generation: &Generation) -> &'static str {
    if generation.plan.has(Behaviour::Crlf) {
        "\r\n"
    } else if generation.plan.has(Behaviour::Cr) {
        "\r"
    } else {
        "\n"
    }
}

fn filler(mib: u64) -> impl Iterator<Item = Bytes> {
    (0..mib.saturating_mul(32)).map(|_| Bytes::from_static(&FILLER))
}
