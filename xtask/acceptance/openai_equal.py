"""Compares what openai-python makes of the mock's answers with what it makes of them through the gateway.

For every behaviour of the mock, plain and streamed: the same objects, or the same exception with the same status and
body. Two differences are wanted and checked here: the gateway hides the account's `user_id` in errors, and where
upstream closes the connection without an answer it answers 502 itself.
"""

import asyncio
import itertools
import sys

import openai

from common import MESSAGES, arguments, report, without_ids

# Longer than any behaviour pauses; only `headers-then-nothing` runs into it.
TIMEOUT = 5.0


def plain_values(value):
    """The value with generation ids and creation times replaced."""
    if isinstance(value, dict):
        return {key: 0 if key == "created" else plain_values(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain_values(one) for one in value]
    return without_ids(value) if isinstance(value, str) else value


def failure(error):
    """What an application can see of an exception."""
    seen = {"exception": type(error).__name__}
    if isinstance(error, openai.APIStatusError):
        seen |= {"status": error.status_code, "body": plain_values(error.body)}
        seen["text"] = without_ids(error.response.text)
        seen["retry_after"] = error.response.headers.get("retry-after")
    elif isinstance(error, openai.APIError):
        seen |= {"message": error.message, "body": plain_values(error.body)}
    return seen


async def seen_by_client(client, behaviour, stream, seed):
    """Everything that the client shows, in order."""
    seen = []
    try:
        answer = await client.chat.completions.create(
            model=f"mock/{behaviour}",
            messages=MESSAGES,
            stream=stream,
            extra_headers={"x-mock-seed": str(seed)},
        )
        if stream:
            async for chunk in answer:
                seen.append(plain_values(chunk.model_dump(warnings=False)))
        else:
            seen.append(plain_values(answer.model_dump(warnings=False)))
    except Exception as error:  # Whatever it is, it must be the same on both sides.
        seen.append(failure(error))
    return seen


def wanted(behaviour, direct):
    """What the gateway must show, given what the mock itself shows."""
    last = direct[-1]
    if behaviour == "cut-before-headers":
        assert last["exception"] == "APIConnectionError", last
        return None
    if "status" in last:
        return [last | {"text": last["text"].replace(',"user_id":"user_2mockAccountOfTheReseller"', "")}]
    return direct


def is_upstream_unreachable(seen):
    last = seen[-1]
    return last.get("status") == 502 and last["body"].get("code") == "upstream_unreachable"


async def one(clients, behaviour, stream, seed):
    direct, gateway = await asyncio.gather(
        *(seen_by_client(client, behaviour, stream, seed) for client in clients)
    )
    expected = wanted(behaviour, direct)
    equal = is_upstream_unreachable(gateway) if expected is None else gateway == expected
    if equal:
        return True
    print(f"different: {behaviour}, stream: {stream}, seed {seed}")
    for mine, theirs in itertools.zip_longest(expected or [], gateway):
        if mine != theirs:
            print(f"  direct:  {str(mine)[:2000]}\n  gateway: {str(theirs)[:2000]}")
            break
    return False


async def main():
    direct, gateway, behaviours = arguments(__doc__)
    clients = [
        openai.AsyncOpenAI(base_url=server.url, api_key=server.key, max_retries=0, timeout=TIMEOUT)
        for server in (direct, gateway)
    ]
    results = [
        await one(clients, behaviour, stream, seed)
        for seed, (behaviour, stream) in enumerate(itertools.product(behaviours, (False, True)))
    ]
    return report(len(results), results.count(False))


sys.exit(asyncio.run(main()))
