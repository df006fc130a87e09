"""Parse YAML 1.2 into JSON values with positions: the only module that imports ruamel.yaml. No I/O here.

The library's parser makes events of the text; values are built here, so that only what JSON has can come of them, and
in a time that the text bounds. Plain scalars follow the core schema of YAML 1.2.2 (section 10.3): `no` is text, not
false as in YAML 1.1. Three things of YAML are refused: tags, merge keys, and aliases that expand to much:

    a: &a [x, x, x]
    b: &b [*a, *a, *a]        nine values for four
    c: [*b, *b, *b]           27; eight more such lines are a million
"""

import re
from dataclasses import dataclass
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml import events as event_types
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from orchestrator.jsontools.json_values import MAX_DEPTH
from orchestrator.jsontools.positions import Container, Item, Layout, Lines
from orchestrator.jsontools.source import JsonSyntaxError, Source

MAX_EXPANDED = 1_000_000
"""Values and characters that the aliases of a text may add to it."""
MAX_DIGITS = 400
CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
NOT_A_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
LEADING_ZERO = re.compile(r"[-+]?0[0-9]")
UNCLOSED = "found unexpected end of stream"
QUOTE_TEMPLATE = 'put quotes around templates: "{{ input.name }}"'
HINTS: tuple[tuple[str, str], ...] = (
    ("'\\t'", "indent with spaces, not with tabs"),
    ("mapping values are not allowed", "put quotes around text that contains `: `, and indent entries alike"),
    ("could not find expected ':'", "write `key: value`; put quotes around text of several words before a colon"),
    ("found character '@'", "put quotes around text that begins with @"),
    ("found character '`'", "put quotes around text that begins with `"),
    ("found character '%'", "put quotes around text that begins with %"),
    ("expected <block end>", "indent the entries of a list or object alike"),
    (UNCLOSED, "close the quote or bracket"),
    ("undefined alias", "put quotes around text that begins with *"),
)
"""Hints for messages of the library, where they begin so or hold this."""


class YamlSyntaxError(JsonSyntaxError):
    """The text is not YAML, or has what JSON does not."""

    code = "yaml_syntax"


def parse_yaml(text: str, max_depth: int = MAX_DEPTH) -> Source:
    """Parse a YAML text with a single document, nested at most `max_depth` levels; raises YamlSyntaxError.

    An empty text is null. A key that is not text is taken by its text: `1: a` is `{"1": "a"}`.
    """
    builder = _Builder(text, max_depth)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.add(event)
    except MarkedYAMLError as error:
        marks = [error.problem_mark, error.context_mark]
        mark = next(filter(None, reversed(marks) if error.problem == UNCLOSED else marks), None)
        builder.refuse(mark.index if mark else 0, error.problem or str(error))
    except ReaderError as error:
        builder.refuse(error.position, "the text has a character that YAML does not allow", "write it as an escape")
    except (YAMLError, ValueError) as error:
        builder.refuse(0, str(error))
    repeated = builder.repeated
    return Source(text, builder.value, repeated, builder.layout)


@dataclass(frozen=True, slots=True)
class _Anchor:
    value: Any
    item: Item
    size: int
    """Values and characters, with what aliases in it expand to."""
    depth: int


@dataclass(slots=True)
class _Open:
    """An object or list whose end has not come."""

    value: dict[str, Any] | list[Any]
    container: Container
    anchor: str | None
    size: int
    depth: int = 1
    """Levels below and with this one."""
    has_key: bool = False
    """In an object, whether the next value has its key."""


class _Builder:
    """Builds the value and the layout from events, without recursion."""

    def __init__(self, text: str, max_depth: int) -> None:
        self.text = text
        self.max_depth = max_depth
        self.value: Any = None
        self.layout = Layout()
        self.repeated: str | None = None
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Anchor] = {}
        self.documents = 0
        self.expanded = 0

    def refuse(self, offset: int, message: str, hint: str | None = None) -> NoReturn:
        """Raise YamlSyntaxError with the position of an offset."""
        lines = Lines(self.text)
        line = lines.get_line(offset)
        if hint is None:
            hint = next((each for part, each in HINTS if part in message), None)
        if hint is None and "{{" in line:
            hint = QUOTE_TEMPLATE
        raise YamlSyntaxError(message, lines.locate(offset), line, hint) from None

    def add(self, event: Any) -> None:
        """Take the next event of the parser."""
        offset = event.start_mark.index
        match event:
            case event_types.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    self.refuse(offset, "there is a second document after `---`", "write one document in a file")
            case event_types.ScalarEvent():
                self.add_scalar(event, offset)
            case event_types.AliasEvent():
                self.add_alias(event.anchor, offset)
            case event_types.MappingStartEvent() | event_types.SequenceStartEvent():
                self.open(event, offset)
            case event_types.MappingEndEvent() | event_types.SequenceEndEvent():
                self.close()

    def add_scalar(self, event: Any, offset: int) -> None:
        self.require_no_tag(event, offset)
        text = self.join_surrogates(event.value, offset)
        is_plain = event.style is None
        if self.expects_key():
            self.require_no_anchor(event, offset)
            if is_plain and text == "<<":
                self.refuse(offset, "merge keys (`<<`) are not supported", "write the keys out, or use a whole alias")
            self.set_key(text, offset)
            return
        value = self.read_plain(text, offset) if is_plain else text
        size = 1 + len(text)
        if event.anchor:
            self.anchors[event.anchor] = _Anchor(value, offset, size, 0)
        self.layout.put(self.list_containers(), offset)
        self.put(value, size, 0)

    def add_alias(self, name: str, offset: int) -> None:
        if self.expects_key():
            self.refuse(offset, "an alias cannot be a key")
        anchor = self.anchors.get(name)
        if anchor is None:
            inside = any(each.anchor == name for each in self.stack)
            message = f"the alias *{name:.60} is inside its own anchor" if inside else f"undefined alias *{name:.60}"
            self.refuse(offset, message)
        self.expanded += anchor.size
        if self.expanded > MAX_EXPANDED:
            self.refuse(offset, f"aliases expand to more than {MAX_EXPANDED:,} values and characters")
        self.require_shallow(len(self.stack) + anchor.depth, offset)
        item = anchor.item
        item = item if isinstance(item, int) else Container(offset, item.parts)
        self.layout.put(self.list_containers(), item)
        self.put(anchor.value, anchor.size, anchor.depth)

    def open(self, event: Any, offset: int) -> None:
        self.require_no_tag(event, offset)
        is_mapping = isinstance(event, event_types.MappingStartEvent)
        if self.expects_key():
            hint = QUOTE_TEMPLATE if self.text.startswith("{", offset) else "write `key: value` with text as the key"
            self.refuse(offset, "a key must be text", hint)
        self.require_shallow(len(self.stack) + 1, offset)
        container = Container(offset, {} if is_mapping else [])
        self.layout.put(self.list_containers(), container)
        self.stack.append(_Open({} if is_mapping else [], container, event.anchor, 1))

    def close(self) -> None:
        done = self.stack.pop()
        if done.anchor:
            self.anchors[done.anchor] = _Anchor(done.value, done.container, done.size, done.depth)
        self.put(done.value, done.size, done.depth)

    def expects_key(self) -> bool:
        """Return whether the next value is a key of an object."""
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and not self.stack[-1].has_key

    def set_key(self, key: str, offset: int) -> None:
        top = self.stack[-1]
        top.container.key, top.has_key = key, True
        top.size += 1 + len(key)
        if key in top.value:
            self.repeated = self.repeated or key
            self.layout.record_repeat(self.list_containers())

    def list_containers(self) -> list[Container]:
        return [each.container for each in self.stack]

    def put(self, value: Any, size: int, depth: int) -> None:
        """Add a value to the innermost object or list, or make it the document."""
        if not self.stack:
            self.value = value
            return
        top = self.stack[-1]
        top.size += size
        top.depth = max(top.depth, depth + 1)
        if isinstance(top.value, dict):
            top.value[top.container.key], top.has_key = value, False
        else:
            top.value.append(value)

    def read_plain(self, text: str, offset: int) -> Any:
        """Return the value of a scalar without quotes."""
        if text in CONSTANTS:
            return CONSTANTS[text]
        if text[0] not in "-+.0123456789":
            return text
        if NOT_A_NUMBER.fullmatch(text):
            self.refuse(offset, f"{text} is not a JSON value", "put quotes around it if it is text")
        if LEADING_ZERO.match(text) and (INTEGER.fullmatch(text) or FLOAT.fullmatch(text)):
            self.refuse(offset, f"the number {text:.30} begins with 0", "put quotes around it to keep it as text")
        if INTEGER.fullmatch(text) and len(text) <= MAX_DIGITS:
            return int(text, 0)
        if INTEGER.fullmatch(text) or FLOAT.fullmatch(text):
            number = float(text) if len(text) <= MAX_DIGITS else float("inf")
            if number in (float("inf"), float("-inf")):
                self.refuse(offset, "a number is too large")
            return number
        return text

    def join_surrogates(self, text: str, offset: int) -> str:
        r"""Return the text with the pairs of `"\ud83d\ude00"` joined, as in JSON."""
        try:
            text.encode()
        except UnicodeEncodeError:
            try:
                return text.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                self.refuse(offset, "half of a surrogate pair is not a character")
        return text

    def require_no_tag(self, event: Any, offset: int) -> None:
        if event.tag is not None:
            tag = str(event.tag)
            hint = "put quotes around text that begins with !" if tag.startswith("!") else "leave the tag out"
            self.refuse(offset, f"tags such as {tag:.60} are not supported", hint)

    def require_no_anchor(self, event: Any, offset: int) -> None:
        if event.anchor:
            self.refuse(offset, "a key cannot have an anchor", "put quotes around text that begins with &")

    def require_shallow(self, depth: int, offset: int) -> None:
        if depth > self.max_depth:
            self.refuse(offset, f"the text is nested too deeply: the maximum is {self.max_depth} levels")
