// Uses every route that openai-node and Anthropic's client for Node know, plain and streamed, as an application would.
//
// Arguments: base URL of the gateway with /v1, and a gateway key. The last line says how many calls were made.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { toFile } from "openai";

const [url, key] = process.argv.slice(2);
const model = "mock/ok";
const messages = [{ role: "user", content: "Żółw?" }];
const openai = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url.replace(/\/v1$/, ""), apiKey: key, maxRetries: 0 });

/** Half a second of silence as a WAV file. */
function silence() {
  const samples = 8000;
  const wav = Buffer.alloc(44 + samples);
  wav.write("RIFF", 0);
  wav.writeUInt32LE(36 + samples, 4);
  wav.write("WAVEfmt ", 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(8000, 24);
  wav.writeUInt32LE(8000, 28);
  wav.writeUInt16LE(1, 32);
  wav.writeUInt16LE(8, 34);
  wav.write("data", 36);
  wav.writeUInt32LE(samples, 40);
  return toFile(wav, "silence.wav");
}

const uses = {
  async chat() {
    const answer = await openai.chat.completions.create({ model, messages });
    assert(answer.choices[0].message.content && answer.usage.prompt_tokens > 0);
  },
  async chatStream() {
    let text = "";
    let usage = null;
    for await (const chunk of await openai.chat.completions.create({ model, messages, stream: true })) {
      text += chunk.choices.map((choice) => choice.delta.content ?? "").join("");
      usage = chunk.usage ?? usage;
    }
    assert(text && usage.completion_tokens > 0);
  },
  async completion() {
    const answer = await openai.completions.create({ model, prompt: "Once" });
    assert(answer.choices[0].text && answer.usage.completion_tokens > 0);
  },
  async completionStream() {
    let text = "";
    for await (const chunk of await openai.completions.create({ model, prompt: "Once", stream: true })) {
      text += chunk.choices.map((choice) => choice.text).join("");
    }
    assert(text);
  },
  async embedding() {
    const answer = await openai.embeddings.create({ model, input: ["one", "two"], encoding_format: "float" });
    assert(answer.data[0].embedding.length > 0 && answer.usage.prompt_tokens > 0);
  },
  async response() {
    const answer = await openai.responses.create({ model, input: "Hello" });
    assert(answer.output_text && answer.usage.output_tokens > 0);
  },
  async responseStream() {
    let text = "";
    let last = null;
    for await (const event of await openai.responses.create({ model, input: "Hello", stream: true })) {
      text += event.type === "response.output_text.delta" ? event.delta : "";
      last = event;
    }
    assert.equal(last.type, "response.completed");
    assert(text && last.response.usage.input_tokens > 0);
  },
  async image() {
    const answer = await openai.images.generate({ model, prompt: "a turtle" });
    assert(Buffer.from(answer.data[0].b64_json, "base64").length > 0);
  },
  async speech() {
    const answer = await openai.audio.speech.create({ model, voice: "alloy", input: "Hello" });
    assert((await answer.arrayBuffer()).byteLength > 0);
  },
  async transcription() {
    const answer = await openai.audio.transcriptions.create({ model, file: await silence() });
    assert(answer.text);
  },
  async message() {
    const answer = await anthropic.messages.create({ model, max_tokens: 64, messages });
    assert(answer.content[0].text && answer.usage.output_tokens > 0);
  },
  async messageStream() {
    const stream = anthropic.messages.stream({ model, max_tokens: 64, messages });
    const text = await stream.finalText();
    const { usage } = await stream.finalMessage();
    assert(text && usage.input_tokens > 0 && usage.output_tokens > 0);
  },
};

let failed = 0;
for (const [name, use] of Object.entries(uses)) {
  try {
    await use();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.constructor.name}: ${error.message}`);
  }
}
console.log(`${Object.keys(uses).length} calls, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
