"""An example of a receiver of events: it prints each event as a JSON line.

An event may come several times, with the same id. A receiver that must act once keeps the ids that
it has handled in a database of its own. This one keeps them in memory while its pod lives.
"""

import json

import functions_framework
from cloudevents.http import from_http

handled: set[str] = set()


@functions_framework.http
def receive(request):  # noqa: ANN001, ANN201 - Flask's request and response
    event = from_http(request.headers, request.get_data())
    repeated = event["id"] in handled
    handled.add(event["id"])
    line = {"message": "Event", "id": event["id"], "type": event["type"], "repeated": repeated}
    print(json.dumps(line | {"data": event.data}), flush=True)  # noqa: T201 - its output
    return "", 204  # a broker takes a body for another event
