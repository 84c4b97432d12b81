"""A file's bytes, changed at random: as disks, networks and editors damage them, or by intent.

All of it is harmless: bytes and numbers are changed, nothing is made for anybody's faults.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from random import Random
from typing import Any

Mutation = Callable[[bytes, Random], bytes]

PAGE = b"<!DOCTYPE html>\n<html><body><h1>404 Not Found</h1></body></html>\n"
EXTREMES = [
    n.to_bytes(width, order)
    for width in (1, 2, 4, 8)
    for order in ("big", "little")
    for n in (0, 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1)
]
WORDS = [
    *(b"", b"0", b"-1", b"3", b"2.5", b"1e999", b"-0", b"nan", b"NaN", b"Infinity", b"1" * 30),
    *(b"1" * 5000, b"null", b"true", b'"x"', b"[]", b"{}", b"[" * 3000, b'{"a":' * 3000, b"#"),
    *(b"\0", b"\xff", "é٣²".encode(), b"\xef\xbb\xbf", b"\r", b"\n", b",", b'"', b"x", b"1_0"),
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 3, 2**31, 2**63, 10**12, 10**30, 0.5, -2.5, 1e300),
    *(math.inf, math.nan, "", "x", "0.1", "\x00", [], [[]], {}, [0, 1], ["x"]),
]


def flip_a_bit(content: bytes, draw: Random) -> bytes:
    i = draw.randrange(len(content))
    return content[:i] + bytes([content[i] ^ 1 << draw.randrange(8)]) + content[i + 1 :]


def change_a_byte(content: bytes, draw: Random) -> bytes:
    i = draw.randrange(len(content))
    return content[:i] + draw.randbytes(1) + content[i + 1 :]


def write_an_extreme(content: bytes, draw: Random) -> bytes:
    """A number that is 0, 1, or the largest or smallest of its width."""
    i, number = _near_the_start(content, draw), draw.choice(EXTREMES)
    return content[:i] + number + content[i + len(number) :]


def cut_the_end(content: bytes, draw: Random) -> bytes:
    return content[: draw.randrange(len(content))]


def cut_the_start(content: bytes, draw: Random) -> bytes:
    return content[draw.randrange(len(content)) :]


def leave_out(content: bytes, draw: Random) -> bytes:
    a, b = _part(content, draw)
    return content[:a] + content[b:]


def double(content: bytes, draw: Random) -> bytes:
    a, b = _part(content, draw)
    return content[:b] + content[a:]


def make_zero(content: bytes, draw: Random) -> bytes:
    a, b = _part(content, draw)
    return content[:a] + bytes(b - a) + content[b:]


def put_in(content: bytes, draw: Random) -> bytes:
    i = draw.randrange(len(content) + 1)
    return content[:i] + draw.randbytes(draw.randint(1, 9)) + content[i:]


def exchange(content: bytes, draw: Random) -> bytes:
    a, b, c = sorted(draw.randrange(len(content) + 1) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def add_after_the_end(content: bytes, draw: Random) -> bytes:
    return content + draw.choice([b"\0", bytes(512), b"\n", draw.randbytes(5), content, PAGE])


def replace_it_all(content: bytes, draw: Random) -> bytes:
    return draw.choice([b"", PAGE, PAGE[2:], draw.randbytes(64), bytes(64), content[:1] * 99])


def change_a_word(content: bytes, draw: Random) -> bytes:
    """A number or a name of a text becomes another, or something that is none."""
    found = list(re.finditer(rb"[\w.+-]+", content))
    if not found:
        return flip_a_bit(content, draw)
    word = draw.choice(found)
    other = draw.choice([*WORDS, draw.choice(found)[0]])
    return content[: word.start()] + other + content[word.end() :]


def change_an_object(content: bytes, draw: Random) -> bytes:
    """A JSON object, if there is one, with another value somewhere, or without it."""
    text = content.decode("latin1")
    starts = [place.start() for place in re.finditer(r"^\{", text, re.M)]
    if not starts:
        return change_a_word(content, draw)
    start = draw.choice(starts)
    try:
        found, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return change_a_word(content, draw)
    _change_inside(found, draw)
    return (text[:start] + json.dumps(found) + text[end:]).encode("latin1")


def _change_inside(found: Any, draw: Random) -> None:
    """Replace, take out, or add to something in a nest of lists and dictionaries."""
    keys = list(found) if isinstance(found, dict) else list(range(len(found)))
    if not keys:
        return
    key = draw.choice(keys)
    inner = found[key]
    if isinstance(inner, dict | list) and inner and draw.random() < 0.7:
        _change_inside(inner, draw)
    elif draw.random() < 0.2:
        del found[key]
    elif isinstance(found, dict) and draw.random() < 0.2:
        found[draw.choice(["x", "lr", "__class__", *map(str, keys)])] = inner
    else:
        found[key] = draw.choice([*VALUES, inner, [inner], {"x": inner}, found[draw.choice(keys)]])


ANYWHERE: list[Mutation] = [
    *(flip_a_bit, change_a_byte, write_an_extreme, cut_the_end, cut_the_start, leave_out),
    *(double, make_zero, put_in, exchange, add_after_the_end, replace_it_all, change_a_word),
    *(change_an_object, change_an_object),
]


def mutated(content: bytes, draw: Random) -> bytes:
    """``content`` after one to three changes."""
    for _ in range(draw.choice([1, 1, 2, 3])):
        content = draw.choice(ANYWHERE)(content or b"\0", draw)
    return content


def _near_the_start(content: bytes, draw: Random) -> int:
    """Every other time within the first 64 bytes, where headers are."""
    return draw.randrange(min(64, len(content)) if draw.random() < 0.5 else len(content))


def _part(content: bytes, draw: Random) -> tuple[int, int]:
    """Where a part of at most 64 bytes, or one of any length, begins and ends."""
    a = draw.randrange(len(content))
    longest = len(content) - a
    return a, a + draw.randint(1, min(64, longest) if draw.random() < 0.7 else longest)
