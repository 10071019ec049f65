//! Answers as OpenRouter sends them: the stream was captured on the wire in August 2026, the others follow its documents.

pub(super) const STREAM: &str = r#": OPENROUTER PROCESSING

: OPENROUTER PROCESSING

data: {"id":"gen-1786988078-NGfmEgJ5Z2MYGfqmExLw","object":"chat.completion.chunk","created":1786988078,"model":"qwen/qwen3-coder-next","provider":"Parasail","choices":[{"index":0,"delta":{"content":"pong","role":"assistant"},"finish_reason":null,"native_finish_reason":null}]}

data: {"id":"gen-1786988078-NGfmEgJ5Z2MYGfqmExLw","object":"chat.completion.chunk","created":1786988078,"model":"qwen/qwen3-coder-next","provider":"Parasail","choices":[{"index":0,"delta":{"content":"","role":"assistant"},"finish_reason":"stop","native_finish_reason":"stop"}]}

data: {"id":"gen-1786988078-NGfmEgJ5Z2MYGfqmExLw","object":"chat.completion.chunk","created":1786988078,"model":"qwen/qwen3-coder-next","provider":"Parasail","service_tier":null,"choices":[{"index":0,"delta":{"content":"","role":"assistant"},"finish_reason":"stop","native_finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":2,"total_tokens":22,"cost":0.000004,"is_byok":false,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0,"audio_tokens":0,"video_tokens":0},"cost_details":{"upstream_inference_cost":0.000004,"upstream_inference_prompt_cost":0.0000024,"upstream_inference_completions_cost":0.0000016},"completion_tokens_details":{"reasoning_tokens":0,"image_tokens":0,"audio_tokens":0}}}

data: [DONE]

"#;

pub(super) const ERROR_STREAM: &str = r#"data: {"id":"gen-abc123","object":"chat.completion.chunk","created":1234567890,"model":"openai/gpt-4o","provider":"OpenAI","error":{"code":429,"message":"Rate limit exceeded","metadata":{"error_type":"rate_limit_exceeded","provider_code":"rate_limited"}},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}

"#;

/// OpenAI's shape: usage is null in every chunk, and comes in one of its own with empty choices.
pub(super) const OPENAI_STREAM: &str = r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","model":"gpt-4o","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-123","object":"chat.completion.chunk","model":"gpt-4o","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"cost":5.7915e-06}}

data: [DONE]

"#;

pub(super) const BODY: &str = r#"{"id":"gen-1786988078-NGfmEgJ5Z2MYGfqmExLw","object":"chat.completion","created":1786988078,
 "model":"openai/gpt-5-mini","provider":"OpenAI","system_fingerprint":null,"service_tier":"default",
 "choices":[{"index":0,"logprobs":null,"finish_reason":"stop","native_finish_reason":"completed",
   "message":{"role":"assistant","content":"pong","refusal":null,"reasoning":null}}],
 "usage":{"prompt_tokens":194,"completion_tokens":2,"total_tokens":196,
   "cost":0.0000057915,"is_byok":false,
   "prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0,"audio_tokens":0,"video_tokens":0},
   "cost_details":{"upstream_inference_cost":0.00000585,"upstream_inference_prompt_cost":0.0000048,"upstream_inference_completions_cost":0.00000105},
   "completion_tokens_details":{"reasoning_tokens":0,"image_tokens":0,"audio_tokens":0},
   "server_tool_use_details":{"tool_calls_requested":0,"tool_calls_executed":0,"web_search_requests":0}}}"#;

pub(super) const BYOK_BODY: &str = r#"{"id":"gen-byok","model":"anthropic/claude-sonnet-4","provider":"Anthropic","choices":[],"usage":{"prompt_tokens":10253,"completion_tokens":12600,"total_tokens":22853,"cost":0,"is_byok":true,"cost_details":{"upstream_inference_cost":0.21976,"upstream_inference_prompt_cost":0.03076,"upstream_inference_completions_cost":0.189}}}"#;

pub(super) const ERROR_BODY: &str = r#"{"error":{"code":402,"message":"Insufficient credits. Add more using https://openrouter.ai/settings/credits","metadata":{"limit_source":"openrouter_credits"}},"user_id":"user_2abc"}"#;

pub(super) const STREAMS: [&str; 3] = [STREAM, ERROR_STREAM, OPENAI_STREAM];
pub(super) const BODIES: [&str; 3] = [BODY, BYOK_BODY, ERROR_BODY];
