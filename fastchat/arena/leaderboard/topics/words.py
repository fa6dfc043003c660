"""The words of a text, in every script: letters between blanks, and pairs of signs where there are no blanks."""

import re
from collections.abc import Iterator

_UNSPACED = r"\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W\d_{_UNSPACED}][\w'’+#-]*[\w+#]")
_STARTS_UNSPACED = re.compile(rf"[{_UNSPACED}]")


def words_of(text: str) -> Iterator[str]:
    """In lower case. Of single letters none, as they name nothing."""
    for word in _WORD.findall(text.lower()):
        if _STARTS_UNSPACED.match(word):
            yield from (word[at : at + 2] for at in range(max(1, len(word) - 1)))
        else:
            yield word
