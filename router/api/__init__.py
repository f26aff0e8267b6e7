"""The HTTP edge: the only code that knows FastAPI and Starlette."""
