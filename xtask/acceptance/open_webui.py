"""Two people use a real Open WebUI whose only connection is the gateway, and the gateway's books are compared.

They chat, one answer is stopped in the middle and asked for again, one is left by a program, and one fails. Afterwards
every generation that the mock of OpenRouter charged must be in the ledger once, with the exact cost, for the right person
and task. Then both look at our own API with their sessions of Open WebUI, until these end.
"""

import argparse
import asyncio
import collections
import sys
import urllib.error
import urllib.request

import open_webui_sign_in as sign_in
from books import Books, exact
from open_webui_browser import Browser

MODEL = "openai/gpt-4o-mini"
# Twenty seconds of answer, so that it can be stopped in the middle.
SLOW = "mock/slow-100,tokens-200"
# Breaks off with OpenRouter's error in the middle of the stream.
FAILING = "mock/error-mid"

TITLE = "title_generation"
# What Open WebUI calls for an answer that has ended, beside the answer itself.
TASKS = [TITLE, "tags_generation", "follow_up_generation"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open-webui", metavar="URL", required=True)
    parser.add_argument("--gateway", nargs=2, metavar=("URL", "KEY"), required=True)
    parser.add_argument("--mock", nargs=2, metavar=("URL", "KEY"), required=True)
    parser.add_argument("--database", required=True, help="SQLite file of the gateway")
    parser.add_argument("--organization", required=True)
    parser.add_argument("--signed", action="store_true", help="Open WebUI signs who its users are")
    parser.add_argument("--revokes", action="store_true", help="Open WebUI has Redis, where it keeps who signed out")
    return parser.parse_args()


def done(text):
    print(f"ok      {text}", flush=True)


class Calls(collections.Counter):
    """How many calls were made for a person and a task."""

    def made(self, person, *tasks):
        """A call of the person, and one for each of the tasks."""
        self.update((person.id, task) for task in (None, *tasks))


async def offer(admin, models):
    """Names the models that Open WebUI offers, as an administrator does in the settings of the connection."""
    config = await admin.request("GET", "/openai/config")
    config["OPENAI_API_CONFIGS"].setdefault("0", {})["model_ids"] = models
    await admin.request("POST", "/openai/config/update", config)


async def whole(person, answer):
    """Waits for an answer and looks at what is stored."""
    await person.finished(answer)
    stored = await person.stored(answer)
    assert stored["done"] and stored["content"] and "error" not in stored, stored


async def chat(person, calls):
    await whole(person, await person.ask(MODEL, f"Cześć, tu {person.name}. Gdzie leży Żółwia Wola?"))
    calls.made(person, *TASKS)
    done(f"{person.name} chats")


async def stop_and_regenerate(person, calls):
    answer = await person.ask(SLOW, "Policz do dwustu.")
    await person.begun(answer, 50)
    await person.stop(answer)
    await person.finished(answer)
    text = (await person.stored(answer))["content"]
    assert 50 <= len(text) < 1000, text
    # The title is asked for at once.
    calls.made(person, TITLE)
    await whole(person, await person.regenerate(answer, MODEL))
    calls.made(person, *TASKS)
    done(f"{person.name} stops an answer after {len(text)} characters and asks again")


async def fail(person, calls):
    answer = await person.ask(FAILING, "Nie uda się.")
    await person.finished(answer)
    stored = await person.stored(answer)
    assert stored["content"] and stored["error"]["content"]["message"], stored
    calls.made(person, *TASKS)
    done(f"{person.name} sees that an answer failed: {stored['error']['content']['message']}")


async def use(admin, user):
    """Everything that the two do, and the calls that it makes."""
    calls = Calls()
    await admin.sign_up()
    await admin.add(user)
    await user.sign_in()
    listed = {model["id"] for model in (await user.request("GET", "/api/models"))["data"]}
    assert {MODEL, "anthropic/claude-sonnet-4"} <= listed, listed
    done(f"Open WebUI offers the {len(listed)} models of the gateway")
    await asyncio.gather(chat(admin, calls), chat(user, calls))
    await offer(admin, [MODEL, SLOW, FAILING])
    await stop_and_regenerate(user, calls)
    await fail(admin, calls)
    await admin.leave_a_stream(SLOW)
    calls.made(admin)
    done(f"a program of {admin.name} leaves a stream")
    return calls


def refuse_plain_headers(gateway_url, key, person):
    """Who has the key but not the secret can be nobody."""
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "X-OpenWebUI-User-Id": person.id,
        "X-OpenWebUI-User-Email": person.email,
    }
    body = b'{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"?"}]}'
    request = urllib.request.Request(gateway_url + "/chat/completions", body, headers)
    try:
        urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as refusal:
        code = exact(refusal.read())["error"]["code"]
        assert (refusal.code, code) == (401, "identity_required"), (refusal.code, code)
        done("plain headers are refused")
        return
    raise AssertionError("plain headers were believed")


def compare(books, calls, people):
    """The books are those of what was charged."""
    charges = books.settled(calls.total())
    books.compare_generations(charges, calls)
    done(f"each of {calls.total()} charged generations is in the ledger once, with the exact cost and tokens")
    cancelled = [row for row in books.generations() if charges[row["id"]]["cancelled"]]
    assert len(cancelled) == 2, cancelled
    assert all(row["source"] == "generation_lookup" for row in cancelled), cancelled
    done("the two answers that were not read to the end were looked up")
    books.compare_people(charges, people)
    for person, row in books.sums(people):
        done(f"{person.name} <{person.email}>: {row['requests']} calls, {row['markup_cost']} nano-dollars")


async def look(gateway_url, books, admin, user, revokes):
    """Both look at our own API with their sessions, until these end."""
    async with sign_in.OurApi(gateway_url) as api:
        await sign_in.open_doors(api, books, admin, user)
        done("by-user shows both with exact sums to the administrator, and to nobody else")
        if revokes:
            status, seconds = await sign_in.ends_with_sign_out(api, user)
            done(f"{status} {seconds:.0f} s after signing out at Open WebUI")
            status, seconds = await sign_in.ends_with_role(api, admin, user)
            done(f"{status} {seconds:.0f} s after the account was set to pending")
        else:
            status, seconds = await sign_in.ends_with_password(api, user)
            done(f"{status} {seconds:.0f} s after a change of the password")


async def main():
    options = arguments()
    gateway_url, key = options.gateway
    books = Books(options.database, *options.mock, options.organization)
    admin = Browser(options.open_webui, "Żółw Administrator", "zolw@example.com", "Hasło admina 1")
    user = Browser(options.open_webui, "Łucja Gęś-Źdźbło", "lucja@example.com", "Hasło Łucji 22")
    async with admin, user:
        calls = await use(admin, user)
        if options.signed:
            refuse_plain_headers(gateway_url, key, admin)
        # In a thread, because the loop has yet to close the connection of the stream that was left.
        await asyncio.to_thread(compare, books, calls, (admin, user))
        await look(gateway_url, books, admin, user, options.revokes)
    # Nothing came that nobody had asked for.
    books.compare_generations(books.settled(calls.total()), calls)


sys.exit(asyncio.run(main()))
