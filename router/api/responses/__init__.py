"""POST /v1/responses: a translation to the chat request and back. The router keeps no responses.

body -> request (input, parts, tools) -> chat request -> as any other -> answer (output, events)
"""
