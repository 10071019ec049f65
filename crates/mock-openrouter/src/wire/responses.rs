//! `/responses`: typed events with an `event:` line and a number each, and a response object that holds everything.

use super::{Event, Part, created, id_members};
use crate::behaviour::Behaviour;
use crate::generation::Generation;
use crate::respond::{quote, quote_option};

/// What became of a response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    InProgress,
    Completed,
    Failed,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// Writes a stream.
#[derive(Default)]
pub(crate) struct Writer {
    /// The number of the next event.
    sequence: u64,
}

impl Writer {
    pub(super) fn write(&mut self, part: Part<'_>, generation: &Generation) -> Vec<Event> {
        match part {
            Part::Opening => self.opening(generation),
            Part::Content(text) => {
                let place = place(generation);
                vec![self.event(
                    "response.output_text.delta",
                    &format!(r#"{place},"delta":"{text}","logprobs":[]"#),
                )]
            }
            Part::Finish(text) => self.finish(generation, text),
            // The last of the usages comes with the completed response, any other with one that is still running.
            Part::Usage(tokens, Some(text)) => {
                let output = item(generation, Some(text), Status::Completed);
                let usage = usage(generation, tokens);
                let response = response(generation, Status::Completed, &output, &usage);
                vec![self.event("response.completed", &format!(r#""response":{response}"#))]
            }
            Part::Usage(tokens, None) => {
                let response = response(generation, Status::InProgress, "", &usage(generation, tokens));
                vec![self.event("response.in_progress", &format!(r#""response":{response}"#))]
            }
            Part::Error(0) => {
                let error = r#""code":"server_error","message":"Provider returned error","param":null"#;
                vec![self.event("error", error)]
            }
            Part::Error(events) => {
                let output = item(generation, Some(&generation.texts(events)), Status::InProgress);
                let response = response(generation, Status::Failed, &output, "null");
                vec![self.event("response.failed", &format!(r#""response":{response}"#))]
            }
            Part::Done => vec![Event { name: None, data: "[DONE]".to_owned() }],
        }
    }

    fn opening(&mut self, generation: &Generation) -> Vec<Event> {
        let response = response(generation, Status::InProgress, "", "null");
        let response = format!(r#""response":{response}"#);
        let item = item(generation, None, Status::InProgress);
        let part = format!(r#"{},"part":{}"#, place(generation), text_part(""));
        vec![
            self.event("response.created", &response),
            self.event("response.in_progress", &response),
            self.event("response.output_item.added", &format!(r#""output_index":0,"item":{item}"#)),
            self.event("response.content_part.added", &part),
        ]
    }

    fn finish(&mut self, generation: &Generation, text: &str) -> Vec<Event> {
        let place = place(generation);
        let item = item(generation, Some(text), Status::Completed);
        vec![
            self.event("response.output_text.done", &format!(r#"{place},"text":"{text}","logprobs":[]"#)),
            self.event("response.content_part.done", &format!(r#"{place},"part":{}"#, text_part(text))),
            self.event("response.output_item.done", &format!(r#""output_index":0,"item":{item}"#)),
        ]
    }

    /// The next event, with these members.
    fn event(&mut self, name: &'static str, members: &str) -> Event {
        let number = self.sequence;
        self.sequence += 1;
        let data = format!(r#"{{"type":"{name}",{members},"sequence_number":{number}}}"#);
        Event { name: Some(name), data }
    }
}

/// A plain answer, cut where its text ends.
pub(super) fn plain(generation: &Generation) -> (String, String) {
    const MARK: &str = "{{cut}}";
    let (failed, events) = (generation.fails(), generation.reachable_events());
    let (status, usage) = if failed {
        (Status::Failed, "null".to_owned())
    } else {
        (Status::Completed, usage(generation, generation.completion_tokens(events)))
    };
    let text = generation.texts(events) + MARK;
    let whole = response(generation, status, &item(generation, Some(&text), status), &usage);
    whole
        .split_once(MARK)
        .map_or((String::new(), String::new()), |(before, after)| (before.to_owned(), after.to_owned()))
}

/// Where a piece of text belongs.
fn place(generation: &Generation) -> String {
    format!(r#""item_id":{},"output_index":0,"content_index":0"#, item_id(generation))
}

fn item_id(generation: &Generation) -> String {
    quote(&generation.names.body.replace("resp_", "msg_"))
}

fn text_part(text: &str) -> String {
    format!(r#"{{"type":"output_text","text":"{text}","annotations":[],"logprobs":[]}}"#)
}

/// The only item of the output.
fn item(generation: &Generation, text: Option<&str>, status: Status) -> String {
    format!(
        r#"{{"id":{},"type":"message","status":"{}","role":"assistant","content":[{}]}}"#,
        item_id(generation),
        if status == Status::Failed { "incomplete" } else { status.name() },
        text.map(text_part).unwrap_or_default(),
    )
}

/// The response object. `usage` is JSON.
fn response(generation: &Generation, status: Status, output: &str, usage: &str) -> String {
    let created = created(generation);
    let (error, completed) = match status {
        Status::InProgress => ("null", "null".to_owned()),
        Status::Completed => ("null", created.to_string()),
        Status::Failed => {
            (r#"{"code":"server_error","message":"Provider returned error"}"#, "null".to_owned())
        }
    };
    format!(
        concat!(
            r#"{{{id}"object":"response","created_at":{created},"completed_at":{completed},"status":"{status}","background":false,"#,
            r#""error":{error},"incomplete_details":null,"instructions":null,"max_output_tokens":null,"metadata":{{}},"#,
            r#""model":{model},"output":[{output}],"parallel_tool_calls":true,"previous_response_id":null,"#,
            r#""reasoning":{{"effort":null,"summary":null}},"service_tier":"default","store":false,"temperature":1,"#,
            r#""text":{{"format":{{"type":"text"}}}},"tool_choice":"auto","tools":[],"top_p":1,"truncation":"disabled","#,
            r#""usage":{usage},"user":{user}}}"#,
        ),
        id = id_members(generation),
        created = created,
        completed = completed,
        status = status.name(),
        error = error,
        model = quote(&generation.model),
        output = output,
        usage = usage,
        user = quote_option(generation.order.user.as_deref()),
    )
}

/// The inline `usage` object; its names differ from those of chat.
fn usage(generation: &Generation, output_tokens: i64) -> String {
    if generation.plan.has(Behaviour::NoUsage) {
        return "null".to_owned();
    }
    let money = generation.inline_cost(output_tokens);
    format!(
        concat!(
            r#"{{"input_tokens":{input},"input_tokens_details":{{"cached_tokens":{cached},"cache_write_tokens":{written}}},"#,
            r#""output_tokens":{output},"output_tokens_details":{{"reasoning_tokens":{reasoning}}},"total_tokens":{total},"#,
            r#""cost":{cost},"is_byok":{byok},"#,
            r#""cost_details":{{"upstream_inference_cost":{upstream},"upstream_inference_input_cost":0,"upstream_inference_output_cost":0}}}}"#,
        ),
        input = generation.prompt_tokens,
        cached = generation.cached_tokens,
        written = generation.cache_write_tokens,
        output = output_tokens,
        reasoning = generation.reasoning_tokens(output_tokens),
        total = generation.prompt_tokens + output_tokens,
        cost = money.cost,
        byok = generation.byok(),
        upstream = money.upstream,
    )
}
