"""The floor: the least that any router on this stack must do. Same server and client, the same translation, no more.

    python floor.py HOST PORT UPSTREAM_BASE_URL

No framework, routing, key check, failover, time limit, accounting, metrics or log. `/gemini` and `/openai` translate to
these wires and back as the adapters do; `/relay` is an OpenAI upstream whose bytes pass through unread, under a model's
name of its own: what a router could save that believes whatever an upstream says.
"""

import sys

import aiohttp
import msgspec
import orjson
import uvicorn

from providers.catalogue import ModelInfo
from providers.gemini.request import to_generate_content
from providers.gemini.response import from_generate_content
from providers.gemini.stream import ChunkTranslator as GeminiChunks
from providers.gemini.translated import Reading
from providers.openai.request import to_chat_body
from providers.openai.response import from_chat_completion
from providers.openai.stream import ChunkTranslator as OpenAIChunks
from providers.sse import EventDecoder
from providers.types import ChatRequest
from router.api.sse import DONE, HEADERS, ChunkRenderer

top_level = msgspec.json.Decoder(dict[str, msgspec.Raw])
info = ModelInfo(name="gemini-3.5-flash-lite")


class Floor:
    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            connector = aiohttp.TCPConnector(limit=0)
            self.session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
            return await send({"type": "lifespan.startup.complete"})
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        raw = top_level.decode(body)
        stream, wire = "stream" in raw, scope["path"][1:]
        if wire == "relay":
            url, out = f"{base}/v1/chat/completions", msgspec.json.encode({**raw, "model": "bench"})
        else:
            fields = {
                name: orjson.loads(bytes(value))
                for name, value in raw.items()
                if name not in ("model", "messages", "stream")
            }
            asked = ChatRequest(model="bench", messages_json=bytes(raw["messages"]), fields=fields, stream=stream)
            if wire == "gemini":
                call = "streamGenerateContent?alt=sse" if stream else "generateContent"
                url, out = f"{base}/v1beta/models/bench:{call}", orjson.dumps(to_generate_content(asked, info).body)
            else:
                url, out = f"{base}/v1/chat/completions", to_chat_body(asked, "bench", info)
        async with self.session.post(url, data=out, headers={"content-type": "application/json"}) as response:
            if stream:
                await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
                reads = response.content.iter_any()
                async for data in reads if wire == "relay" else self.translated(reads, wire):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                return await send({"type": "http.response.body"})
            answer = await response.read()
        if wire != "relay":
            if wire == "gemini":
                chat = from_generate_content(answer, model="bench", mint=str)
            else:
                chat = from_chat_completion(answer, model="bench", new_id=str)
            choices, usage = list(chat.choices), chat.usage.to_openai()
            answer = orjson.dumps({"id": chat.id, "model": chat.model, "choices": choices, "usage": usage})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        return await send({"type": "http.response.body", "body": answer})

    async def translated(self, reads, wire):
        decoder, translator = EventDecoder(), GeminiChunks(Reading(), str) if wire == "gemini" else OpenAIChunks(str)
        renderer = ChunkRenderer("chatcmpl-floor", 0, "bench", include_usage=False)
        async for data in reads:
            yield renderer.render([chunk for event in decoder.feed(data) for chunk in translator.feed(event)])
        yield renderer.render(translator.finish()) + DONE


if __name__ == "__main__":
    base = sys.argv[3]
    uvicorn.run(
        Floor(),
        host=sys.argv[1],
        port=int(sys.argv[2]),
        http="httptools",
        loop="uvloop",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
    )
