"""Makes what can only be asked about by an id that the program gives, and writes the ids into dictionaries.

The dictionaries are named in schemathesis.toml, in whose folder they are written.
"""

import argparse
import json
import pathlib
import urllib.request

CLIENTS = "/api/v1/client-organizations/clients"

# How many of each thing that a call can use up.
STOCK = 30


class Api:
    """The API with the reseller's token."""

    def __init__(self, url, token):
        self.url = url
        self.token = token

    def call(self, method, path, body=None, token=None, headers=()):
        """The JSON answer of a call that must succeed."""
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json", **dict(headers)}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def gateway_key(self, organization, name):
        return self.call("POST", f"{CLIENTS}/{organization}/gateway-keys", {"name": name})

    def pending_generations(self, organization, number):
        """Calls without usage, whose cost nobody can look up for an hour."""
        key = self.gateway_key(organization, "for pending generations")["key"]
        call = {"model": "mock/no-usage", "messages": [{"role": "user", "content": "?"}]}
        late = {"x-mock-generation-delay-ms": "3600000"}
        ids = [self.call("POST", "/v1/chat/completions", call, key, late)["id"] for _ in range(number)]
        listed = {"items": []}
        while len(listed["items"]) < number:
            listed = self.call("GET", f"{CLIENTS}/{organization}/pending-generations?limit=500")
        return ids


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api", nargs=2, metavar=("URL", "TOKEN"), required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    options = parser.parse_args()
    api = Api(*options.api)

    def write(name, ids):
        text = "".join(f"{json.dumps(one)}\n" for one in ids)
        (options.folder / f"{name}.dict").write_text(text, encoding="ascii")

    for purpose in ("changed_keys", "rotated_keys", "revoked_keys"):
        write(purpose, [api.gateway_key("org_seed1_1", purpose)["gateway_key"]["id"] for _ in range(STOCK)])
    pending = api.pending_generations("abc", 3 * STOCK)
    for place, purpose in enumerate(("dismissed_generations", "settled_generations", "asked_generations")):
        write(purpose, pending[place::3])
    for organization in ("org_seed1_1", "org_seed1_2"):
        api.call("POST", f"{CLIENTS}/{organization}/provider-key", {})


main()
