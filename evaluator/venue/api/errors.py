"""What can go wrong between us and a host of the venue. The class says whether to try again.

Messages name host and path, never the parameters: these hold wallets.
"""

from evaluator.domain.errors import PermanentError, TransientError


class VenueError(Exception):
    """The venue did not give what was asked. Every subclass is permanent or transient."""

    code = "venue"


class RequestRefusedError(VenueError, PermanentError):
    """The host understood the request and refuses it (4xx), or sends us elsewhere (3xx)."""

    code = "venue_refused"
    hint = "the venue's API may have changed: see docs/venue.md and the host's own words"

    def __init__(self, endpoint: str, status: int, said: str = "") -> None:
        self.endpoint, self.status, self.said = endpoint, status, said
        super().__init__(f"{endpoint} answered {status}{f': {said}' if said else ''}")


class NotFoundError(RequestRefusedError):
    """The host knows no such thing (404)."""

    code = "venue_not_found"
    hint = "check the base URL of the host and the id that was asked for"


class VenueFaultError(VenueError, TransientError):
    """A request failed in a way that may pass; `retry_after_s` is the host's wish, if any."""

    code = "venue_fault"
    hint = "the venue may be down or slow; what has been read is kept, so run it again later"

    def __init__(self, endpoint: str, problem: str, retry_after_s: float | None = None) -> None:
        self.endpoint, self.problem, self.retry_after_s = endpoint, problem, retry_after_s
        super().__init__(f"{endpoint}: {problem}")


class RateLimitedError(VenueFaultError):
    """The host says that we ask too often (429)."""

    code = "venue_rate_limited"
    hint = "other programs may use the same address; lower the share of the budget"


class VenueUnavailableError(VenueFaultError):
    """The host failed (5xx, 408, 425), or could not be reached."""

    code = "venue_unavailable"


class VenueTimeoutError(VenueFaultError):
    """The host did not answer in time."""

    code = "venue_timeout"


class MalformedAnswerError(VenueFaultError):
    """The answer is cut short, no JSON, too large, or of another shape than documented."""

    code = "venue_malformed"
    hint = "if it stays so, the venue's API has changed: see docs/venue.md"


class PagingError(VenueFaultError):
    """A listing does not advance: its cursor comes back, or page after page brings nothing new."""

    code = "venue_paging"


class DeadlineExceededError(VenueFaultError):
    """All attempts together took longer than a request may take."""

    code = "venue_deadline"


class CircuitOpenError(VenueFaultError):
    """The host failed so often in a row that nothing is asked of it for a while."""

    code = "venue_circuit_open"

    def __init__(self, endpoint: str, host: str, wait_s: float) -> None:
        self.host, self.wait_s = host, wait_s
        problem = f"not asked, {host} keeps failing; the next trial is in {wait_s:.0f} s"
        super().__init__(endpoint, problem, wait_s)
