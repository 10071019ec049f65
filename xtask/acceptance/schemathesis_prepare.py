"""Makes what can only be asked about by an id that the program gives, and writes the ids into dictionaries.

The dictionaries are named in schemathesis.toml, in whose folder they are written.
"""

import argparse
import base64
import hashlib
import hmac
import json
import pathlib
import sys
import time
import urllib.error
import urllib.request

CLIENTS = "/api/v1/client-organizations/clients"

# The organization that most things are made in.
ORGANIZATION = "org_seed1_1"

# Stands in schemathesis.toml too.
PASSWORD = "correct horse battery staple"

# How many of each thing that a call can use up.
STOCK = 30

# For how many seconds an alert is waited for. A job looks every 15 s.
PATIENCE = 90


class Api:
    """The API with the reseller's token."""

    def __init__(self, url, token):
        self.url = url
        self.token = token

    def call(self, method, path, body=None, token=None, headers=()):
        """The JSON answer of a call that must succeed."""
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json", **dict(headers)}
        data = None if body is None else json.dumps(body).encode()
        return self.exchange(urllib.request.Request(self.url + path, data, headers, method=method))[1]

    def exchange(self, request):
        """The cookie, if any, and the JSON of an answer that must be a success."""
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.headers["Set-Cookie"], json.load(response)
        except urllib.error.HTTPError as refusal:
            sys.exit(f"{request.full_url}: {refusal.code} {refusal.read().decode()}")

    def gateway_key(self, organization, name):
        return self.call("POST", f"{CLIENTS}/{organization}/gateway-keys", {"name": name})

    def account(self, name):
        """The id of a new account of the reseller."""
        new = {"email": f"{name}@acceptance.example", "name": name, "role": "reseller"}
        return self.call("POST", "/api/v1/accounts", new)["account"]["id"]

    def link(self, account):
        """What signs the account in once."""
        return self.call("POST", f"/api/v1/accounts/{account}/link")["token"]

    def session(self, account):
        """The id of a new session of the account, and the headers of a browser that has it."""
        body = json.dumps({"token": self.link(account)}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + "/api/v1/auth/link", body, headers)
        cookie, session = self.exchange(request)
        return session["session_id"], {"Cookie": cookie.split(";")[0], "X-CSRF-Token": session["csrf_token"]}

    def choose_password(self, account):
        _, headers = self.session(account)
        headers["Content-Type"] = "application/json"
        body = json.dumps({"new": PASSWORD}).encode()
        self.exchange(urllib.request.Request(self.url + "/api/v1/auth/password", body, headers))

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


def open_webui_session(secret, user):
    """What Open WebUI gives a user who signs in."""

    def part(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    claims = {"id": user, "exp": int(time.time()) + 3600, "jti": "acceptance"}
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.new(secret.encode(), signed, hashlib.sha256).digest())).decode()


def access(api, write):
    """Accounts, sessions and tokens. Tells which headers the sessions of some operations have."""
    accounts = [api.account(f"number{number}") for number in range(3 * STOCK)]
    for place, purpose in enumerate(("changed_accounts", "linked_accounts", "doomed_accounts")):
        write(purpose, accounts[place::3])
    write("links", [api.link(api.account(f"link{number}")) for number in range(STOCK)])
    api.choose_password(api.account("password"))
    sessions = {}
    for purpose in ("sessions", "sign-out", "sign-out-everywhere", "password-change"):
        account = api.account(purpose)
        _, sessions[purpose] = api.session(account)
        if purpose == "sessions":
            write("doomed_sessions", [api.session(account)[0] for _ in range(STOCK)])
    for name, path in (("doomed_tokens", "/api/v1/api-tokens"), ("doomed_keys", f"{CLIENTS}/{ORGANIZATION}/api-tokens")):
        write(name, [api.call("POST", path, {"name": "doomed"})["api_token"]["id"] for _ in range(STOCK)])
    return sessions


def members(api, write):
    """Members of the organization, their further ids, users whom nobody knows, and limits."""
    path = f"{CLIENTS}/{ORGANIZATION}/members"
    strangers = [f"stranger_{number}" for number in range(STOCK)]
    for user in strangers:
        usage = {"client_org_id": ORGANIZATION, "user_id": user, "model": "openai/o3", "tokens": 10, "cost": 0.01}
        api.call("POST", "/api/v1/usage-tracking/usage/manual-record", usage)
    write("strangers", strangers)
    for purpose in ("changed", "kept"):
        ids = [f"{purpose}_{number}" for number in range(STOCK)]
        for user in ids:
            api.call("POST", path, {"user_id": user, "name": user, "email": f"{user}@acceptance.example"})
        write(f"{purpose}_members", ids)
    external = [f"external_{number}" for number in range(STOCK)]
    for one in external:
        api.call("PUT", f"{path}/kept_0/external-ids/{one}")
    write("external_ids", external)
    limited = [f"acceptance/model-{number}" for number in range(STOCK)]
    for one in limited:
        limit = {"scope": "model", "subject": one, "monthly_limit": 1000}
        api.call("PUT", f"{CLIENTS}/{ORGANIZATION}/limits", limit)
    write("doomed_limits", limited)


def alerts(api, write):
    """Destinations of the organization, and deliveries of alerts to them."""
    path = "/api/v1/client-organizations/alert-destinations"

    def made(channel, target):
        new = {"client_org_id": ORGANIZATION, "channel": channel, "target": target, "name": "for the acceptance"}
        return api.call("POST", path, new)["destination"]["id"]

    # An organization may have a hundred of them.
    for purpose in ("changed", "doomed", "tested", "replayed"):
        write(f"{purpose}_destinations", [made("email", "alerts@acceptance.example") for _ in range(STOCK // 3)])
    write("rotated_destinations", [made("webhook", "https://hooks.acceptance.example/") for _ in range(STOCK // 3)])
    # A test cannot be sent again, so somebody passes a limit. Mail waits where no mail server is set up.
    told = [made("email", "alerts@acceptance.example") for _ in range(STOCK // 3)]
    limit = {"scope": "model", "subject": "acceptance/dear", "monthly_limit": 0.01}
    api.call("PUT", f"{CLIENTS}/{ORGANIZATION}/limits", limit)
    usage = {"client_org_id": ORGANIZATION, "model": "acceptance/dear", "tokens": 100, "cost": "0.5", "request_id": "dear"}
    api.call("POST", "/api/v1/usage-tracking/usage/manual-record", usage)
    write("deliveries", [delivery(api, destination) for destination in told])


def delivery(api, destination):
    """The first delivery to a destination, as soon as there is one."""
    path = f"/api/v1/client-organizations/alert-deliveries?client_org_id={ORGANIZATION}&destination_id={destination}"
    for _ in range(PATIENCE):
        if items := api.call("GET", path)["items"]:
            return items[0]["id"]
        time.sleep(1)
    sys.exit(f"nothing was sent to {destination}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api", nargs=2, metavar=("URL", "TOKEN"), required=True)
    parser.add_argument("--open-webui-secret", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    options = parser.parse_args()
    api = Api(*options.api)

    def write(name, ids):
        text = "".join(f"{json.dumps(one)}\n" for one in ids)
        (options.folder / f"{name}.dict").write_text(text, encoding="ascii")

    for purpose in ("changed_keys", "rotated_keys", "revoked_keys"):
        write(purpose, [api.gateway_key(ORGANIZATION, purpose)["gateway_key"]["id"] for _ in range(STOCK)])
    pending = api.pending_generations("abc", 3 * STOCK)
    for place, purpose in enumerate(("dismissed_generations", "settled_generations", "asked_generations")):
        write(purpose, pending[place::3])
    for organization in (ORGANIZATION, "org_seed1_2"):
        api.call("POST", f"{CLIENTS}/{organization}/provider-key", {})
    unmanaged = [f"unmanaged_{number}" for number in range(STOCK)]
    for organization in unmanaged:
        api.call("POST", CLIENTS, {"id": organization, "name": organization})
    write("unmanaged_organizations", unmanaged)
    write("new_users", [f"mapped_{number}" for number in range(STOCK)])
    write("new_openrouter_users", [f"{ORGANIZATION}_user_{number:016x}" for number in range(STOCK)])
    write("new_emails", [f"new{number}@acceptance.example" for number in range(STOCK)])
    members(api, write)
    seller = {"seller_name": "Seller", "seller_address": "Street 1", "seller_tax_id": "525"}
    api.call("POST", "/api/v1/client-organizations/billing-settings", seller)
    write("months", [api.call("GET", "/api/v1/client-organizations/statements")["month"]])
    alerts(api, write)
    # Of an organization that none of the other calls is about, so that it stays active.
    api.call("POST", f"{CLIENTS}/bench/members", {"user_id": "signed_in"})
    write("open_webui_sessions", [open_webui_session(options.open_webui_secret, "signed_in")])
    settings = options.folder / "schemathesis.toml"
    text = settings.read_text(encoding="utf-8")
    for purpose, headers in access(api, write).items():
        # The token of all other operations would go before the cookie.
        headers["Authorization"] = ""
        shown = ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in headers.items())
        text = text.replace(f'"SESSION {purpose}" = ""', shown)
    settings.write_text(text, encoding="utf-8")


main()
