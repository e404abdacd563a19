"""Bad requests: both functions must reject each, name the place, and change nothing.

tests/unit sends each to the app, and tests/integration sends it through the real server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

JSON = {"Content-Type": "application/json"}
LONG = "x" * 10_000
OPERATOR_TOKEN = {"Authorization": "Bearer token-of-an-operator"}
PAYMENT_TOKEN = {"Authorization": "Bearer token-of-a-payment-service"}
KEY = {"Idempotency-Key": "K1"}


@dataclass(frozen=True)
class BadRequest:
    name: str
    method: str
    path: str
    status: int
    named: str | None = None
    """The pointer, parameter or header that the problem must name."""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))


def _post(
    name: str, path: str, body: object, status: int, named: str | None, method: str = "POST"
) -> BadRequest:
    return BadRequest(name, method, path, status, named, json.dumps(body).encode())


def _raw(name: str, body: bytes, status: int = 400, named: str = "#") -> BadRequest:
    return BadRequest(name, "POST", "/orders", status, named, body)


def _order(name: str, status: int, named: str, /, **changes: Any) -> BadRequest:
    body = {"customer_id": "C1", "product_id": "P001", "quantity": 1} | changes
    wanted = {key: value for key, value in body.items() if value is not ...}
    return _post(name, "/orders", wanted, status, named)


def _items(name: str, items: object, status: int, named: str) -> BadRequest:
    return _post(name, "/orders", {"customer_id": "C1", "items": items}, status, named)


_ONE = {"product_id": "P001", "quantity": 1}
_GOOD = json.dumps({"customer_id": "C1", **_ONE}).encode()
_MANY_KEYS = b"{" + b"".join(b'"k%d":1,' % n for n in range(5000)) + b'"k4999":1}'

_CANCEL = "/orders/ORD00000000000000000000000000/cancel"
_FULFIL = "/orders/ORD00000000000000000000000000/fulfil"
_RETURN = "/orders/ORD00000000000000000000000000/return"
_CONFIRM = "/orders/ORD00000000000000000000000000/confirm"
_CHANGES: dict[str, dict[str, str]] = {
    _CANCEL: {},
    _FULFIL: OPERATOR_TOKEN,
    _RETURN: OPERATOR_TOKEN,
    _CONFIRM: PAYMENT_TOKEN,
}
"""The operations that change an order, each with a token that may do it."""
_SHOW = "/orders/ORD00000000000000000000000000"


def _sent(name: str, status: int, named: str, /, **headers: str) -> BadRequest:
    """A valid order with these headers."""
    given = JSON | {key.replace("_", "-"): value for key, value in headers.items()}
    return BadRequest(name, "POST", "/orders", status, named, _GOOD, given)


def _bodies(where: str, method: str, path: str, **headers: str) -> list[BadRequest]:
    """Bodies for an operation without a body."""
    bodies = {
        "items": b'{"items":[{"product_id":"P001","quantity":1}]}',
        "an empty object": b"{}",
        "no JSON": b"{not json",
        "a space": b" ",
    }
    return [
        BadRequest(f"{where} with {name}", method, path, 400, "#", body, JSON | headers)
        for name, body in bodies.items()
    ]


def _details(
    name: str, member: str, value: object, status: int = 422, place: str = ""
) -> BadRequest:
    """An order with a wrong value of one of its details."""
    return _order(name, status, f"#/{member}{place}", **{member: value})


_ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "12 St James's Square",
    "city": "London",
    "country": "GB",
}


def _address(name: str, status: int, place: str, /, **changes: object) -> BadRequest:
    address = {key: value for key, value in (_ADDRESS | changes).items() if value is not ...}
    return _details(name, "shipping_address", address, status, place)


def _change(
    path: str, name: str, status: int, named: str | None, body: object, /, **headers: str
) -> BadRequest:
    """A change of an order by a caller who may make it."""
    verb = path.rpartition("/")[2]
    given = JSON | KEY | _CHANGES[path] | headers
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return BadRequest(f"{verb}: {name}", "POST", path, status, named, data, given)


def _changes() -> list[BadRequest]:
    """Bodies that each change of an order must reject."""
    return [
        _change(path, name, status, named, body)
        for path in _CHANGES
        for name, status, named, body in (
            ("not JSON", 400, "#", b"{not json"),
            ("a space", 400, "#", b" "),
            ("not UTF-8", 400, "#", b'{"reason":"\xff"}'),
            ("a list", 400, "#", []),
            ("null", 400, "#", None),
            ("an unknown member", 400, "#/quantity", {"quantity": 1}),
            ("an empty reason", 422, "#/reason", {"reason": ""}),
            ("a reason of two lines", 422, "#/reason", {"reason": "a\nb"}),
            ("a reason of 201 characters", 422, "#/reason", {"reason": "x" * 201}),
            ("half a character as reason", 422, "#/reason", {"reason": "\ud800"}),
            ("a number as reason", 400, "#/reason", {"reason": 1}),
            ("null as reason", 400, "#/reason", {"reason": None}),
        )
    ]


def _parts(path: str) -> list[BadRequest]:
    """Items that a change of a part must reject."""
    one = {"line_id": "1", "quantity": 1}
    return [
        *(
            _change(path, name, status, f"#/items{place}", {"items": items})
            for name, status, place, items in (
                ("no items", 422, "", []),
                ("101 items", 422, "", [one] * 101),
                ("items not a list", 400, "", {"1": 1}),
                ("items null", 400, "", None),
                ("an item not an object", 400, "/0", ["1"]),
                ("an item without a line", 400, "/0/line_id", [{"quantity": 1}]),
                ("an item without a quantity", 400, "/0/quantity", [{"line_id": "1"}]),
                ("a product instead of a line", 400, "/0/product_id", [_ONE]),
                ("a number as line", 400, "/0/line_id", [one | {"line_id": 1}]),
                ("quantity 0", 422, "/0/quantity", [one | {"quantity": 0}]),
                ("quantity -1", 422, "/0/quantity", [one | {"quantity": -1}]),
                ("quantity 1.5", 422, "/0/quantity", [one | {"quantity": 1.5}]),
                ("quantity 10^12", 422, "/0/quantity", [one | {"quantity": 10**12}]),
                ("quantity as text", 400, "/0/quantity", [one | {"quantity": "1"}]),
                *(
                    (f"{line[:9]!r} as line", 422, "/0/line_id", [one | {"line_id": line}])
                    for line in ("", "0", "01", "1000", "P001", "\u0661", "1\n", LONG)
                ),
                ("a line twice", 422, "/1/line_id", [one, one | {"quantity": 2}]),
            )
        ),
        BadRequest(
            f"{path.rpartition('/')[2]}: items without a key",
            "POST",
            path,
            400,
            "Idempotency-Key",
            json.dumps({"items": [one]}).encode(),
            JSON | _CHANGES[path],
        ),
        _change(
            path, "a key with a comma", 422, "Idempotency-Key", {"items": [one]},
            **{"Idempotency-Key": "a,b"},
        ),
        _change(
            path, "text", 415, "Content-Type", {"items": [one]}, **{"Content-Type": "text/plain"}
        ),
        _change(path, "a body of 5 MB", 413, None, b" " * 5_000_000),
    ]  # fmt: skip


def _list(name: str, query: str, status: int, named: str, **headers: str) -> BadRequest:
    """A list of a customer's orders; of all orders with the operator's token."""
    query = query if headers else f"customer_id=C1&{query}"
    path = f"/orders?{query}"
    return BadRequest(f"a list with {name}", "GET", path, status, named, b"", JSON | headers)


_TIME = "2025-11-23T00:00:00Z"
_TIMES_THAT_ARE_NONE = {
    "no time": "x",
    "an empty time": "",
    "a day only": "2025-11-23",
    "no zone": "2025-11-23T00:00:00",
    "a space in the zone": "2025-11-23T00:00:00+00:00",  # an unescaped + is a space
    "a 30th of February": "2025-02-30T00:00:00Z",
    "24 o'clock": "2025-11-23T24:00:00Z",
    "nanoseconds": "2025-11-23T00:00:00.000000001Z",
    "seconds since 1970": "1763856000",
    "a year of five digits": "12025-11-23T00:00:00Z",
    "a time before all time": "0001-01-01T00:00:00%2B14:00",
    "Arabic digits": "%D9%A2025-11-23T00:00:00Z",
}

LISTS = [
    *(
        _list(f"{name} as {parameter}", f"{parameter}={value}", 422, parameter, **OPERATOR_TOKEN)
        for parameter in ("created_from", "created_to", "updated_since")
        for name, value in _TIMES_THAT_ARE_NONE.items()
    ),
    _list("an end at its beginning", f"created_from={_TIME}&created_to={_TIME}", 422, "created_to"),
    _list(
        "an end before its beginning",
        f"created_from={_TIME}&created_to=2025-11-23T01:00:00%2B02:00",
        422,
        "created_to",
    ),
    _list("an empty status", "status=", 422, "status"),
    _list("a comma at the end of status", "status=confirmed,", 422, "status"),
    _list("a space in status", "status=confirmed, pending", 422, "status"),
    _list("a capital letter in status", "status=Confirmed", 422, "status"),
    _list("the internal status", "status=abandoned", 422, "status"),
    _list("1,000 statuses", f"status={','.join(['pending'] * 400)}", 422, "status"),
    _list("status twice", "status=confirmed&status=pending", 400, "status"),
    _list("a product with a slash", "product_id=a/b", 422, "product_id"),
    _list("an empty product", "product_id=", 422, "product_id"),
    _list("a customer with a slash", "customer_id=a/b", 422, "customer_id", **OPERATOR_TOKEN),
    _list("an empty customer", "customer_id=", 422, "customer_id", **OPERATOR_TOKEN),
    _list("a customer's updated_since", f"updated_since={_TIME}", 422, "updated_since"),
    _list("a customer's order_id", "order_id=ORD", 422, "order_id"),
    *(
        _list(f"{prefix or 'nothing'} as order_id", f"order_id={prefix}", 422, "order_id",
              **OPERATOR_TOKEN)
        for prefix in ("", "O", "ord0", "ORDU", "ORD0.0", "ORD" + "0" * 27, "__x__", "ORD%FF")
    ),
    *(
        _list(f"{name} and {other}", f"{name}={mine}&{other}={value}", 422, name, **OPERATOR_TOKEN)
        for name, mine in (("updated_since", _TIME), ("order_id", "ORD0"))
        for other, value in {
            "customer_id": "C1",
            "status": "pending",
            "created_from": _TIME,
            "created_to": _TIME,
            "product_id": "P001",
        }.items()
    ),
    _list(
        "updated_since and order_id",
        f"updated_since={_TIME}&order_id=ORD0",
        422,
        "updated_since",
        **OPERATOR_TOKEN,
    ),
    _list("a cursor of orders by id", "cursor=WyJPUkQxIl0", 422, "cursor", **OPERATOR_TOKEN),
    _list(
        "a cursor of changes", "cursor=WyJjaGFuZ2VkIiwiMSIsIk9SRDEiLCIyIl0", 422, "cursor",
        **OPERATOR_TOKEN,
    ),
    _list(
        "a broken cursor of changes",
        f"updated_since={_TIME}&cursor=WyJjaGFuZ2VkIiwiMSIsIk9SRDEiLCIyIl0",
        422,
        "cursor",
        **OPERATOR_TOKEN,
    ),
    *(
        _list("a short cursor of changes", f"updated_since={_TIME}&cursor={cursor}", 422, "cursor",
              **OPERATOR_TOKEN)
        for cursor in ("W10", "WyJjaGFuZ2VkIl0", "WzFd", "e30", "bnVsbA")
    ),
]  # fmt: skip


def _queries(*operations: tuple[str, str], **headers: str) -> list[BadRequest]:
    """An unknown query parameter, which the operation must reject."""
    return [
        BadRequest(
            f"{method} {path} with an unknown parameter",
            method,
            f"{path}{'&' if '?' in path else '?'}dry_run=true",
            400,
            "dry_run",
            _GOOD if (method, path) == ("POST", "/orders") else b"",
            JSON | headers,
        )
        for method, path in operations
    ]


ORDER = [
    _raw("no body", b""),
    *_changes(),
    *(each for path in (_CANCEL, _FULFIL, _RETURN) for each in _parts(path)),
    BadRequest(
        "return: no body and no key",
        "POST",
        _RETURN,
        400,
        "Idempotency-Key",
        b"",
        JSON | OPERATOR_TOKEN,
    ),
    _change(_CONFIRM, "items", 400, "#/items", {"items": [{"line_id": "1", "quantity": 1}]}),
    _change(_CONFIRM, "an actor of the payment service", 422, "#/actor", {"actor": "Anna"}),
    _change(_CANCEL, "an actor of a customer", 422, "#/actor", {"actor": "Anna"}),
    *(
        _change(path, f"{name} as actor", status, "#/actor", {"actor": actor}, **OPERATOR_TOKEN)
        for path in _CHANGES
        for name, status, actor in (
            ("nothing", 422, ""),
            ("129 characters", 422, "x" * 129),
            ("two lines", 422, "a\nb"),
            ("a number", 400, 7),
        )
    ),
    *LISTS,
    *_bodies("showing an order", "GET", _SHOW),
    *_bodies("listing orders", "GET", "/orders?customer_id=C1"),
    *_bodies("the catalogue", "GET", "/products"),
    *_bodies("a product", "GET", "/products/P001"),
    *_bodies("health", "GET", "/health"),
    *_bodies("the description", "GET", "/openapi.json"),
    *_bodies("the documentation", "GET", "/docs"),
    *_bodies("the page's script", "GET", "/page.js"),
    *_bodies("the page", "GET", "/", Accept="text/html"),
    *_queries(
        ("POST", "/orders"),
        ("GET", "/orders?customer_id=C1"),
        ("GET", _SHOW),
        ("POST", _CANCEL),
        ("GET", "/products"),
        ("GET", "/products/P001"),
        ("GET", "/health"),
        ("GET", "/openapi.json"),
    ),
    *_queries(("POST", _FULFIL), ("POST", _RETURN), ("POST", _CONFIRM), **OPERATOR_TOKEN),
    *_queries(("POST", "/customers/C1/erase"), **OPERATOR_TOKEN),
    *_bodies("erasing a customer", "POST", "/customers/C1/erase", **OPERATOR_TOKEN),
    *(
        BadRequest(
            f"erasing the customer {name}",
            "POST",
            f"/customers/{name}/erase",
            404,
            None,
            b"",
            JSON | OPERATOR_TOKEN,
        )
        for name in ("erased", "a%20b", "__all__", "x" * 129)
    ),
    _order("the reserved customer", 422, "#/customer_id", customer_id="erased"),
    BadRequest(
        "a list of the reserved customer", "GET", "/orders?customer_id=erased", 422, "customer_id"
    ),
    *(
        BadRequest(
            f"an export with {name}",
            "GET",
            f"/orders?{name}=2026-01-01T00:00:00Z",
            422,
            name,
            b"",
            OPERATOR_TOKEN | {"Accept": "application/x-ndjson"},
        )
        for name in ("limit", "cursor", "updated_since")
    ),
    *_queries(("POST", _CONFIRM), **PAYMENT_TOKEN),
    BadRequest("a parameter without a name", "GET", "/products?=1", 400, "(empty name)"),
    BadRequest("a parameter of another case", "GET", "/products?Limit=1", 400, "Limit"),
    BadRequest("a query of 5 kB", "GET", f"/products?cursor={'x' * 5000}", 414),
    BadRequest("a query of 5 kB for the page", "GET", f"/page.js?x={'x' * 5000}", 414),
    BadRequest("1,000 parameters", "GET", f"/products?{'limit=1&' * 500}", 400, "limit"),
    _sent(
        "a charset that is not UTF-8",
        415,
        "Content-Type",
        Content_Type="application/json; charset=latin-1",
    ),
    _sent(
        "UTF-16 as charset", 415, "Content-Type", Content_Type='application/json;charset="utf-16"'
    ),
    _sent(
        "two charsets",
        415,
        "Content-Type",
        Content_Type="application/json; charset=utf-8; charset=utf-7",
    ),
    _sent(
        "the content type twice",
        415,
        "Content-Type",
        Content_Type="application/json,application/json",
    ),
    _sent("two content types", 415, "Content-Type", Content_Type="application/json;, text/plain"),
    _sent(
        "a content type of 5 kB",
        415,
        "Content-Type",
        Content_Type="application/json" + "; a=b" * 1000,
    ),
    _sent("another JSON type", 415, "Content-Type", Content_Type="application/problem+json"),
    *(
        _sent(f"{coding} as encoding", 415, "Content-Encoding", Content_Encoding=coding)
        for coding in ("gzip", "br", "x", "identity, gzip", "identity, identity", "GZIP")
    ),
    _raw("a duplicate of 60 kB of keys", _MANY_KEYS, 400, "#"),
    _raw("a key of 10 kB", b'{"' + b"k" * 10_000 + b'":1}'),
    _raw("a fraction of 200 digits", b'{"quantity":1.' + b"0" * 200 + b"}"),
    _raw("not JSON", b"{"),
    _raw("two values", b"{} {}"),
    _raw("not UTF-8", b'{"customer_id":"\xff"}'),
    _raw("UTF-16", _GOOD.decode().encode("utf-16")),
    _raw("a byte order mark", b"\xef\xbb\xbf" + _GOOD),
    _raw("half a character in a key", b'{"a\\ud800":1,"customer_id":"C1"}'),
    _raw("a slash in an unknown key", b'{"a/b~c":1}', 400, "#/a~1b~0c"),
    _raw(
        "other characters in an unknown key", '{"a %\u00e9#":1}'.encode(), 400, "#/a%20%25%C3%A9%23"
    ),
    _raw("NaN", b'{"customer_id":"C1","product_id":"P001","quantity":NaN}'),
    _raw("the same key twice", b'{"customer_id":"C1","customer_id":"C2"}'),
    _raw("nested too deeply", b"[" * 60_000),
    _raw("a number of 5,000 digits", b'{"customer_id":"C1","quantity":' + b"9" * 5000 + b"}"),
    _raw("a list", b"[]"),
    _raw("null", b"null"),
    _raw("a string", b'"order"'),
    _order("no customer", 400, "#/customer_id", customer_id=...),
    _order("a number as customer", 400, "#/customer_id", customer_id=5),
    _order("null as customer", 400, "#/customer_id", customer_id=None),
    _order("empty customer", 422, "#/customer_id", customer_id=""),
    _order("customer with a slash", 422, "#/customer_id", customer_id="a/b"),
    _order("customer of 10 kB", 422, "#/customer_id", customer_id=LONG),
    _order("customer with a line break", 422, "#/customer_id", customer_id="C1\n"),
    _order("half a surrogate pair", 422, "#/customer_id", customer_id="\ud800"),
    _order("no product", 400, "#/product_id", product_id=...),
    _order("no quantity", 400, "#/quantity", quantity=...),
    _order("product with a slash", 422, "#/product_id", product_id="../orders"),
    _order("product of 10 kB", 422, "#/product_id", product_id=LONG),
    _order("a name that Firestore reserves", 422, "#/product_id", product_id="__x__"),
    _order("two dots", 422, "#/product_id", product_id=".."),
    _order("quantity 0", 422, "#/quantity", quantity=0),
    _order("quantity -1", 422, "#/quantity", quantity=-1),
    _order("quantity 1.5", 422, "#/quantity", quantity=1.5),
    _order("quantity 10^12", 422, "#/quantity", quantity=10**12),
    _raw(
        "quantity 1e400",
        b'{"customer_id":"C1","product_id":"P001","quantity":1e400}',
        422,
        "#/quantity",
    ),
    _raw("a number beyond all bounds", b'{"quantity":1e9999999999999999999}'),
    _order("quantity as text", 400, "#/quantity", quantity="2"),
    _order("quantity true", 400, "#/quantity", quantity=True),
    _order("quantity null", 400, "#/quantity", quantity=None),
    _order("an unknown field", 400, "#/qty", qty=1),
    _order("both forms", 400, "#", items=[_ONE]),
    _items("no items", [], 422, "#/items"),
    _items("101 items", [_ONE] * 101, 422, "#/items"),
    _items("1,000 items", [_ONE] * 1000, 422, "#/items"),
    _items("items not a list", {"P001": 1}, 400, "#/items"),
    _items("an item not an object", ["P001"], 400, "#/items/0"),
    _items("an unknown field in an item", [_ONE | {"price": 1}], 400, "#/items/0/price"),
    _items("a field missing in an item", [_ONE, {"quantity": 1}], 400, "#/items/1/product_id"),
    _items("a bad quantity in an item", [_ONE, _ONE | {"quantity": 0}], 422, "#/items/1/quantity"),
    _items("too many in all", [_ONE | {"quantity": 600_000}] * 2, 422, "#/items"),
    BadRequest("a form", "POST", "/orders", 415, "Content-Type", _GOOD, {}),
    BadRequest(
        "text", "POST", "/orders", 415, "Content-Type", _GOOD, {"Content-Type": "text/plain"}
    ),
    BadRequest(
        "an empty key",
        "POST",
        "/orders",
        422,
        "Idempotency-Key",
        _GOOD,
        JSON | {"Idempotency-Key": ""},
    ),
    BadRequest(
        "a key of 10 kB",
        "POST",
        "/orders",
        422,
        "Idempotency-Key",
        _GOOD,
        JSON | {"Idempotency-Key": "k" * 5000},
    ),
    BadRequest(
        "two keys, joined as a server joins them",
        "POST",
        "/orders",
        422,
        "Idempotency-Key",
        _GOOD,
        JSON | {"Idempotency-Key": "a,b"},
    ),
    BadRequest("a body of 5 MB", "POST", "/orders", 413, None, b" " * 5_000_000),
    BadRequest("wrong method", "DELETE", "/orders", 405),
    BadRequest("wrong method on an order", "PUT", "/orders/ORD1", 405),
    BadRequest("wrong path", "GET", "/order", 404),
    BadRequest("a trailing slash", "GET", "/orders/", 404),
    BadRequest("a double slash", "GET", "/orders//cancel", 404),
    BadRequest("an invalid id", "GET", "/orders/42", 404),
    BadRequest("an id with a slash", "GET", "/orders/ORD%2F1", 404),
    BadRequest("an id that is not UTF-8", "GET", "/orders/%ff%00", 404),
    BadRequest("cancelling an invalid id", "POST", "/orders/42/cancel", 404),
    BadRequest("reading a change", "GET", _RETURN, 405),
    _order("a customer's member of staff", 400, "#/actor", actor="Anna"),
    _details("hold_seconds 0", "hold_seconds", 0),
    _details("hold_seconds -1", "hold_seconds", -1),
    _details("hold_seconds 1.5", "hold_seconds", 1.5),
    _details("a hold of 31 days", "hold_seconds", 31 * 24 * 3600),
    _details("hold_seconds as text", "hold_seconds", "900", 400),
    _details("hold_seconds true", "hold_seconds", True, 400),
    _details("hold_seconds null", "hold_seconds", None, 400),
    _details("an empty reference", "reference", ""),
    _details("a blank reference", "reference", " "),
    _details("a reference of 129 characters", "reference", "x" * 129),
    _details("a reference of two lines", "reference", "a\nb"),
    _details("a number as reference", "reference", 7, 400),
    _details("an empty note", "note", ""),
    _details("a note of blank lines", "note", "\n \n"),
    _details("a note of 1,001 characters", "note", "x" * 1001),
    _details("a note with a carriage return", "note", "a\r\nb"),
    _details("a note with a tab", "note", "a\tb"),
    _details("a note that changes direction", "note", "a\u202eb"),
    _details("half a character in a note", "note", "a\n\udfff"),
    _details("a note not a string", "note", ["a"], 400),
    _details("metadata not an object", "metadata", ["a"], 400),
    _details("51 members of metadata", "metadata", {f"k{n}": "v" for n in range(51)}),
    _details("a metadata value not a string", "metadata", {"gift": True}, 400),
    _details("nested metadata", "metadata", {"a": {"b": "c"}}, 400),
    _details("an empty metadata value", "metadata", {"a": ""}, 422, "/a"),
    _details("a metadata value of 501 characters", "metadata", {"a": "x" * 501}, 422, "/a"),
    _details("a metadata value of two lines", "metadata", {"a": "b\nc"}, 422, "/a"),
    _details("a metadata name of 41 characters", "metadata", {"k" * 41: "v"}, 422, "/" + "k" * 41),
    _details("an empty metadata name", "metadata", {"": "v"}, 422, "/"),
    _order("a metadata name with a line break", 400, "#", metadata={"a\nb": "v"}),
    _details("a metadata name of Firestore", "metadata", {"__a__": "v"}, 422, "/__a__"),
    _order("half a character as metadata name", 400, "#", metadata={"\ud800": "v"}),
    _details(
        "a slash in a wrong metadata name",
        "metadata",
        {"/~" + "k" * 40: "v"},
        422,
        "/~1~0" + "k" * 40,
    ),
    _details(
        "other characters in a metadata name",
        "metadata",
        {'50% "\u00e9"^': ""},
        422,
        "/50%25%20%22%C3%A9%22%5E",
    ),
    _details("an address not an object", "shipping_address", "London", 400),
    _address("an address without a name", 400, "/name", name=...),
    _address("an address without a country", 400, "/country", country=...),
    _address("an unknown member of an address", 400, "/street", street="x"),
    _address("a country in small letters", 422, "/country", country="gb"),
    *(
        _address(f"the country {country!r}", 422, "/country", country=country)
        for country in ("A1", "A ", "A\n", "ÄÖ")
    ),
    _address("a country of three letters", 422, "/country", country="GBR"),
    _address("a country of Greek letters", 422, "/country", country="\u0393\u0392"),
    _address("an empty city", 422, "/city", city=""),
    _address("a street of two lines", 422, "/line1", line1="a\nb"),
    _address("a name of 201 characters", 422, "/name", name="x" * 201),
    _address("half a character in a name", 422, "/name", name="\ud800"),
    _address("a null phone", 400, "/phone", phone=None),
    BadRequest("a list without a customer", "GET", "/orders", 400, "customer_id"),
    BadRequest("an invalid customer", "GET", "/orders?customer_id=a/b", 422, "customer_id"),
    BadRequest("two customers", "GET", "/orders?customer_id=a&customer_id=b", 400, "customer_id"),
    BadRequest("an unknown parameter", "GET", "/orders?customer_id=C1&page=2", 400, "page"),
    BadRequest("an invalid status", "GET", "/orders?customer_id=C1&status=x", 422, "status"),
    BadRequest("limit 0", "GET", "/orders?customer_id=C1&limit=0", 422, "limit"),
    BadRequest("limit 201", "GET", "/orders?customer_id=C1&limit=201", 422, "limit"),
    BadRequest("limit x", "GET", "/orders?customer_id=C1&limit=x", 422, "limit"),
    BadRequest("an invalid cursor", "GET", "/orders?customer_id=C1&cursor=x", 422, "cursor"),
    BadRequest(
        "another list's cursor", "GET", "/orders?customer_id=C1&cursor=WyJQMDAxIl0", 422, "cursor"
    ),
    BadRequest(
        "a cursor before all time",
        "GET",
        "/orders?customer_id=C1&cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwiT1JEMSJd",
        422,
        "cursor",
    ),
    BadRequest("an invalid product id", "GET", "/products/__x__", 404),
]


def _product(name: str, status: int, named: str, /, **changes: Any) -> BadRequest:
    body = {"name": "Laptop", "price": 1} | changes
    return _post(name, "/products/P001", body, status, named, "PUT")


def _patch(name: str, status: int, named: str, body: object) -> BadRequest:
    return _post(name, "/products/P001", body, status, named, "PATCH")


def _import(name: str, status: int, named: str | None, body: bytes, **headers: str) -> BadRequest:
    sent = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "bad"} | {
        key.replace("_", "-"): value for key, value in headers.items()
    }
    return BadRequest(name, "POST", "/products:import", status, named, body, sent)


def _condition(name: str, header: str, value: str, method: str = "PATCH") -> BadRequest:
    body = b"" if method == "GET" else b'{"name":"x","price":1}'
    headers = JSON | {header: value}
    return BadRequest(name, method, "/products/P001", 422, header, body, headers)


def _adjustment(name: str, status: int, named: str, /, **changes: Any) -> BadRequest:
    body = json.dumps({"delta": 1, "reason": "x"} | changes).encode()
    path, headers = "/products/P001/adjustments", JSON | {"Idempotency-Key": "bad"}
    return BadRequest(name, "POST", path, status, named, body, headers)


def _reservation(name: str, items: object, status: int, named: str) -> BadRequest:
    return _post(name, "/reservations/R", {"items": items}, status, named, "PUT")


def _movement(name: str, status: int, named: str, /, **changes: Any) -> BadRequest:
    body = {"kind": "release", "items": [_ONE]} | changes
    return _post(name, _MOVEMENT, body, status, named, "PUT")


def _numbered(name: str, seq: str) -> BadRequest:
    body = {"kind": "release", "items": [_ONE]}
    return _post(name, f"/reservations/R/movements/{seq}", body, 422, "seq", "PUT")


def _ids(name: str, ids: object, status: int, named: str) -> BadRequest:
    return _post(name, "/reservations:release", {"ids": ids}, status, named)


def _reservations(name: str, reservations: object, status: int, named: str) -> BadRequest:
    return _post(name, "/reservations:reserve", {"reservations": reservations}, status, named)


def _named(*items: object, reservation_id: str = "R") -> dict[str, object]:
    return {"reservation_id": reservation_id, "items": list(items)}


_STOCK = "/products/P001/adjustments"
_MOVEMENT = "/reservations/R/movements/1"

INVENTORY = [
    *_bodies("the catalogue", "GET", "/products"),
    *_bodies("a product", "GET", "/products/P001"),
    *_bodies("availability", "GET", "/products/P001/availability"),
    *_bodies("adjustments", "GET", _STOCK),
    *_bodies("the ledger", "GET", "/products/P001/ledger"),
    *_bodies("a reservation", "GET", "/reservations/R"),
    *_bodies("health", "GET", "/health"),
    *_queries(
        ("GET", "/products"),
        ("GET", "/products/P001"),
        ("PUT", "/products/P001"),
        ("PATCH", "/products/P001"),
        ("POST", "/products:import"),
        ("GET", "/products/P001/availability"),
        ("GET", _STOCK),
        ("POST", _STOCK),
        ("GET", "/products/P001/ledger"),
        ("PUT", "/reservations/R"),
        ("GET", "/reservations/R"),
        ("PUT", _MOVEMENT),
        ("POST", "/reservations:reserve"),
        ("POST", "/reservations:confirm"),
        ("POST", "/reservations:release"),
        ("POST", "/reservations:consume"),
        ("GET", "/health"),
        ("GET", "/openapi.json"),
    ),
    _product("a price with three decimals", 422, "#/price", price=9.999),
    _product("a price below zero", 422, "#/price", price=-1),
    _product("a price beyond bounds", 422, "#/price", price=10**11),
    _product("a price as text", 400, "#/price", price="9.99"),
    _product("no name", 422, "#/name", name=""),
    _product("a blank name", 422, "#/name", name=" "),
    _product("a name of 10 kB", 422, "#/name", name=LONG),
    _product("a name with a line break", 422, "#/name", name="a\nb"),
    _product("a name of half a character", 422, "#/name", name="\udfff"),
    _product("a name that shows nothing", 422, "#/name", name="\u200b\u00ad"),
    _product("a blank name of Braille", 422, "#/name", name="\u2800"),
    _product("a name of a Hangul filler", 422, "#/name", name="\u3164"),
    _product("a name with a line separator", 422, "#/name", name="a\u2028b"),
    _product("a name that turns direction", 422, "#/name", name="a\u202eb"),
    _product("a name of tags", 422, "#/name", name="a\U000e0041"),
    _product("stock in the catalogue", 400, "#/available_quantity", available_quantity=5),
    _product("active as a number", 400, "#/active", active=1),
    BadRequest(
        "a price of a million digits",
        "PUT",
        "/products/P001",
        422,
        "#/price",
        b'{"name":"x","price":1e-999999}',
    ),
    _post(
        "a reserved name", "/products/__x__", {"name": "x", "price": 1}, 422, "product_id", "PUT"
    ),
    _product("a limit of 0", 422, "#/max_per_order", max_per_order=0),
    _product("a limit as text", 400, "#/max_per_order", max_per_order="5"),
    _product("half a unit as threshold", 422, "#/low_stock_threshold", low_stock_threshold=0.5),
    _patch("no field to change", 422, "#", {}),
    _patch("a price below zero in a patch", 422, "#/price", {"price": -1}),
    _patch("null as name", 400, "#/name", {"name": None}),
    _patch("null as active", 400, "#/active", {"active": None}),
    _patch("stock in a patch", 400, "#/available_quantity", {"available_quantity": 5}),
    _patch("a limit below zero", 422, "#/max_per_order", {"max_per_order": -1}),
    _patch("a threshold beyond bounds", 422, "#/low_stock_threshold", {"low_stock_threshold": 1e9}),
    _patch("a patch that is a list", 400, "#", []),
    _condition("a tag without quotes", "If-Match", "x"),
    _condition("half a tag", "If-Match", '"x', "PUT"),
    _condition("an asterisk among tags", "If-None-Match", '"x", *', "PUT"),
    _condition("tags of 5 kB", "If-Match", ",".join(['"x"'] * 1250)),
    _condition("an invalid tag of a copy", "If-None-Match", "x", "GET"),
    BadRequest("active that is no flag", "GET", "/products?active=1", 422, "active"),
    BadRequest("no ids at all", "GET", "/products?ids=", 422, "ids"),
    BadRequest("an invalid id among ids", "GET", "/products?ids=P001,a%2Fb", 422, "ids"),
    BadRequest("101 ids of products", "GET", f"/products?ids={'P,' * 100}Q", 422, "ids"),
    BadRequest("an empty prefix", "GET", "/products?name_prefix=", 422, "name_prefix"),
    BadRequest("a negative stock", "GET", "/products?max_available=-1", 422, "max_available"),
    BadRequest(
        "two filters with an order",
        "GET",
        "/products?max_available=1&name_prefix=a",
        422,
        "name_prefix",
    ),
    BadRequest("the same filter twice", "GET", "/products?active=true&active=false", 400, "active"),
    BadRequest(
        "a cursor of another order",
        "GET",
        "/products?max_available=1&cursor=WyJQMDAxIl0",
        422,
        "cursor",
    ),
    _import("an import without lines", 422, "#", b""),
    _import("an import of 5,001 lines", 422, "#", b"{}\n" * 5001),
    _import("an import of 2 MB", 413, None, b" " * 2_000_000),
    _import("an import as JSON", 415, "Content-Type", b"{}", Content_Type="application/json"),
    _import("a compressed import", 415, "Content-Encoding", b"{}", Content_Encoding="gzip"),
    _import("an import with an invalid key", 422, "Idempotency-Key", b"{}", Idempotency_Key="a,b"),
    BadRequest(
        "an import without a key",
        "POST",
        "/products:import",
        400,
        "Idempotency-Key",
        b"{}",
        {"Content-Type": "application/x-ndjson"},
    ),
    _adjustment("delta 0", 422, "#/delta", delta=0),
    _adjustment("delta 1.5", 422, "#/delta", delta=1.5),
    _adjustment("delta beyond bounds", 422, "#/delta", delta=-(10**12)),
    _adjustment("no reason", 422, "#/reason", reason=""),
    _adjustment("a reason that shows nothing", 422, "#/reason", reason="\u2060"),
    _adjustment("a reference with a paragraph separator", 422, "#/reference", reference="a\u2029"),
    _adjustment("an actor that turns direction", 422, "#/actor", actor="\u2066a"),
    _adjustment("a reference as a number", 400, "#/reference", reference=7),
    _post(
        "no key", "/products/P001/adjustments", {"delta": 1, "reason": "x"}, 400, "Idempotency-Key"
    ),
    _reservation("no items", [], 422, "#/items"),
    _reservation("1,000 items", [_ONE] * 1000, 422, "#/items"),
    _reservation("quantity 0", [_ONE | {"quantity": 0}], 422, "#/items/0/quantity"),
    _reservation("quantity 1.5", [_ONE | {"quantity": 1.5}], 422, "#/items/0/quantity"),
    _reservation("an unknown field", [_ONE | {"price": 1}], 400, "#/items/0/price"),
    _reservation("too many in all", [_ONE | {"quantity": 600_000}] * 2, 422, "#/items"),
    _post(
        "an id too long",
        f"/reservations/{'r' * 129}",
        {"items": [_ONE]},
        422,
        "reservation_id",
        "PUT",
    ),
    _movement("a movement of an unknown kind", 422, "#/kind", kind="ship"),
    _movement("a movement of a long kind", 422, "#/kind", kind=LONG),
    _movement("a movement whose kind is a number", 400, "#/kind", kind=1),
    _movement("a movement without items", 422, "#/items", items=[]),
    _movement("a movement of 101 items", 422, "#/items", items=[_ONE] * 101),
    _movement(
        "a movement of quantity 0", 422, "#/items/0/quantity", items=[_ONE | {"quantity": 0}]
    ),
    _movement(
        "a movement of too many in all", 422, "#/items", items=[_ONE | {"quantity": 600_000}] * 2
    ),
    _movement("a movement with an unknown field", 400, "#/seq", seq=1),
    _post("a movement without a kind", _MOVEMENT, {"items": [_ONE]}, 400, "#/kind", "PUT"),
    _numbered("movement 0", "0"),
    _numbered("movement -1", "-1"),
    _numbered("movement 01", "01"),
    _numbered("movement 1.0", "1.0"),
    _numbered("movement x", "x"),
    _numbered("a movement with an Arabic number", "%D9%A1"),
    _numbered("movement 1,000,000,000", "1000000000"),
    _numbered("a movement whose number has 5,000 digits", "9" * 5000),
    BadRequest("a movement without a number", "PUT", "/reservations/R/movements/", 404),
    BadRequest("reading a movement", "GET", _MOVEMENT, 405),
    _reservations("no reservations", [], 422, "#/reservations"),
    _reservations("a reservation of no items", [_named()], 422, "#/reservations/0/items"),
    _reservations("101 items in all", [_named(*[_ONE] * 51)] * 2, 422, "#/reservations"),
    _reservations(
        "one of two with quantity 0",
        [_named(_ONE), _named(_ONE | {"quantity": 0})],
        422,
        "#/reservations/1/items/0/quantity",
    ),
    _reservations(
        "one of two with an invalid id",
        [_named(_ONE), _named(_ONE, reservation_id="a/b")],
        422,
        "#/reservations/1/reservation_id",
    ),
    _reservations(
        "a reservation without items", [{"reservation_id": "R"}], 400, "#/reservations/0/items"
    ),
    _reservations(
        "100 reservations that are all wrong",
        [_named(reservation_id="")] * 100,
        422,
        "#/reservations/0/items",
    ),
    _reservations(
        "1,500 reservations",
        [{"reservation_id": "", "items": []}] * 1500,
        422,
        "#/reservations",
    ),
    _ids("no ids", [], 422, "#/ids"),
    _ids("ids not a list", "R", 400, "#/ids"),
    _ids("an invalid id", ["R", "a/b"], 422, "#/ids/1"),
    _ids("51 ids", [f"R{n}" for n in range(51)], 422, "#/ids"),
    BadRequest("a body of 5 MB", "PUT", "/products/P001", 413, None, b" " * 5_000_000),
    BadRequest("wrong method", "DELETE", "/products/P001", 405),
    BadRequest("an unknown verb", "POST", "/reservations:sell", 404),
    BadRequest("quantity 0", "GET", "/products/P001/availability?quantity=0", 422, "quantity"),
    BadRequest("an empty limit", "GET", "/products?limit=", 422, "limit"),
    BadRequest("an invalid cursor", "GET", "/products?cursor=x", 422, "cursor"),
    BadRequest("a cursor of 2 kB", "GET", f"/products?cursor={'W' * 2000}", 422, "cursor"),
    BadRequest(
        "a cursor after all time",
        "GET",
        "/products/P001/adjustments?cursor=WyIxMjM0NSJd",
        422,
        "cursor",
    ),
]


def check(bad: BadRequest, status: int, content_type: str | None, body: bytes) -> None:
    """The properties of every rejection."""
    assert status == bad.status, body
    assert content_type == "application/problem+json"
    problem = json.loads(body)
    assert {"type", "title", "status", "detail", "instance"} <= problem.keys()
    assert problem["status"] == status
    if bad.named is not None:
        places = [
            error.get("pointer") or error.get("parameter") or error.get("header")
            for error in problem["errors"]
        ]
        assert bad.named in places
        assert all(error["detail"] for error in problem["errors"])
