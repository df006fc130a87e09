"""A table of large values that occur more than once in what is stored of a run. Replay-sensitive.

A loop over a list of 1 MB has that list in a variable, in its frame, in the undo log and in the input of its step.
Equal values above `SHARED_BYTES` are written once, into a table by digest, and each occurrence is a reference:

    {"context": {"rows": [1, 2, …]}, "frame": {"items": [1, 2, …]}}     becomes
    ["h1x…", [1, 2, …]]
    {"context": {"rows": {"$shared": "h1x…"}}, "frame": {"items": {"$shared": "h1x…"}}}

Values in the table refer to the table as well. An object that only looks like a reference is wrapped into one more,
`{"$literal": [key, value]}`. Reading gives all occurrences of a value the same object.

With `chunk_bytes`, long lists and texts are taken out, into chunks that are stored on their own, by their content. A
list that grows at its end has the same chunks as before, and new ones behind them: only these are stored once more.

    {"collected": [1, 2, 3, 4, 5]}     becomes
    chunks [1, 2] and [3, 4]
    {"collected": {"$joined": [{"$shared": "c0"}, {"$shared": "c1"}, [5]]}}
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

SHARED_BYTES = 1_000
"""Values above this size, as JSON, are shared."""
CONTAINERS = (dict, list, tuple)
STORED = (*CONTAINERS, str)
SHARED, LITERAL, JOINED = "$shared", "$literal", "$joined"
MAX_CHUNKED_BYTES = 8 * 1_048_576
"""Of the lists and texts that are taken out: chunks hold values that occur in several of them more than once."""
SIMPLE = frozenset((str, int, float, bool, type(None)))
GROUP = 64
"""Short items of a list that are written at once: one by one, 3 million numbers took 2.8 s, and so 0.3 s."""


class ValuesTooLarge(Exception):
    """The values to be written are larger than the table may measure."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a container or a text; the reference to it keeps its identity from being used again."""

    value: Any
    token: str
    """Its JSON, or the digest of a large one. No JSON begins with `h`, so only equal values have equal tokens."""
    size: int
    large_parts: tuple["_Known", ...] = ()
    needs_rewriting: bool = False
    """A small part looks like a reference."""


class ValueTable:
    """Collects the values that are about to be written."""

    def __init__(self, max_bytes: int | None = None, chunk_bytes: int | None = None) -> None:
        self.max_bytes = max_bytes
        """Size of different values above which measuring raises ValuesTooLarge: measuring takes time, too."""
        self.chunk_bytes = chunk_bytes
        """Size that a chunk has at least; without it, nothing is taken out."""
        self.chunks: dict[str, str] = {}
        """The names of the chunks that `dump` has taken out, by their JSON."""
        self._chunked_bytes = 0
        self.measured = 0
        """Size of the different values measured so far."""
        self.shared: dict[str, Any] = {}
        """The values that occur more than once, by digest, as `dump` has found them: parts before the whole."""
        self._known: dict[int, _Known] = {}
        self._tokens: set[str] = set()
        self._counts: dict[str, int] = {}

    def add_whole(self, value: Any) -> None:
        """Measure a container without looking for equal values in it, which takes time for each of its parts."""
        text = _dump(value)
        self._add_measured(len(text))
        self._known[id(value)] = _Known(value, _hash(text), len(text), needs_rewriting='"$' in text)

    def measure(self, value: Any) -> int:
        """Return the size of a value as JSON without references."""
        return self._look_up(value).size

    def measure_new(self, value: Any) -> int:
        """Return the bytes that writing a value adds to those measured before."""
        before = self.measured
        self._look_up(value)
        return min(self.measured - before, self._look_up(value).size)

    def dump(self, value: Any) -> str:
        """Return JSON lines: `[digest, value]` for each shared value, then the value itself."""
        self.shared.clear()
        self.chunks.clear()
        self._counts.clear()
        self._chunked_bytes = 0
        self._count(self._look_up(value))
        content = self._write(value)
        return "\n".join([*(_dump(entry) for entry in self.shared.items()), _dump(content)])

    def _write(self, value: Any) -> Any:
        """Return a counted value as JSON with references to `shared`."""
        if not isinstance(value, STORED):
            return value
        known = self._look_up(value)
        if self._counts.get(known.token, 1) == 1:
            return self._write_content(known)
        if known.token not in self.shared:
            self.shared[known.token] = self._write_content(known)
        return {SHARED: known.token}

    def _count(self, known: _Known) -> None:
        """Count the occurrences of large values; those inside of one that occurs again are not written again."""
        if known.size > SHARED_BYTES:
            count = self._counts[known.token] = self._counts.get(known.token, 0) + 1
            for part in known.large_parts if count == 1 else ():
                self._count(part)

    def _write_content(self, known: _Known) -> Any:
        value = known.value
        if (reference := self._take_out(known)) is not None:
            return reference
        if isinstance(value, str) or not (known.large_parts or known.needs_rewriting):
            return value
        if not isinstance(value, dict):
            return [self._write(item) for item in value]
        content = {name: self._write(item) for name, item in value.items()}
        return {LITERAL: [*content.popitem()]} if _looks_reserved(content) else content

    def _take_out(self, known: _Known) -> dict[str, Any] | None:
        """Return what a long list or text is written as; `None` where it is not taken out."""
        value = known.value
        if self.chunk_bytes is None or known.size <= self.chunk_bytes or isinstance(value, dict):
            return None
        if not isinstance(value, str):
            return {JOINED: self._split(value, self.chunk_bytes)}
        return self._add_chunk(_dump(value)) if self._chunked_bytes + known.size <= MAX_CHUNKED_BYTES else None

    def _split(self, items: list[Any] | tuple[Any, ...], chunk_bytes: int) -> list[Any]:
        """Return the parts of a list: where a chunk ends depends on the items before that alone."""
        parts: list[Any] = []
        remaining: list[Any] = []
        texts: list[str] = []
        size = count = 0
        for begin in range(0, len(items), GROUP):
            group = items[begin : begin + GROUP]
            together = _dump_short(group, chunk_bytes // 16)
            if together is not None and len(group) < GROUP:
                remaining += group  # a chunk that ends here would not when more items follow
                break
            for part in [group] if together is not None else ([item] for item in group):
                remaining += part
                length = len(together) if together is not None else self._measure_item(part[0])
                if length > chunk_bytes or self._chunked_bytes + size + length > MAX_CHUNKED_BYTES:
                    texts, size, count = [], 0, 0  # a large item has chunks of its own
                    continue
                texts.append(together if together is not None else _dump(part[0]))
                size += len(texts[-1]) + 1
                count += len(part)
                if size >= chunk_bytes:
                    parts += [[*map(self._write, remaining[:-count])], self._add_chunk(f"[{','.join(texts)}]")]
                    remaining, texts, size, count = [], [], 0, 0
        return [*(part for part in parts if part), [*map(self._write, remaining)]]

    def _measure_item(self, item: Any) -> int:
        return self.measure(item) if isinstance(item, STORED) else 0

    def _add_chunk(self, text: str) -> dict[str, str]:
        self._chunked_bytes += len(text)
        return {SHARED: self.chunks.setdefault(text, f"c{len(self.chunks)}")}

    def _look_up(self, value: Any) -> _Known:
        known = self._known.get(id(value))
        if known is None:
            before = self.measured
            known = self._known[id(value)] = self._measure(value)
            if known.token in self._tokens:
                self.measured = before  # equal to a value that has been measured
            elif known.size > SHARED_BYTES:
                self._tokens.add(known.token)
        return known

    def _measure(self, value: Any) -> _Known:
        """Compute the token of a value from those of its parts: each byte is hashed once, however deep it is."""
        parts = () if isinstance(value, str) else value.values() if isinstance(value, dict) else value
        is_flat = not any(isinstance(part, CONTAINERS) for part in parts)
        # One call in C for what is flat or small: measured on 60,000 rows with two objects in each, 3 times as fast.
        if is_flat or _is_probably_small(value):
            text = _dump(value)
            if len(text) <= SHARED_BYTES:
                self._add_measured(len(text))
                return _Known(value, text, len(text), needs_rewriting='"$' in text)
            if is_flat:
                texts = [part for part in parts if isinstance(part, str) and len(part) > SHARED_BYTES]
                large = tuple(self._look_up(part) for part in texts)
                self._add_measured(len(text) - sum(part.size for part in large))
                return _Known(value, _hash(text), len(text), large, needs_rewriting='"$' in text)
        known = [self._look_up(part) if isinstance(part, STORED) else None for part in parts]
        tokens = [_dump(part) if found is None else found.token for found, part in zip(known, parts, strict=True)]
        size = 1 + sum(len(token) if found is None else found.size for found, token in zip(known, tokens, strict=True))
        size += len(tokens)
        if isinstance(value, dict):
            names = [_dump(name) for name in value]
            size += sum(map(len, names)) + len(names)
            text = f"{{{','.join(f'{name}:{token}' for name, token in zip(names, tokens, strict=True))}}}"
        else:
            text = f"[{','.join(tokens)}]"
        return _Known(
            value,
            text if size <= SHARED_BYTES else _hash(text),
            size,
            tuple(found for found in known if found is not None and found.size > SHARED_BYTES),
            any(found.needs_rewriting for found in known if found is not None)
            or (isinstance(value, dict) and _looks_reserved(value)),
        )

    def _add_measured(self, size: int) -> None:
        self.measured += size
        if self.max_bytes is not None and self.measured > self.max_bytes:
            raise ValuesTooLarge


def load_lines(text: str, chunks: Sequence[Any] = ()) -> Any:
    """Return the value that `ValueTable.dump` wrote, with the values of its chunks; raises ValueError.

    References are replaced while the JSON is read: walking through 6 MB of small objects afterwards takes a second.
    """
    restored: dict[str, Any] = {f"c{index}": chunk for index, chunk in enumerate(chunks)}

    def resolve(value: dict[str, Any]) -> Any:
        if not _looks_reserved(value):
            return value
        ((name, content),) = value.items()
        if name == JOINED:
            return [item for part in content for item in part]
        return restored[content] if name == SHARED else {content[0]: content[1]}

    *entries, last = text.split("\n")
    try:
        for entry in entries:
            digest, value = json.loads(entry, object_hook=resolve)
            restored[digest] = value
        return json.loads(last, object_hook=resolve)
    except (KeyError, TypeError) as error:
        raise ValueError("invalid reference") from error


def _looks_reserved(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)) in (SHARED, LITERAL, JOINED)


def _dump_short(items: Sequence[Any], max_bytes: int) -> str | None:
    """Return the JSON of numbers and short texts, without brackets; `None` for other items."""
    if not SIMPLE.issuperset(map(type, items)):
        return None
    text = _dump(items)[1:-1]
    return text if len(text) <= max_bytes else None


def _is_probably_small(value: Any) -> bool:
    """Return whether a value has few parts and short texts; the time for this is bounded, too."""
    budget, parts = 100, [value]
    while parts:
        part = parts.pop()
        if isinstance(part, str):
            budget -= len(part) // 10
        elif isinstance(part, CONTAINERS):
            budget -= len(part)
            if budget > 0:
                parts.extend(part.values() if isinstance(part, dict) else part)
        if budget < 0:
            return False
    return True


def _hash(text: str) -> str:
    return "h" + urlsafe_b64encode(sha256(text.encode()).digest()[:18]).decode()


_dump = json.JSONEncoder(separators=(",", ":")).encode
