"""The handler that writes log lines of concurrent threads together."""

import io
import json
import logging
import threading

import pytest

from functions_common.observability.logs import JsonFormatter, JsonHandler

SECONDS = 10.0


class SlowStream(io.StringIO):
    """Holds each write until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.may_end = threading.Semaphore(0), threading.Semaphore(0)
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.began.release()
        assert self.may_end.acquire(timeout=SECONDS)
        self.writes.append(text)
        return len(text)


def handler_of(stream: io.StringIO) -> JsonHandler:
    handler = JsonHandler(stream)
    handler.setFormatter(JsonFormatter())
    return handler


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("functions", logging.INFO, "", 0, message, None, None)


def started(handler: JsonHandler, message: str) -> threading.Thread:
    thread = threading.Thread(target=handler.handle, args=(record(message),))
    thread.start()
    return thread


def messages(text: str) -> list[str]:
    return [json.loads(line)["message"] for line in text.splitlines()]


def test_lines_of_other_threads_are_written_by_the_thread_that_writes() -> None:
    stream = SlowStream()
    handler = handler_of(stream)
    writer = started(handler, "first")
    assert stream.began.acquire(timeout=SECONDS)
    handler.handle(record("second"))  # returns, although the first write has not ended
    handler.handle(record("third"))
    stream.may_end.release(2)
    writer.join(SECONDS)
    assert [messages(each) for each in stream.writes] == [["first"], ["second", "third"]]


def test_every_line_of_many_threads_is_written_once_and_whole() -> None:
    stream = io.StringIO()
    handler = handler_of(stream)

    def log(thread: int) -> None:
        for n in range(200):
            handler.handle(record(f"{thread}-{n}"))

    threads = [threading.Thread(target=log, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(SECONDS)
    written = messages(stream.getvalue())
    assert sorted(written) == sorted(f"{thread}-{n}" for thread in range(8) for n in range(200))
    for thread in range(8):
        own = [each for each in written if each.startswith(f"{thread}-")]
        assert own == [f"{thread}-{n}" for n in range(200)]


def test_threads_wait_when_too_many_lines_wait() -> None:
    stream = SlowStream()
    handler = handler_of(stream)
    handler.MAX_WAITING = 2
    writer = started(handler, "first")
    assert stream.began.acquire(timeout=SECONDS)
    handler.handle(record("second"))
    handler.handle(record("third"))
    late = started(handler, "fourth")
    late.join(0.1)
    assert late.is_alive()
    stream.may_end.release(3)
    late.join(SECONDS)
    writer.join(SECONDS)
    assert messages("".join(stream.writes)) == ["first", "second", "third", "fourth"]


class StreamThatLogs(io.StringIO):
    """Stands for threads that log a line during each write."""

    handler: JsonHandler

    def write(self, text: str) -> int:
        self.handler.handle(record("another"))
        return super().write(text)


def test_writer_leaves_further_lines() -> None:
    stream = StreamThatLogs()
    stream.handler = handler = handler_of(stream)
    handler.handle(record("first"))
    assert messages(stream.getvalue()) == ["first", "another"]
    handler.write_left()
    assert messages(stream.getvalue()) == ["first", "another", "another"]
    handler.flush()
    assert messages(stream.getvalue()) == ["first", "another", "another", "another"]


def test_left_lines_are_not_waited_for_while_a_thread_writes() -> None:
    """A slow reader of the log must not stop the server's main thread."""
    stream = SlowStream()
    handler = handler_of(stream)
    writer = started(handler, "first")
    assert stream.began.acquire(timeout=SECONDS)
    handler.handle(record("second"))
    main = threading.Thread(target=handler.write_left)
    main.start()
    main.join(SECONDS / 10)
    waited = main.is_alive()
    stream.may_end.release(2)
    writer.join(SECONDS)
    main.join(SECONDS)
    assert not waited
    assert messages("".join(stream.writes)) == ["first", "second"]


class StreamThatFailsOnce(io.StringIO):
    failed = False

    def write(self, text: str) -> int:
        if not self.failed:
            self.failed = True
            raise OSError("the disk is full")
        return super().write(text)


def test_lines_are_written_again_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)  # no report on standard error
    stream = StreamThatFailsOnce()
    handler = handler_of(stream)
    handler.handle(record("lost"))
    handler.handle(record("written"))
    assert messages(stream.getvalue()) == ["written"]


class StreamThatFailsLater(StreamThatLogs):
    """Stands for a disk that becomes full, or a pipe that is closed, while lines are waiting."""

    error: Exception | None = None

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize(
    "error",
    [OSError("the disk is full"), ValueError("closed file"), AttributeError("no sys.stderr")],
)
def test_left_lines_that_cannot_be_written_are_lost(error: Exception) -> None:
    """The server's main thread writes them: an error of the log would end the process."""
    stream = StreamThatFailsLater()
    stream.handler = handler = handler_of(stream)
    handler.handle(record("first"))  # leaves one line
    stream.error = error
    handler.write_left()
    stream.error = None
    handler.handle(record("written"))
    assert messages(stream.getvalue())[2:] == ["written", "another"]


def test_handler_has_a_lock_that_logging_can_enter() -> None:
    """The ``handle`` of Python 3.13 enters it without a check for None."""
    handler = handler_of(io.StringIO())
    assert handler.lock is not None
    with handler.lock:
        assert handler.handle(logging.makeLogRecord({"msg": "inside"}))
