"""Mask secrets and personal data in recorded values. No I/O.

A value is masked by the name of its key, or by its form: addresses of mail, numbers of cards and accounts, phone
numbers, tokens. The same value has the same mask wherever it occurs, also inside other text, so that what a run
compares and looks up still fits together.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

MASKED_NAMES = (
    *("password", "passwd", "passphrase", "secret", "token", "authorization", "cookie", "credential", "api_?key"),
    *("private_?key", "access_?key", "signature", "pin", "cvv", "cvc"),
    *("e?mail", "phone", "mobile", "fax", "street", "address", "zip", "postcode", "postal_code", "iban", "bic"),
    *("birth_?day", "birth_?date", "date_of_birth", "dob", "ssn", "passport", "ip_?address"),
    *("first_?name", "last_?name", "full_?name", "surname", "customer_?name", "user_?name", "contact_?name"),
)
"""Words in the name of a key, as parts of a regular expression; also in the plural."""
MASKED_FORMS = {
    "email": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "token": re.compile(r"\b(?:ey[\w-]{10,}\.[\w-]+\.[\w-]*|(?:sk|pk|ghp|xox[abp]|ork)[_-]\w{8,})"),
    "iban": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "card": re.compile(r"\b\d(?:[ -]?\d){12,18}\b"),
    "phone": re.compile(r"\+\d(?:[ ()/-]?\d){6,14}\b"),
}
"""Forms of text that are masked wherever they occur."""
NAME_PATTERN = "(?:^|_)(?:{})s?(?:_|$)"
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
MIN_LENGTH = 4
"""Shorter values are masked only where they are the whole text: too much other text contains them."""


@dataclass(slots=True)
class Masker:
    """Masks values; all that is masked is collected first, so that it is found everywhere."""

    names: Collection[str] = ()
    """Further names of keys whose values are masked."""
    kept_names: Collection[str] = ()
    """Names of keys whose values stay, whatever their form."""
    masks: dict[str, str] = field(default_factory=dict)
    """By what they replace."""
    numbers: dict[float, int] = field(default_factory=dict)

    def mask(self, value: Any) -> Any:
        """Return a value with masks."""
        kept: set[str] = set()
        self._collect(value, kept)
        for text in kept:
            self.masks.pop(text, None)
        found = sorted((text for text in self.masks if len(text) >= MIN_LENGTH), key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, found))) if found else None
        return self._apply(value, pattern, is_masked=False)

    def _collect(self, value: Any, kept: set[str], name: str = "", *, is_masked: bool = False) -> None:
        match value:
            case Mapping():
                for key, item in value.items():
                    self._collect(item, kept, str(key), is_masked=is_masked or self._masks_name(str(key)))
            case list():
                for item in value:
                    self._collect(item, kept, name, is_masked=is_masked)
            case str() if name in self.kept_names:
                kept.add(value)
            case str() if is_masked and value:
                self._add(value, "email" if MASKED_FORMS["email"].fullmatch(value) else "text")
            case str():
                for form, pattern in MASKED_FORMS.items():
                    for text in pattern.findall(value):
                        if form != "card" or _has_check_digit(text):
                            self._add(text, form)

    def _masks_name(self, key: str) -> bool:
        if key in self.kept_names:
            return False
        words = CAMEL.sub("_", key).lower().replace("-", "_")
        return key in self.names or re.search(NAME_PATTERN.format("|".join(MASKED_NAMES)), words) is not None

    def _add(self, text: str, form: str) -> None:
        number = len(self.masks) + 1
        self.masks.setdefault(text, f"person{number}@example.com" if form == "email" else f"masked-{number}")

    def _apply(self, value: Any, pattern: re.Pattern[str] | None, *, is_masked: bool) -> Any:
        match value:
            case Mapping():
                return {
                    key: self._apply(item, pattern, is_masked=is_masked or self._masks_name(str(key)))
                    for key, item in value.items()
                }
            case list():
                return [self._apply(item, pattern, is_masked=is_masked) for item in value]
            case str() if value in self.masks:
                return self.masks[value]
            case str() if pattern is not None:
                return pattern.sub(lambda match: self.masks[match[0]], value)
            case int() | float() if is_masked and not isinstance(value, bool):
                return self.numbers.setdefault(value, len(self.numbers) + 1)
            case _:
                return value


def _has_check_digit(text: str) -> bool:
    """Return whether digits end with the check digit of a card number (Luhn)."""
    digits = [int(each) for each in reversed(text) if each.isdigit()]
    return sum(sum(divmod(digit * 2, 10)) if index % 2 else digit for index, digit in enumerate(digits)) % 10 == 0
