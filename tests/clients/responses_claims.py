"""What OpenAI's SDKs must be able to do through `POST /v1/responses`, as claims. `python_responses.py` and
`node_responses.mjs` prove them.
"""

EVERYWHERE = (
    "a response names what served it and its usage adds up",
    "a stream tells the whole text in numbered events",
    "the stream helper collects the response",
    "instructions and a conversation are understood",
    "a loop with parallel calls runs to the answer",
    "a streamed loop with parallel calls runs to the answer",
    "a loop carries what the model needs in encrypted reasoning",
    "a custom tool is called with free text",
    "a JSON schema is kept",
    "the parse helper gives a typed answer",
    "a picture can be part of the question",
    "an answer cut by its limit is incomplete",
    "a filtered answer says so",
    "a bad temperature raises BadRequestError naming the field",
    "a reference to an earlier response raises BadRequestError saying what to do",
    "a response cannot be fetched later",
    "a wrong key raises AuthenticationError",
    "an unknown model raises NotFoundError",
    "upstreams that are all rate limited raise RateLimitError with the wait",
    "upstreams that all fail raise InternalServerError and are not asked again",
    "a stall longer than the client's timeout raises its timeout error",
    "an upstream lost in mid-stream raises after the text so far",
    "an upstream that just stops in mid-stream raises after the text so far",
    "a broken stream is repaired from Gemini to an OpenAI upstream, every word once",
    "a broken stream is repaired from an OpenAI upstream to Gemini, every word once",
    "a broken stream that is buffered comes whole, every word once",
)
PYTHON = (*EVERYWHERE, "the asynchronous client asks and streams")
NODE = EVERYWHERE
