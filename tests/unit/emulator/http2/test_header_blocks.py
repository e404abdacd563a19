"""Header blocks: a remembered block means the same as when it was read."""

import hpack
import pytest
from support.emulator.http2_peer import FIELDS

from firestore_emulator.http2 import header_blocks
from firestore_emulator.http2.requests import HeadReader


def test_encoded_fields_can_be_decoded_in_any_order() -> None:
    first = header_blocks.encode({":status": "200", "content-type": "application/grpc"})
    second = header_blocks.encode({"grpc-status": "0", "grpc-message": "é"})
    decoder = hpack.Decoder()
    for block in (second, first, first, second):
        decoder.decode(block, raw=True)
    decoded = dict(decoder.decode(first, raw=True))
    assert decoded == {b":status": b"200", b"content-type": b"application/grpc"}
    assert not decoder.header_table.dynamic_entries


def test_repeated_block_is_read_once() -> None:
    reader, encoder = HeadReader(), hpack.Encoder()
    blocks = [encoder.encode([*FIELDS.items(), ("x", "y")]) for _ in range(3)]
    heads = [reader.read(1, block) for block in blocks]
    assert blocks[1] == blocks[2]
    assert heads[1] is heads[2]
    assert heads[0] == heads[1]


@pytest.mark.parametrize(
    "change",
    [
        b"\x40\x01a\x01b",  # another entry
        b"\x40\x01x\x01y",  # the same entry once more
        b"\x40\x01a\x7f\x81\x1f" + b"z" * 4096,  # an entry that clears the table
        b"\x20",  # a table without entries
    ],
)
def test_index_is_read_anew_after_a_change_of_the_table(change: bytes) -> None:
    """The index means x: 1 first, and then whatever the change has made of it."""
    base = b"\x83\x86\x84"
    blocks = [base + b"\x40\x01x\x011", base + b"\xbe", base + b"\xbe"]
    blocks += [change + base if change == b"\x20" else base + change]
    reader, decoder = HeadReader(), hpack.Decoder()
    for block in blocks:
        assert reader.read(1, block).headers == as_headers(decoder.decode(block, raw=True))
    try:
        expected = as_headers(decoder.decode(base + b"\xbe", raw=True))
    except hpack.HPACKError:
        with pytest.raises(Exception, match="index"):
            reader.read(1, base + b"\xbe")
    else:
        assert reader.read(1, base + b"\xbe").headers == expected


def test_index_is_read_anew_after_an_entry_displaces_another() -> None:
    """The table has room for two entries, so their number stays the same."""
    reader, base = HeadReader(), b"\x83\x86\x84"
    values = [letter * 2000 for letter in (b"a", b"b", b"c")]
    for value in values:
        reader.read(1, base + b"\x40\x01x\x7f\xd1\x0e" + value)
        assert reader.read(1, base + b"\xbe").headers["x"] == value.decode()


def test_repeated_size_of_an_empty_table_is_applied_anew() -> None:
    """The client chooses the sizes 4096, 0 and 4096. Then it adds x: 1, and uses the entry."""
    reader, base = HeadReader(), b"\x83\x86\x84"
    whole, none = b"\x3f\xe1\x1f" + base, b"\x20" + base
    for block in (whole, none, whole, base + b"\x40\x01x\x011"):
        reader.read(1, block)
    assert reader.read(1, base + b"\xbe").headers["x"] == "1"


def as_headers(fields: object) -> dict[str, str]:
    return {
        bytes(name).decode(): bytes(value).decode()
        for name, value in fields  # type: ignore[attr-defined]
        if not name.startswith(b":")
    }


def test_repeated_header_is_joined() -> None:
    block = hpack.Encoder().encode([*FIELDS.items(), ("x", "1"), ("x", "2")])
    assert HeadReader().read(1, block).headers["x"] == "1,2"
