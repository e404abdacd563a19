"""A process that accepts events: ``python local/event_receiver.py PORT [--print]``.

With ``--print`` it prints a JSON line for each event, as the receiver in `knative/events` does,
and its time.
"""

from __future__ import annotations

import argparse
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._respond(200)

    def do_POST(self) -> None:
        self.accept(self.rfile.read(int(self.headers["Content-Length"])))
        self._respond(202)

    def accept(self, body: bytes) -> None:
        """Do nothing with the event."""

    def _respond(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Printer(Receiver):
    handled: set[str] = set()  # noqa: RUF012 - of the process: each connection has an instance
    lock = threading.Lock()

    def accept(self, body: bytes) -> None:
        """Print the event, and whether one with its id came before."""
        event_id = self.headers["ce-id"]
        line = {
            "message": "Event",
            "time": datetime.now(UTC).isoformat(),
            "id": event_id,
            "type": self.headers["ce-type"],
            "data": json.loads(body),
        }
        with self.lock:
            line["repeated"] = event_id in self.handled
            self.handled.add(event_id)
            print(json.dumps(line), flush=True)  # noqa: T201 - its output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--print", action="store_true", dest="prints")
    options = parser.parse_args()
    kind = Printer if options.prints else Receiver
    ThreadingHTTPServer(("127.0.0.1", options.port), kind).serve_forever()


if __name__ == "__main__":
    main()
