"""A person at Open WebUI: sends what the page in that person's browser sends, and hears what it hears.

The page puts a message to `/api/chat/completions` with the id of its socket, and the answer comes over that socket. The
bodies are those of the page of Open WebUI 0.12.4.
"""

import asyncio
import time
import uuid

import aiohttp
import socketio

# How long an answer and what Open WebUI does after it may take on a busy machine.
PATIENCE = 60


class Answer:
    """An assistant's message, as the page knows it before and while it arrives."""

    def __init__(self, model, question, chat_id=None):
        self.id = str(uuid.uuid4())
        self.model = model
        self.question = question
        self.chat_id = chat_id


class Browser:
    """A signed-in browser of one person. Use it as a context manager."""

    def __init__(self, base_url, name, email, password):
        self.base_url = base_url
        self.name = name
        self.email = email
        self.password = password
        self.id = None
        self.token = None
        self.http = None
        self.socket = socketio.AsyncClient()
        self.events = []
        self.heard = asyncio.Condition()

    async def __aenter__(self):
        self.http = aiohttp.ClientSession(self.base_url)
        return self

    async def __aexit__(self, *_):
        await self.socket.disconnect()
        await self.http.close()

    async def request(self, method, path, body=None, token=None, status=200):
        """The JSON answer of Open WebUI, which must have this status."""
        token = token or self.token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.request(method, path, json=body, headers=headers) as response:
            text = await response.text()
            assert response.status == status, f"{method} {path}: {response.status} {text[:500]}"
            return await response.json()

    async def sign_up(self):
        """Makes the first account, which becomes the administrator's."""
        body = {"name": self.name, "email": self.email, "password": self.password}
        await self.enter(await self.request("POST", "/api/v1/auths/signup", body))

    async def add(self, other):
        """Makes an account for another person, as an administrator does in the list of users."""
        body = {"name": other.name, "email": other.email, "password": other.password, "role": "user"}
        await self.request("POST", "/api/v1/auths/add", body)

    async def sign_in(self):
        body = {"email": self.email, "password": self.password}
        await self.enter(await self.request("POST", "/api/v1/auths/signin", body))

    async def enter(self, session):
        """Keeps the token and connects the socket."""
        self.id, self.token = session["id"], session["token"]
        if self.socket.connected:
            await self.socket.disconnect()
        self.socket.on("events", self.hear)
        auth = {"token": self.token}
        await self.socket.connect(
            self.base_url, socketio_path="/ws/socket.io", transports=["websocket"], auth=auth
        )
        await self.socket.call("user-join", {"auth": auth})

    async def hear(self, event, *_):
        async with self.heard:
            self.events.append(event)
            self.heard.notify_all()

    async def until(self, chat_id, what, wanted):
        """Waits for an event of a chat, which may have come already. Each event is shown to `wanted` once."""
        seen = 0

        def came():
            nonlocal seen
            while seen < len(self.events):
                event = self.events[seen]
                seen += 1
                if event.get("chat_id") == chat_id and wanted(event["data"]):
                    return True
            return False

        async with self.heard:
            try:
                await asyncio.wait_for(self.heard.wait_for(came), PATIENCE)
            except asyncio.TimeoutError:
                heard = [event["data"].get("type") for event in self.events if event.get("chat_id") == chat_id]
                raise AssertionError(f"{self.name} waited for {what} and heard {heard}") from None

    async def send(self, answer):
        """Asks for an answer. Without a chat it begins one."""
        entry = {"model_id": answer.model, "message_id": answer.id, "modelIdx": 0}
        body = {
            "stream": True,
            "model": answer.model,
            "params": {"model_controls": {}},
            "tool_ids": [],
            "tool_servers": [],
            "features": {"voice": False, "image_generation": False, "code_interpreter": False, "web_search": False},
            "variables": {"{{USER_NAME}}": self.name, "{{USER_EMAIL}}": self.email},
            "session_id": self.socket.get_sid(),
            "id": answer.id,
            "message_ids": [entry],
            "parent_id": None,
            "user_message": answer.question,
            "background_tasks": {"title_generation": True, "tags_generation": True, "follow_up_generation": True},
        }
        if answer.chat_id:
            body["chat_id"] = answer.chat_id
        self.events.clear()
        answer.chat_id = (await self.request("POST", "/api/chat/completions", body))["chat_id"]

    async def ask(self, model, text):
        """Begins a chat with a question."""
        question = {
            "id": str(uuid.uuid4()),
            "parentId": None,
            "childrenIds": [],
            "role": "user",
            "user": {"id": self.id, "name": self.name},
            "user_id": self.id,
            "content": text,
            "timestamp": int(time.time()),
            "models": [model],
        }
        answer = Answer(model, question)
        question["childrenIds"].append(answer.id)
        await self.send(answer)
        return answer

    async def regenerate(self, answer, model):
        """Asks the same question again in the same chat."""
        again = Answer(model, answer.question, answer.chat_id)
        again.question["childrenIds"].append(again.id)
        await self.send(again)
        return again

    async def begun(self, answer, characters):
        """Waits until so many characters of the text have arrived."""
        text = ""

        def more(event):
            nonlocal text
            text += text_of(event)
            return len(text) >= characters

        await self.until(answer.chat_id, f"{characters} characters", more)

    async def finished(self, answer):
        """Waits until the answer has ended and the title, the tags and the next questions were asked for."""
        await self.until(answer.chat_id, "the title", lambda event: event["type"] == "chat:title")
        await self.until(
            answer.chat_id,
            "the end",
            lambda event: event["type"] == "chat:active" and not event["data"]["active"],
        )

    async def stop(self, answer):
        """The stop button."""
        await self.request("POST", f"/api/tasks/chat/{answer.chat_id}/stop")
        await self.until(answer.chat_id, "the stop", lambda event: event["type"] == "chat:tasks:cancel")

    async def stored(self, answer):
        """The message as Open WebUI has stored it."""
        chat = await self.request("GET", f"/api/v1/chats/{answer.chat_id}")
        return chat["chat"]["history"]["messages"][answer.id]

    async def leave_a_stream(self, model):
        """Calls Open WebUI's API as a program does, and goes away after the first text."""
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Policz do dwustu."}]}
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.http.post("/api/chat/completions", json=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                if b'"content"' in line:
                    return
        raise AssertionError("the stream ended before there was any text")


def text_of(event):
    """The text in an event of an answer that arrives."""
    delta = event["type"] == "response:completion" and event["data"].get("type") == "response.output_text.delta"
    return event["data"]["delta"] if delta else ""
