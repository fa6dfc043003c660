"""Personal data: masked, or the conversation dropped. Patterns find candidates, check digits and libraries decide.

Names and addresses are not found: that needs a language model. What everybody knows is left: example.com, private and
documentation addresses, versions that look like an IP address.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from fastchat.data.cleaning.rules import Changed, Dropped
from fastchat.data.packages import package
from fastchat.data.records import Conversation
from fastchat.data.texts import excerpt, texts, with_text

_RESERVED = re.compile(
    r"(?:^|[.@])(?:example\.(?:com|org|net|edu)|example|test|invalid|localhost|local)$", re.IGNORECASE
)
_NOBODY = re.compile(
    r"(?:no-?reply|you|your(?:\.?(?:name|email))?|user(?:name)?|name|email|someone|me|x+)@", re.IGNORECASE
)
_PHONE_DIGITS = range(7, 16)  # more are a table; E.164 has at most 15
_SMALL_OCTET = 10  # 1.2.3.4 is a version


class Found(NamedTuple):
    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class PersonalData:
    action: Literal["mask", "drop"] = "mask"
    regions: Sequence[str] = ("US",)  # whose phone numbers count without a country's code
    name: str = "personal"

    def apply(self, conversation: Conversation) -> Changed | Dropped | None:
        kinds: set[str] = set()
        example = ""

        def mask(text: str) -> str:
            nonlocal example
            masked, found = masked_text(text, self.regions)
            if found:
                kinds.update(one.kind for one in found)
                example = example or excerpt(masked, found[0].start)
            return masked

        if self.action == "drop" and not any(find_personal_data(text, self.regions) for text in texts(conversation)):
            return None
        messages = [with_text(message, mask) for message in conversation.messages]
        if not kinds:
            return None
        why = ", ".join(sorted(kinds))
        if self.action == "drop":
            return Dropped(why, example)
        return Changed(replace(conversation, messages=messages), why, example)


def masked_text(text: str, regions: Sequence[str] = ("US",)) -> tuple[str, list[Found]]:
    """With `<EMAIL>` and the like in the places of what was found."""
    found = find_personal_data(text, regions)
    pieces, at = [], 0
    for start, end, kind in found:
        pieces += [text[at:start], f"<{kind.upper().replace(' ', '_')}>"]
        at = end
    return "".join([*pieces, text[at:]]), found


def find_personal_data(text: str, regions: Sequence[str] = ("US",)) -> list[Found]:
    """In the order of the text, none inside another."""
    has_numbers = _ANY_NUMBER.search(text) is not None
    found: list[Found] = []
    for kind, pattern, hint, is_one in (*_PATTERNS, *_NUMBERS) if has_numbers else _PATTERNS:
        if hint(text):
            found += [Found(*match.span(), kind) for match in pattern.finditer(text) if is_one(match[0])]
    if has_numbers:
        found += _phones(text, regions, found)
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def _is_email(text: str) -> bool:
    return not (_NOBODY.match(text) or _RESERVED.search(text))


def _is_public_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address) and all(octet < _SMALL_OCTET for octet in address.packed):
        return False
    return address.is_global and not address.is_multicast


def _is_card(text: str) -> bool:
    """ISO/IEC 7812: the last digit is Luhn's."""
    digits = [int(digit) for digit in text if digit.isdigit()]
    if not 13 <= len(digits) <= 19 or digits[0] not in (2, 3, 4, 5, 6) or len(set(digits)) < 3:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """ISO 13616: modulo 97."""
    packed = text.replace(" ", "")
    if not 15 <= len(packed) <= 34:
        return False
    return int("".join(str(int(letter, 36)) for letter in packed[4:] + packed[:4])) % 97 == 1


def _is_social_security(text: str) -> bool:
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000" and text != "123-45-6789"


class _Pattern(NamedTuple):
    kind: str
    pattern: re.Pattern[str]
    hint: Callable[[str], object]  # quick; a text without it has none
    is_one: Callable[[str], bool]


def _has(*parts: str) -> Callable[[str], bool]:
    return lambda text: any(part in text for part in parts)


def _always(text: str) -> bool:
    return True


_PATTERNS = (
    _Pattern(
        "email",
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w@])"),
        _has("@"),
        _is_email,
    ),
    _Pattern(
        "secret",
        re.compile(
            r"\b(?:sk-(?:[A-Za-z]+-)*[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36}|(?:AKIA|ASIA)[0-9A-Z]{16}|"
            r"xox[abprs]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{35}|hf_[A-Za-z]{30,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"
        ),
        _has("sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "AKIA", "ASIA", "xox", "AIza", "hf_", "eyJ"),
        _always,
    ),
    _Pattern(
        "ip address",
        re.compile(r"(?<![\w:.])[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){3,7}(?![\w:])"),
        re.compile(":[0-9A-Fa-f]{0,4}:").search,
        _is_public_address,
    ),
)
_NUMBERS = (
    _Pattern("card", re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)"), _always, _is_card),
    _Pattern(
        "iban", re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)"), _always, _is_iban
    ),
    _Pattern(
        "social security number", re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"), _has("-"), _is_social_security
    ),
    _Pattern("ip address", re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)"), _has("."), _is_public_address),
)
_ANY_NUMBER = re.compile(r"\d[\dA-Z ().-]{5,}\d")
# With a country's code, with an area's in parentheses, or in groups with one kind of sign between them.
_MAYBE_PHONE = re.compile(
    r"(?<![\w.+-])(?:[+(]\d[\d ().-]{5,18}\d|(?!\d{4}-\d\d-\d\d)\d{2,5}([ .-])\d{2,5}(?:\1\d{2,5})*+)(?![\w-]|\.\d)"
)


def _phones(text: str, regions: Sequence[str], taken: Sequence[Found]) -> Iterator[Found]:
    """The library is asked about what looks like one only: it knows every country's numbers, slowly."""
    for match in _MAYBE_PHONE.finditer(text):
        written = match[0]
        digits = sum(map(str.isdigit, written))
        if digits not in _PHONE_DIGITS or any(one.start < match.end() and match.start() < one.end for one in taken):
            continue
        library: Any = package("phonenumbers", "Finding phone numbers")
        for region in regions or (None,):
            for number in library.PhoneNumberMatcher(written, region):
                yield Found(match.start() + number.start, match.start() + number.end, "phone")
                break
            else:
                continue
            break
