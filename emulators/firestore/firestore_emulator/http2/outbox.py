"""Writes the frames of a connection, within the windows of the peer and the transport's buffer.

Streams that have more data than their turn allows take turns, a frame each.
"""

import asyncio
from typing import Protocol

from firestore_emulator.http2 import frames
from firestore_emulator.http2.frames import ConnectionFailure, ErrorCode


class Sender(Protocol):
    """A stream that has data to send."""

    @property
    def can_send(self) -> bool:
        """Whether it has data, and the peer accepts data on this stream."""

    def write_frame(self) -> None: ...


class Outbox:
    def __init__(self, transport: asyncio.Transport) -> None:
        self.window = frames.INITIAL_WINDOW  # bytes of data that the peer accepts on all streams
        self.initial_stream_window = frames.INITIAL_WINDOW
        self.max_frame = frames.MIN_MAX_FRAME
        self.write = transport.write
        self.is_paused = False
        self._waiting: dict[Sender, None] = {}

    @property
    def is_busy(self) -> bool:
        """Whether data has to wait."""
        return self.is_paused or bool(self._waiting)

    def add(self, sender: Sender) -> None:
        self._waiting[sender] = None

    def remove(self, sender: Sender) -> None:
        self._waiting.pop(sender, None)

    def flush(self) -> None:
        while self._waiting and self.window > 0 and not self.is_paused:
            sender = next(iter(self._waiting))
            del self._waiting[sender]
            sender.write_frame()
            if sender.can_send:
                self._waiting[sender] = None

    def widen(self, increment: int) -> None:
        self.window += increment
        if self.window > frames.MAX_WINDOW:
            raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "the window is too large")
        self.flush()

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False
        self.flush()
