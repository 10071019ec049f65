//! Traces as OpenRouter's Broadcast sends them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mai_openrouter::parse_broadcast;

fuzz_target!(|body: &[u8]| {
    let Ok(spans) = parse_broadcast(body) else { return };
    assert!(spans.len() <= 10_000);
    for span in spans {
        if let Some(usage) = span.usage.exact() {
            assert!(usage.cost.nanos() >= 0 && usage.input_tokens >= 0 && usage.output_tokens >= 0);
        }
        let names =
            [&span.generation_id, &span.model, &span.requested_model, &span.serving_provider, &span.user];
        assert!(names.into_iter().flatten().all(|name| !name.is_empty() && name.len() <= 512));
    }
});
