"""CRC-32C, the checksum of the LevelDB log format. Four bytes in a step: about 20 MB a second."""

import struct
from functools import cache

_POLYNOMIAL = 0x82F63B78  # Castagnoli, with reversed bits
_ALL_ONES = 0xFFFFFFFF
_MASK_DELTA = 0xA282EAD8


def masked_crc32c(data: bytes) -> int:
    """The checksum as the format stores it, so that a checksum of checksums stays a good one."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & _ALL_ONES


def crc32c(data: bytes) -> int:
    by_byte, low_half, high_half = _tables()
    count, rest = divmod(len(data), 4)
    crc = _ALL_ONES
    for word in struct.unpack_from(f"<{count}I", data):
        mixed = crc ^ word
        crc = low_half[mixed & 0xFFFF] ^ high_half[mixed >> 16]
    for byte in data[len(data) - rest :]:
        crc = by_byte[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ _ALL_ONES


@cache
def _tables() -> tuple[list[int], list[int], list[int]]:
    """The effect of each byte, and of each half of a word when four bytes are shifted out."""
    by_byte = [_shifted(byte) for byte in range(256)]
    high_half = [_two_bytes(half, by_byte) for half in range(65536)]
    low_half = [_two_bytes(shifted, by_byte) for shifted in high_half]
    return by_byte, low_half, high_half


def _shifted(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc


def _two_bytes(crc: int, by_byte: list[int]) -> int:
    crc = by_byte[crc & 0xFF] ^ crc >> 8
    return by_byte[crc & 0xFF] ^ crc >> 8
