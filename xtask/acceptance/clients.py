"""Uses every route that openai-python and anthropic know, plain and streamed, as an application would.

Each answer is checked for what an application reads of it: text, vectors, images, sound, and token counts. The last line
says how many calls were made, so that the ledger can be compared.
"""

import argparse
import base64
import io
import sys
import wave

import anthropic
import openai

MODEL = "mock/ok"
MESSAGES = [{"role": "user", "content": "Żółw?"}]


def silence():
    """A WAV file of half a second."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(8000))
    file.seek(0)
    file.name = "silence.wav"
    return file


def chat(client):
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert answer.choices[0].message.content and answer.usage.prompt_tokens > 0, answer


def chat_stream(client):
    text, usage = "", None
    for chunk in client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    assert text and usage.completion_tokens > 0, (text, usage)


def completion(client):
    answer = client.completions.create(model=MODEL, prompt="Once")
    assert answer.choices[0].text and answer.usage.completion_tokens > 0, answer


def completion_stream(client):
    chunks = list(client.completions.create(model=MODEL, prompt="Once", stream=True))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices), chunks


def embedding(client):
    answer = client.embeddings.create(model=MODEL, input=["one", "two"], encoding_format="float")
    assert answer.data[0].embedding and answer.usage.prompt_tokens > 0, answer


def response(client):
    answer = client.responses.create(model=MODEL, input="Hello")
    assert answer.output_text and answer.usage.output_tokens > 0, answer


def response_stream(client):
    text, last = "", None
    for event in client.responses.create(model=MODEL, input="Hello", stream=True):
        text += event.delta if event.type == "response.output_text.delta" else ""
        last = event
    assert text and last.type == "response.completed" and last.response.usage.input_tokens > 0, (text, last)


def image(client):
    answer = client.images.generate(model=MODEL, prompt="a turtle")
    assert base64.b64decode(answer.data[0].b64_json), answer


def speech(client):
    answer = client.audio.speech.create(model=MODEL, voice="alloy", input="Hello")
    assert answer.content, "no sound"


def speech_stream(client):
    stream = client.audio.speech.with_streaming_response
    with stream.create(model=MODEL, voice="alloy", input="Hello") as answer:
        assert sum(len(piece) for piece in answer.iter_bytes()), "no sound"


def transcription(client):
    answer = client.audio.transcriptions.create(model=MODEL, file=silence())
    assert answer.text, answer


def message(client):
    answer = client.messages.create(model=MODEL, max_tokens=64, messages=MESSAGES)
    assert answer.content[0].text and answer.usage.output_tokens > 0, answer


def message_stream(client):
    with client.messages.stream(model=MODEL, max_tokens=64, messages=MESSAGES) as stream:
        text = "".join(stream.text_stream)
        usage = stream.get_final_message().usage
    assert text and usage.input_tokens > 0 and usage.output_tokens > 0, (text, usage)


OPENAI = [
    chat,
    chat_stream,
    completion,
    completion_stream,
    embedding,
    response,
    response_stream,
    image,
    speech,
    speech_stream,
    transcription,
]
ANTHROPIC = [message, message_stream]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateway", nargs=2, metavar=("URL", "KEY"), required=True)
    url, key = parser.parse_args().gateway
    # Anthropic's client adds the version to the path itself, and sends one of two headers.
    root = url.removesuffix("/v1")
    pairs = [(openai.OpenAI(base_url=url, api_key=key, max_retries=0), OPENAI)]
    for credentials in ({"api_key": key}, {"auth_token": key}):
        pairs.append((anthropic.Anthropic(base_url=root, max_retries=0, **credentials), ANTHROPIC))
    calls, failed = 0, 0
    for client, uses in pairs:
        for use in uses:
            calls += 1
            try:
                use(client)
                print(f"ok      {type(client).__name__} {use.__name__}")
            except Exception as error:  # Whatever it is, the other routes are still of interest.
                failed += 1
                print(f"FAILED  {type(client).__name__} {use.__name__}: {type(error).__name__}: {error}")
    print(f"{calls} calls, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
