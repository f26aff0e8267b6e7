"""What every agent framework must be able to do through the router, as claims.

`langchain_cases.py`, `pydantic_ai_cases.py`, `openai_agents_cases.py` and `ai_sdk_cases.mjs` prove them. What the
agents are asked, and which calls their model makes then, is in `conversations.json`.
"""

LOOP = "a conversation of four turns calls its tools and ends"
STREAMED_LOOP = "a streamed conversation of four turns calls its tools and ends"
TAKEOVER = "another vendor takes over in the middle of a turn and hands back"
STREAMED_TAKEOVER = "another vendor takes over in the middle of a streamed turn and hands back"
PICTURE = "a picture can be part of the question"
TYPED = "a typed answer is an instance of its type"
STREAMED_TYPED = "a typed answer can be streamed"
TYPED_AFTER_CALLS = "a typed answer can follow tool calls"
TYPED_BY_TOOL = "a typed answer can come as a tool call"

EVERYWHERE = (LOOP, STREAMED_LOOP, TAKEOVER, STREAMED_TAKEOVER, PICTURE, TYPED, TYPED_AFTER_CALLS)
LANGCHAIN = (*EVERYWHERE, TYPED_BY_TOOL)
PYDANTIC_AI = (*EVERYWHERE, TYPED_BY_TOOL, STREAMED_TYPED)
OPENAI_AGENTS = (*EVERYWHERE, STREAMED_TYPED)
AI_SDK = (*EVERYWHERE, STREAMED_TYPED)
