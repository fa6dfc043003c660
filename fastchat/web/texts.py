"""What the page says, in eight languages: one JSON file a language, short English keys, `{name}` where a value goes.

Labels that stand still are translated in the browser (`gradio_texts`, `spoken`); what Python puts together takes the
language of the arena, or of the request (`Wording`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Protocol

from fastchat.web.markup import escaped

ENGLISH = "en"
# What browsers ask for beside the languages that we have by name.
_ALIASES = {"zh": "zh-CN", "zh-hans": "zh-CN", "zh-sg": "zh-CN", "pt": "pt-BR"}
_DECIMAL_COMMA = ("de", "es", "fr", "pt-BR")
# Gradio's own labels: not all are translated there, and some say other things than we do.
_OF_GRADIO = {
    "chatbot.retry": "regenerate", "chatbot.undo": "undo", "chatbot.edit": "edit", "chatbot.submit": "send",
    "chatbot.cancel": "cancel", "chatbot.like": "like", "chatbot.dislike": "dislike", "chatbot.copy_message": "copy",
    "chatbot.copied_message": "copied",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Texts:
    """One language. `texts("turn_of", number=3)`."""

    language: str
    strings: Mapping[str, str]
    keys: Mapping[str, str] = field(default_factory=dict)  # of English sentences

    def __call__(self, key: str, /, **values: object) -> str:
        return self.strings[key].format(**values) if values else self.strings[key]

    def html(self, key: str, /, **values: object) -> str:
        """The same for our HTML, the values' own markup made harmless as well."""
        return escaped(self(key, **values))

    def of_english(self, sentence: str) -> str | None:
        """What the arena says in English; None where there is no translation."""
        key = self.keys.get(sentence)
        return self.strings[key] if key else None

    def number(self, value: float, digits: int) -> str:
        written = f"{value:.{digits}f}"
        return written.replace(".", ",") if self.language in _DECIMAL_COMMA else written


class Catalogue:
    """All languages."""

    def __init__(self, languages: Mapping[str, Texts]) -> None:
        self._languages = languages

    @classmethod
    def load(cls) -> "Catalogue":
        folder = files("fastchat.web") / "texts"
        names = sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json"))
        strings = {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in names}
        keys = {text: key for key, text in strings[ENGLISH].items() if "{" not in text}
        return cls({name: Texts(name, strings[name], keys) for name in names})

    @property
    def languages(self) -> Sequence[str]:
        return tuple(self._languages)

    def of(self, language: str) -> Texts:
        return self._languages[language]

    def best(self, accept_language: str = "", *, fixed: str | None = None) -> Texts:
        """`fixed`: the arena's own language, which wins. Otherwise what the browser likes best of what we have."""
        if fixed is not None:
            return self._languages[fixed]
        for wanted in _by_preference(accept_language):
            if found := self._match(wanted):
                return self._languages[found]
        return self._languages[ENGLISH]

    def _match(self, wanted: str) -> str | None:
        known = {name.lower(): name for name in self._languages} | _ALIASES
        parts = wanted.split("-")
        # From "de-AT" to "de"; not from "zh-TW" to "zh-CN", which is another script.
        if wanted.startswith("zh") and wanted not in known and "hans" not in parts:
            return None
        return next((known[tag] for at in range(len(parts), 0, -1) if (tag := "-".join(parts[:at])) in known), None)

    def gradio_texts(self, *, fixed: str | None = None) -> Any:  # Any: Gradio is untyped
        """`gr.I18n` of everything without a place for a value. `fixed`: one language, whatever the browser's is."""
        import gradio as gr

        tags = {name: name for name in self._languages} | {"zh": "zh-CN", "pt": "pt-BR"}
        strings = {name: _still(self._languages[name]) for name in self._languages}
        return gr.I18n(**{tag: strings[fixed or name] for tag, name in tags.items()})


class WithHeaders(Protocol):
    @property
    def headers(self) -> Any: ...  # Any: Gradio's and Starlette's differ


@dataclass(frozen=True, slots=True)
class Wording:
    """Which language a reader of one arena gets: the arena's own, or what the browser asks for."""

    catalogue: Catalogue = field(default_factory=Catalogue.load)
    fixed: str | None = None

    def of(self, request: WithHeaders | None) -> Texts:
        """None: nobody in particular, as in tests."""
        accepted = request.headers.get("accept-language", "") if request is not None else ""
        return self.catalogue.best(accepted, fixed=self.fixed)


def _still(texts: Texts) -> dict[str, str]:
    ours = {key: text for key, text in texts.strings.items() if "{" not in text}
    return ours | {gradios: ours[key] for gradios, key in _OF_GRADIO.items()}


def _by_preference(accept_language: str) -> list[str]:
    """`de-AT,de;q=0.9,en;q=0.5` → ["de-at", "de", "en"]; what cannot be read is left out."""
    found: list[tuple[float, str]] = []
    for item in accept_language[:1000].split(","):
        tag, _, parameter = item.strip().lower().partition(";")
        try:
            weight = float(parameter.partition("q=")[2] or 1)
        except ValueError:
            continue
        if tag and tag != "*" and weight > 0:
            found.append((-weight, tag.strip()))
    return [tag for _, tag in sorted(found, key=lambda pair: pair[0])]
