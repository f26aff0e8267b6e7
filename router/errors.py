"""What the router itself can refuse or fail at.

RouterError
  SettingsError            a configuration that cannot be used (start-up and reload only; exit code 2)
  InvalidRequestError 400  the request is malformed: `param` names the field
    BodyTooLargeError 413
    UnsupportedMediaTypeError 415
  UnauthorizedError   401
  ForbiddenError      403
  UnknownModelError   404
  NotFoundError       404
  NoCandidateError    400 when a constraint of the caller left none, 503 when health did
  AllBlockedError     429 every candidate is blocked; carries the true wait
  OverloadedError     429 / 503
  AllAttemptsFailedError   the status of its last attempt; carries all of them
"""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct


class Problem(Struct, frozen=True, order=True):
    """One thing wrong with a configuration file. `line` is 1-based, 0 when there is none to name."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class RouterError(Exception):
    """A refusal or failure of the router's own. The message is safe to show to a client."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if param is not None:
            self.param = param
        if code is not None:
            self.code = code


class SettingsError(RouterError):
    """The configuration cannot be used; `problems` says why, one line each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class InvalidRequestError(RouterError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_value"


class BodyTooLargeError(InvalidRequestError):
    status = 413
    code = "request_too_large"


class UnsupportedMediaTypeError(InvalidRequestError):
    status = 415
    code = "unsupported_media_type"


class UnauthorizedError(RouterError):
    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class ForbiddenError(RouterError):
    status = 403
    type = "invalid_request_error"
    code = "forbidden"


class UnknownModelError(RouterError):
    status = 404
    type = "invalid_request_error"
    code = "model_not_found"


class NotFoundError(RouterError):
    status = 404
    type = "invalid_request_error"
    code = "not_found"


class OverloadedError(RouterError):
    """Too much work is under way here; it is not the upstream's fault."""

    status = 429
    type = "requests"
    code = "router_overloaded"
    retry_after_s = 1.0
