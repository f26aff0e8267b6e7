"""What can go wrong at an upstream, in the router's terms. Each class says what may happen next.

    ProviderError
      BadRequestError          400, 413, 422: the caller's request          stop      client sees 400
        UnsupportedFieldError  this upstream cannot express a field         failover  400
      ContextTooLongError      the prompt exceeds this model's window       failover  400
      ContentBlockedError      refused by a safety filter                   stop      400
      AuthenticationError      401, 403: OUR key                            failover  502
      ModelNotFoundError       404: OUR configuration                       failover  502
      RateLimitedError         429                                          failover  429
        QuotaExhaustedError    429 that will not pass within the request    failover  429
      UnavailableError         5xx, refused, reset, TLS, DNS                failover  502
      UpstreamTimeoutError     no first byte in time                        failover  504
      BadResponseError         200 that cannot be read, or an empty answer  failover  502
      ContinuationError        it does not go on from the text it was given failover  502
      StreamInterruptedError   after the first chunk was sent               stop      error event
    FetchError                 an address that somebody else wrote; never leaves the adapters and the edge

`failover`: may the next candidate be asked. `effect`: what health remembers ("none", "block" until
`retry_after_s`, or "failure" for the circuit breaker). Nothing is retryable by default.
"""

from decimal import Decimal
from typing import ClassVar, Literal

Effect = Literal["none", "block", "failure"]
Resend = Literal["same", "unsigned", "insist"]


REFUSED = "connect_refused"  # the outcome of a connection that was refused


class ProviderError(Exception):
    """One failed upstream attempt.

    `message` is safe to show to a client: no key, header value, upstream URL or prompt text.
    `status` is the upstream's HTTP status where there was one; `retry_after_s` what it asked us to wait;
    `billed` is True when the upstream may already have charged for the attempt, what it said of that stands in
    `cost_usd` or `tokens` (in, out); `dead` that nothing will come of it for certain, so that another attempt buys no
    second picture. `outcome` is the label the attempt carries in metrics. `resend` says how the same upstream may be
    asked once more before anyone else is: with the same request (the model slipped), with its thought signatures left
    out (one of them was refused), or with more insistence on a picture (it only talked).
    """

    failover: ClassVar[bool] = False
    effect: ClassVar[Effect] = "none"
    client_status: ClassVar[int] = 500
    client_type: ClassVar[str] = "server_error"
    client_code: ClassVar[str | None] = None
    default_outcome: ClassVar[str] = "error"

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
        code: str | None = None,
        param: str | None = None,
        outcome: str | None = None,
        billed: bool = False,
        dead: bool = False,
        resend: Resend | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.status = status
        self.retry_after_s = retry_after_s
        self.code = code if code is not None else self.client_code
        self.param = param
        self.outcome = outcome or self.default_outcome
        self.billed = billed
        self.dead = dead
        self.cost_usd: Decimal | None = None
        self.tokens: tuple[int, int] | None = None
        self.resend = resend


class BadRequestError(ProviderError):
    """The caller's request is at fault: the same body fails anywhere."""

    failover = False
    effect: ClassVar[Effect] = "none"
    client_status = 400
    client_type = "invalid_request_error"
    default_outcome = "client_error"


class UnsupportedFieldError(BadRequestError):
    """This upstream cannot express a field of the request; another one may."""

    failover = True
    client_code = "unsupported_parameter"
    default_outcome = "capability"


class ContextTooLongError(ProviderError):
    """The prompt exceeds this model's window; a larger one may take it."""

    failover = True
    effect: ClassVar[Effect] = "none"
    client_status = 400
    client_type = "invalid_request_error"
    client_code = "context_length_exceeded"
    default_outcome = "context_length"


class ContentBlockedError(ProviderError):
    """A safety filter refused. Asking elsewhere would be filter shopping, so it stops here."""

    failover = False
    effect: ClassVar[Effect] = "none"
    client_status = 400
    client_type = "invalid_request_error"
    client_code = "content_policy_violation"
    default_outcome = "filtered"


class AuthenticationError(ProviderError):
    """Our key was refused. Never shown as 401: the client would doubt its own key."""

    failover = True
    effect: ClassVar[Effect] = "block"
    client_status = 502
    client_code = "upstream_auth"
    default_outcome = "auth"


class ModelNotFoundError(ProviderError):
    """The upstream does not know the model we configured."""

    failover = True
    effect: ClassVar[Effect] = "block"
    client_status = 502
    client_code = "upstream_model_missing"
    default_outcome = "config"


class RateLimitedError(ProviderError):
    """429. The candidate is blocked until `retry_after_s` has passed; not a breaker failure."""

    failover = True
    effect: ClassVar[Effect] = "block"
    client_status = 429
    client_type = "requests"
    client_code = "rate_limit_exceeded"
    default_outcome = "rate_limited"


class QuotaExhaustedError(RateLimitedError):
    """A daily quota or spend cap: waiting within this request is pointless."""

    client_type = "insufficient_quota"
    client_code = "insufficient_quota"
    default_outcome = "quota"


class UnavailableError(ProviderError):
    """5xx, refused, reset, DNS or TLS failure before an answer."""

    failover = True
    effect: ClassVar[Effect] = "failure"
    client_status = 502
    client_code = "upstream_unavailable"
    default_outcome = "server_error"


class UpstreamTimeoutError(ProviderError):
    """No first byte (or no whole answer) in time."""

    failover = True
    effect: ClassVar[Effect] = "failure"
    client_status = 504
    client_code = "upstream_timeout"
    default_outcome = "timeout"


class BadResponseError(ProviderError):
    """A 200 that cannot be read, or an answer with nothing in it."""

    failover = True
    effect: ClassVar[Effect] = "failure"
    client_status = 502
    client_code = "upstream_bad_response"
    default_outcome = "bad_response"


class ContinuationError(ProviderError):
    """An answer that was to go on from a given text and does not, or not certainly. The upstream is not broken."""

    failover = True
    effect: ClassVar[Effect] = "none"
    client_status = 502
    client_code = "upstream_bad_response"
    default_outcome = "seam"


class StreamInterruptedError(ProviderError):
    """The upstream broke off after the first chunk had gone to the client."""

    failover = False
    effect: ClassVar[Effect] = "failure"
    client_status = 502
    client_code = "upstream_stream_interrupted"
    default_outcome = "interrupted"


class FetchError(Exception):
    """An address that somebody else wrote could not be fetched, or must not be (`blocked`).

    Not yet an upstream's failure nor a caller's: whoever asked for the fetch knows whose address it was and turns it
    into the error that fits. `message` is safe to show: it names the host at most.
    """

    def __init__(self, message: str, *, blocked: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.blocked = blocked
