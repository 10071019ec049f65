"""Sessions of Open WebUI at our own API: what they open, and when they end."""

import asyncio
import time

import aiohttp

from books import exact, nano

SUMMARY = "/api/v1/usage-tracking/my-organization/usage-summary"
BY_USER = "/api/v1/usage-tracking/my-organization/usage-by-user"

# Open WebUI's confirmation of a session is believed for a minute; the rest is for a busy machine.
AT_MOST = 60 + 5


class OurApi:
    """The gateway's own API. Use it as a context manager."""

    def __init__(self, gateway_url):
        self.http = aiohttp.ClientSession(gateway_url.removesuffix("/v1"))

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.http.close()

    async def get(self, path, token):
        """The status and the body for who presents this token."""
        async with self.http.get(path, headers={"Authorization": f"Bearer {token}"}) as response:
            return response.status, exact(await response.text())

    async def ended(self, token):
        """Waits until a token opens nothing any more, and returns the status that it gets and after how many seconds."""
        begun = time.monotonic()
        while time.monotonic() - begun < AT_MOST:
            status, body = await self.get(SUMMARY, token)
            if status != 200:
                assert not body["success"], body
                return status, time.monotonic() - begun
            await asyncio.sleep(0.5)
        raise AssertionError(f"the session lasts {AT_MOST} s after its end")


async def open_doors(api, books, admin, user):
    """The administrator sees everybody, with exact sums; the other one only the sums of all."""
    status, body = await api.get(BY_USER, admin.token)
    assert status == 200 and body["total_users"] == 2, body
    seen = {row["user_id"]: row for row in body["user_usage"]}
    for person, sums in books.sums((admin, user)):
        row = seen[person.id]
        assert (row["user_name"], row["user_email"]) == (person.name, person.email), row
        figures = row["total_requests"], row["total_tokens"], nano(row["markup_cost"])
        assert figures == (sums["requests"], sums["tokens"], sums["markup_cost"]), (row, sums)
    status, body = await api.get(BY_USER, user.token)
    assert status == 403 and "user_usage" not in body, body
    status, body = await api.get(SUMMARY, user.token)
    assert status == 200 and body["success"], body
    head, claims, signature = admin.token.split(".")
    status, body = await api.get(SUMMARY, ".".join((head, claims, signature[::-1])))
    assert status == 401, body


async def known(browser, token):
    """Whether Open WebUI itself still takes a token."""
    async with browser.http.get("/api/v1/auths/", headers={"Authorization": f"Bearer {token}"}) as response:
        return response.status == 200


async def ends_with_password(api, user):
    """Without Redis a sign-out is none, also for Open WebUI itself. A new password ends every session."""
    token = user.token
    await user.request("POST", "/api/v1/auths/signout")
    assert await known(user, token), "Open WebUI ends sessions without Redis; the documentation says something else"
    change = {"password": user.password, "new_password": "Nowe hasło 333"}
    await user.request("POST", "/api/v1/auths/update/password", change)
    user.password = change["new_password"]
    return await api.ended(token)


async def ends_with_sign_out(api, user):
    """With Redis a sign-out ends that session and no other."""
    token = user.token
    await user.sign_in()
    other = user.token
    assert (await api.get(SUMMARY, other))[0] == 200
    await user.request("POST", "/api/v1/auths/signout", token=token)
    ended = await api.ended(token)
    assert (await api.get(SUMMARY, other))[0] == 200, "the other session ended too"
    return ended


async def ends_with_role(api, admin, user):
    """Who waits for an administrator's approval is let in nowhere."""
    form = {"role": "pending", "name": user.name, "email": user.email, "profile_image_url": "/user.png"}
    await admin.request("POST", f"/api/v1/users/{user.id}/update", form)
    return await api.ended(user.token)
