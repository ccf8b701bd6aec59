"""Every error a client can meet: one table from exception to code, one from code to status.

A reply says {"error": {"code": ..., "message": ...}}: the code is for programs, the message for people.
"""

import json

import torch
from starlette.responses import Response

from fullconv.errors import FullconvError, InputError, PictureError, PictureFormatError, PictureTooLargeError

STATUS = {
    "bad_request": 400,
    "not_a_picture": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "slow_upload": 408,
    "too_large": 413,
    "unsupported_format": 415,
    "bad_field": 422,
    "client_gone": 499,
    "internal": 500,
    "not_ready": 503,
    "out_of_memory": 503,
    "queue_full": 503,
    "shutting_down": 503,
    "deadline_passed": 504,
    "storage_full": 507,
}
"""Code -> status. 499 is never sent: it stands in the log where a client hung up."""

CODES: dict[type[BaseException], str] = {
    PictureTooLargeError: "too_large",
    PictureFormatError: "unsupported_format",
    PictureError: "not_a_picture",
    InputError: "bad_field",
    MemoryError: "out_of_memory",
    torch.OutOfMemoryError: "out_of_memory",
}
"""What the package raises -> code; for other exceptions that of their nearest parent."""


class Refusal(FullconvError):
    """A request that is not answered as asked.

    Attributes:
        code: a key of `STATUS`.
        retry_after: seconds after which it may be tried again, where that may help.
        headers: further ones of the reply.
    """

    def __init__(
        self,
        code: str,
        message: str,
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = STATUS[code]
        self.retry_after = retry_after
        self.headers = headers or {}


def refusal_of(error: Exception) -> Refusal:
    """What a client is told of an exception; of one that nobody foresaw, nothing but that."""
    if isinstance(error, Refusal):
        return error
    code = next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), "internal")
    if code == "internal":
        return Refusal(code, "the service failed; its log says why, under the X-Request-Id of this reply")
    if code == "out_of_memory":
        return Refusal(code, "there is not memory enough now; try again later, or with a smaller picture", 5)
    return Refusal(code, " ".join(str(error).split()))


def error_reply(refusal: Refusal) -> Response:
    """
    >>> error_reply(Refusal("queue_full", "try again", retry_after=0.2)).headers["retry-after"]
    '1'
    """
    headers = dict(refusal.headers)
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(refusal.retry_after)))
    content = {"error": {"code": refusal.code, "message": str(refusal)}}
    return Response(json.dumps(content), refusal.status, headers, "application/json")
