"""The gateway's books beside what the mock of OpenRouter charged."""

import collections
import hashlib
import json
import sqlite3
import time
import urllib.request
from decimal import ROUND_HALF_EVEN, Decimal

# How long the last record, and the look-up of an answer that was left, may take.
PATIENCE = 60


class Books:
    """The database of a gateway and the mock behind it."""

    def __init__(self, database, mock_url, provider_key, organization):
        self.database = sqlite3.connect(f"file:{database}?mode=ro", uri=True, check_same_thread=False)
        self.database.row_factory = sqlite3.Row
        self.mock_url = mock_url
        self.provider_key = provider_key
        self.organization = organization

    def rows(self, query):
        return [dict(row) for row in self.database.execute(query)]

    def generations(self):
        return self.rows("SELECT * FROM processed_generations ORDER BY started_at, id")

    def ask_mock(self, path):
        """The data of an answer of the mock, with its numbers as they are printed."""
        headers = {"Authorization": f"Bearer {self.provider_key}"}
        request = urllib.request.Request(self.mock_url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            return exact(response.read())["data"]

    def charged(self):
        """What the mock has charged in all, in USD."""
        return self.ask_mock("/key")["usage"]

    def settled(self, calls):
        """Waits until the ledger has so many calls and all that was charged, and nothing waits for a look-up. Returns what
        the mock says of each generation in the ledger.

        Every call of these runs costs something, so that a sum without any one of them is too small.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            charges = {row["id"]: self.ask_mock(f"/generation?id={row['id']}") for row in self.generations()}
            booked = sum(charge["total_cost"] for charge in charges.values())
            charged = self.charged()
            pending = self.rows("SELECT * FROM pending_generations")
            if len(charges) >= calls and booked == charged and not pending:
                return charges
            problem = f"{len(charges)} of {calls} calls; charged {charged}, booked {booked}, pending {pending}"
            assert time.monotonic() < deadline, problem
            time.sleep(0.2)

    def openrouter_user_id(self, user_id):
        return f"{self.organization}_user_{hashlib.sha256(user_id.encode()).hexdigest()[:16]}"

    def compare_generations(self, charges, calls):
        """Each generation is booked exactly, for the right person and task. `calls` has the number of calls by the id of
        the person and the task."""
        rows = self.generations()
        for row in rows:
            charge = charges[row["id"]]
            assert row["total_cost"] == nano(charge["total_cost"]) > 0, (row, charge)
            tokens = charge["native_tokens_prompt"], charge["native_tokens_completion"]
            assert (row["input_tokens"], row["output_tokens"]) == tokens, (row, charge)
            assert row["markup_cost"] == marked_up(row), row
            assert row["openrouter_user_id"] == charge["external_user"], (row, charge)
            assert row["openrouter_user_id"] == self.openrouter_user_id(row["user_id"]), row
        made = collections.Counter((row["user_id"], row["task"]) for row in rows)
        assert made == calls, f"{made} instead of {calls}"

    def sums(self, people):
        """Each person with the sums of the days."""
        daily = self.rows(
            "SELECT user_id, SUM(total_tokens) tokens, SUM(total_requests) requests, SUM(raw_cost) raw_cost,"
            " SUM(markup_cost) markup_cost FROM client_user_daily_usage GROUP BY user_id"
        )
        sums = {row["user_id"]: row for row in daily}
        assert sums.keys() == {person.id for person in people}, sums
        return [(person, sums[person.id]) for person in people]

    def compare_people(self, charges, people):
        """Each person is known, and the sums of the days are those of what was charged."""
        members = {row["user_id"]: row for row in self.rows("SELECT * FROM members")}
        assert members.keys() == {person.id for person in people}, members
        for person, row in self.sums(people):
            member = members[person.id]
            assert (member["name"], member["email"]) == (person.name, person.email), member
            external = self.openrouter_user_id(person.id)
            own = [charge for charge in charges.values() if charge["external_user"] == external]
            assert row["requests"] == len(own), (row, own)
            assert row["raw_cost"] == sum(nano(charge["total_cost"]) for charge in own), (row, own)
            tokens = (charge["native_tokens_prompt"] + charge["native_tokens_completion"] for charge in own)
            assert row["tokens"] == sum(tokens), (row, own)
            price = sum(marked_up(one) for one in self.generations() if one["user_id"] == person.id)
            assert row["markup_cost"] == price, row


def exact(text):
    """JSON with its numbers as they are printed."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def nano(usd):
    """Nano-dollars of an amount in USD, rounded half to even as a ledger row is."""
    return int((usd * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN))


def marked_up(row):
    """What the client pays for a ledger row, in nano-dollars."""
    return int((Decimal(row["total_cost"]) * row["markup_rate"] / 10**6).quantize(Decimal(1), ROUND_HALF_EVEN))
