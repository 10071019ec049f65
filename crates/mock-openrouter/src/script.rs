//! What an answer says, step by step, as bytes. How these bytes travel is decided in [`body`](crate::body).

use crate::behaviour::Behaviour;
use crate::generation::Generation;
use crate::route::Route;
use crate::wire::{Event, Part, StreamWriter, sound};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;

/// Filler of an endless line: letters inside a string, spaces between values.
static LETTERS: [u8; 32 * 1024] = [b'a'; 32 * 1024];
static SPACES: [u8; 32 * 1024] = [b' '; 32 * 1024];

/// Stands in a text where the filler goes.
const FILLER_MARK: &str = "{{filler}}";

/// One thing that comes next.
enum Step {
    /// Byte order mark and first comments.
    Prelude,
    /// The events before any content.
    Opening,
    /// Content events, one at a time.
    Content(Range<u64>),
    /// A usage event for that many completion tokens; whether it is the final one.
    Usage(i64, bool),
    /// The events with the finish reason.
    Finish,
    /// An error event.
    Error,
    /// `[DONE]`, or what ends a stream of that route.
    Done,
    /// Bytes of a plain answer.
    Plain(Bytes),
    /// Pieces of sound, one at a time.
    Sound(Range<u64>),
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
    /// Writes the events of a stream.
    writer: Option<StreamWriter>,
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
        } else if generation.fails_first() {
            steps.push_back(Step::Error);
        } else if generation.fails() {
            steps.extend([Step::Opening, Step::Content(0..all), Step::Error]);
        } else if plan.has(Behaviour::Cut) {
            steps.extend([Step::Opening, Step::Content(0..half), Step::Break]);
        } else {
            // The usage of a response belongs to its last event, and that event comes whether or not it tells the usage, as
            // with messages.
            let early = plan.has(Behaviour::UsageMiddle) && generation.route() != Route::Responses;
            let total = generation.completion_tokens(all);
            steps.extend([Step::Opening, Step::Content(0..half)]);
            if early {
                steps.push_back(Step::Usage(total, true));
            }
            if plan.has(Behaviour::UsageTwice) {
                steps.push_back(Step::Usage(generation.completion_tokens(half), false));
            }
            steps.extend([Step::Content(half..all), Step::Finish]);
            let absent = plan.has(Behaviour::NoUsage) && is_choices(generation.route());
            if !early && !absent {
                steps.push_back(Step::Usage(total, true));
            }
            if !plan.has(Behaviour::NoDone) {
                steps.push_back(Step::Done);
            }
        }
        let has_prelude = plan.has(Behaviour::Bom) || plan.has(Behaviour::Comments);
        steps.retain(|step| match step {
            Step::Content(events) => !events.is_empty(),
            Step::Prelude => has_prelude,
            Step::Opening => !is_choices(generation.route()),
            _ => true,
        });
        Self { steps, writer: Some(StreamWriter::new(generation)), delivered: 0 }
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
        Self { steps, writer: None, delivered: 0 }
    }

    /// Sound, in as many pieces as a text would have.
    pub(crate) fn sound(generation: &Generation) -> Self {
        let plan = &generation.plan;
        let all = plan.content_events();
        let mut steps: VecDeque<Step> = plan.endless_mib().map(Step::Filler).into_iter().collect();
        if plan.has(Behaviour::HeadersThenNothing) {
            steps = VecDeque::from([Step::Hang]);
        } else if plan.has(Behaviour::Cut) {
            steps.extend([Step::Sound(0..all.div_ceil(2)), Step::Break]);
        } else {
            steps.push_back(Step::Sound(0..all));
        }
        Self { steps, writer: None, delivered: 0 }
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

    /// The bytes of the next step; several parts where it has several events or one would be too large.
    pub(crate) fn take(&mut self, generation: &Generation) -> Vec<Bytes> {
        match self.steps.pop_front() {
            Some(Step::Content(mut events)) => {
                let Some(index) = events.next() else { return Vec::new() };
                if !events.is_empty() {
                    self.steps.push_front(Step::Content(events));
                }
                self.content(index, generation)
            }
            Some(Step::Sound(mut pieces)) => {
                let Some(index) = pieces.next() else { return Vec::new() };
                if !pieces.is_empty() {
                    self.steps.push_front(Step::Sound(pieces));
                }
                vec![sound(generation.seed, index)]
            }
            Some(Step::Prelude) => vec![prelude(generation).into()],
            Some(Step::Plain(bytes)) => vec![bytes],
            Some(Step::Filler(mib)) => filler(generation, mib).collect(),
            Some(step) => self.events(&step, generation),
            None => Vec::new(),
        }
    }

    /// A content event.
    fn content(&mut self, index: u64, generation: &Generation) -> Vec<Bytes> {
        self.delivered += generation.tokens_of_event(index);
        let text = generation.text(index);
        let mut parts = if index == 0 && generation.plan.endless_mib().is_some() {
            self.write(Part::Content(&format!("{FILLER_MARK}{text}")), generation)
        } else {
            self.write(Part::Content(text), generation)
        };
        if generation.plan.has(Behaviour::Comments) && index % 3 == 1 {
            parts.insert(0, comment(generation).into());
            // A comment and the event behind it are one write.
            parts = vec![parts.concat().into()];
        }
        parts
    }

    /// The events of any other step of a stream.
    fn events(&mut self, step: &Step, generation: &Generation) -> Vec<Bytes> {
        let text = || whole_text(generation);
        match step {
            Step::Opening => self.write(Part::Opening, generation),
            Step::Finish => self.write(Part::Finish(&text()), generation),
            Step::Usage(tokens, true) => self.write(Part::Usage(*tokens, Some(&text())), generation),
            Step::Usage(tokens, false) => self.write(Part::Usage(*tokens, None), generation),
            Step::Error => self.write(Part::Error(generation.reachable_events()), generation),
            Step::Done => self.write(Part::Done, generation),
            Step::Prelude
            | Step::Content(_)
            | Step::Plain(_)
            | Step::Sound(_)
            | Step::Filler(_)
            | Step::Break
            | Step::Hang => Vec::new(),
        }
    }

    fn write(&mut self, part: Part<'_>, generation: &Generation) -> Vec<Bytes> {
        let events = self.writer.as_mut().map(|writer| writer.write(part, generation)).unwrap_or_default();
        let frames = events.into_iter().map(|event| frame(&event, generation));
        match generation.plan.endless_mib() {
            None => frames.map(Bytes::from).collect(),
            Some(mib) => frames.flat_map(|frame| filled(&frame, mib, generation)).collect(),
        }
    }
}

/// Whether a stream of this route is nothing but choices.
const fn is_choices(route: Route) -> bool {
    matches!(route, Route::ChatCompletions | Route::Completions)
}

/// The complete text, where the route repeats it at its end.
fn whole_text(generation: &Generation) -> String {
    if generation.route() != Route::Responses {
        return String::new();
    }
    let mark = if generation.plan.endless_mib().is_some() { FILLER_MARK } else { "" };
    mark.to_owned() + &generation.texts(generation.reachable_events())
}

/// A frame with the filler where its mark stands.
fn filled(frame: &str, mib: u64, generation: &Generation) -> Vec<Bytes> {
    match frame.split_once(FILLER_MARK) {
        None => vec![Bytes::copy_from_slice(frame.as_bytes())],
        Some((before, after)) => {
            let part = |text: &str| Bytes::copy_from_slice(text.as_bytes());
            [part(before)].into_iter().chain(filler(generation, mib)).chain([part(after)]).collect()
        }
    }
}

fn prelude(generation: &Generation) -> String {
    let plan = &generation.plan;
    let bom = if plan.has(Behaviour::Bom) { "\u{feff}" } else { "" };
    let comments = if plan.has(Behaviour::Comments) { comment(generation).repeat(2) } else { String::new() };
    bom.to_owned() + &comments
}

/// An event as lines of the stream.
fn frame(event: &Event, generation: &Generation) -> String {
    let plan = &generation.plan;
    let end = line_end(generation);
    let space = if plan.has(Behaviour::NoSpace) { "" } else { " " };
    let name = event.name.map(|name| format!("event:{space}{name}{end}")).unwrap_or_default();
    if plan.has(Behaviour::DataLines)
        && let Some((first, second)) = event.data.split_once(',')
    {
        // The parser joins both lines with a line feed, which is white space between two members of the object.
        return format!("{name}data:{space}{first},{end}data:{space}{second}{end}{end}");
    }
    format!("{name}data:{space}{}{end}{end}", event.data)
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

fn filler(generation: &Generation, mib: u64) -> impl Iterator<Item = Bytes> + use<> {
    let bytes =
        if matches!(generation.route(), Route::Embeddings | Route::Rerank) { &SPACES } else { &LETTERS };
    (0..mib.saturating_mul(32)).map(|_| Bytes::from_static(bytes))
}
