"""The checksum has the values of RFC 3720, and of the bytewise definition for any length."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firestore_emulator.managed_export.crc32c import crc32c, masked_crc32c


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_checksum_has_the_published_value(data: bytes, checksum: int) -> None:
    assert crc32c(data) == checksum


@settings(deadline=None)  # the first checksum makes its tables
@given(st.binary(max_size=40))
def test_checksum_is_that_of_the_bitwise_definition(data: bytes) -> None:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    assert crc32c(data) == crc ^ 0xFFFFFFFF


def test_mask_is_that_of_leveldb() -> None:
    crc = crc32c(b"foo")
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    assert masked_crc32c(b"foo") == (rotated + 0xA282EAD8) % 2**32
