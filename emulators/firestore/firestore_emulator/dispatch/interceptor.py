"""Run code before and after every call. The call log and the injected faults use this."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import Message


@dataclass(slots=True)
class Call:
    method: str
    request: Message | None = None  # set when it is parsed; None if the client streams requests


# Entered before the request is parsed, and left when the method has ended. At that moment a single
# response is not sent yet, but the responses of a stream are. The call's error passes through it.
CallInterceptor: TypeAlias = Callable[[Call], AbstractAsyncContextManager[None]]
