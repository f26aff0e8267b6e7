"""What the scripts that prove claims with OpenAI's Python SDK share. Runs in an environment with that SDK alone."""

from collections.abc import Callable
from typing import Any


def raised(kind: type[Exception], ask: Callable[[], Any]) -> Any:
    """The exception that `ask` raises, which must be exactly `kind`."""
    try:
        answer = ask()
    except Exception as exc:
        if type(exc) is not kind:
            raise
        return exc
    raise AssertionError(f"nothing was raised; the answer was {str(answer)[:200]}")
