"""POST /v1/responses: a translation to the chat request and back. Responses are not stored.

body -> request (input, parts, tools) -> chat request -> as any other -> answer (output, events)
"""
