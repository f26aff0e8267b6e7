"""What every SDK must be able to do through the router, as claims. `python_cases.py` and `node_cases.mjs` prove them.

A claim that a language has no words for is in that language's list only.
"""

EVERYWHERE = (
    "a chat completion names what served it and its usage adds up",
    "a stream delivers the whole text under one id and one model",
    "a stream that was asked for usage ends with one chunk of it",
    "a stream that was not asked for usage never mentions it",
    "the stream helper collects the answer",
    "a tool call has an id, a name and arguments that are JSON",
    "tool results go back and are answered",
    "parallel tool calls have ids of their own",
    "streamed parallel tool calls add up by their index",
    "the stream helper collects parallel tool calls",
    "a JSON schema is kept",
    "a picture can be part of the question",
    "two pictures come as base64",
    "two pictures come as links that can be fetched",
    "one picture can be edited",
    "several pictures can be edited together",
    "a picture can be edited under a mask",
    "embeddings come as numbers although the wire has base64",
    "embeddings come as the numbers of the wire when floats are asked for",
    "embeddings have as many dimensions as were asked for",
    "a list of texts gives a vector for each, in order",
    "token ids give the vectors of an OpenAI upstream",
    "token ids for Gemini raise BadRequestError naming the switch",
    "an empty text raises BadRequestError naming its place",
    "models are listed",
    "a model is found by its name",
    "a direct target is found by its name with a slash",
    "a bad temperature raises BadRequestError naming the field",
    "a wrong key raises AuthenticationError",
    "an unknown model raises NotFoundError",
    "upstreams that are all rate limited raise RateLimitError with the wait",
    "a client that waits as told is answered once the limit has passed",
    "an exhausted quota raises RateLimitError and is not asked again",
    "upstreams that all fail raise InternalServerError and are not asked again",
    "a stall longer than the client's timeout raises its timeout error",
    "an upstream lost in mid-stream raises after the text so far",
    "an upstream that just stops in mid-stream raises after the text so far",
)
PYTHON = (
    *EVERYWHERE,
    "the asynchronous client chats and streams",
    "the parse helper gives a model instance",
    "the parse helper tells a cut answer",
    "the parse helper tells a filtered answer",
)
NODE = (*EVERYWHERE, "the tool runner runs to the final answer")
