"""Every default of the page, in one place: what the command's flags set, what a chat starts with, how fast it moves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import model_validator
from pydantic_settings import SettingsConfigDict

from fastchat.access.settings import AccessSettings
from fastchat.core.serving import ServerSettings
from fastchat.core.settings import setting
from fastchat.protocol.control import TOKEN_ENV

API_URL = "http://localhost:8000"  # where `fastchat api` listens if it is told nothing


class WebSettings(AccessSettings, ServerSettings):
    """Flags of `fastchat web`, the old `gradio_web_server` and `gradio_web_server_multi`."""

    model_config = SettingsConfigDict(env_prefix="FASTCHAT_WEB_")
    withdrawn: ClassVar[Mapping[str, str]] = {
        "--use-remote-storage": "conversations are kept in the database of --database-url. Leave the flag out.",
        "--password": "one word for everybody protects little. Ask for a login with --gradio-auth-path.",
    }
    without_effect: ClassVar[Mapping[str, str]] = {
        "--vision-arena": "every page takes images, and sends them to models that can see.",
        "--ga-id": "nothing is sent to Google, or to anybody else, about who reads the page.",
        "--show-visualizer": "there is none. The leaderboard shows what the votes say.",
    }
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(7860, "port to listen on; 0 takes a free one")
    arena: bool = setting(False, "show the arena too: blind battles and models side by side")
    arenas_file: Path | None = setting(None, "YAML file that describes the arenas", "--arenas", metavar="FILE")
    random_questions: Path | None = setting(
        None,
        "questions to draw from, where the arena's file names none: FastChat's JSON, or JSON lines",
        metavar="FILE",
    )
    elo_results_file: Path | None = setting(
        None, "a board of `fastchat leaderboard build`, or FastChat's ratings, pickle or JSON", "--elo", metavar="FILE"
    )
    leaderboard_table_file: Path | None = setting(None, "CSV of facts about models, likewise", metavar="FILE")
    arena_hard_table: Path | None = setting(None, "CSV of Arena-Hard's scores, likewise", metavar="FILE")
    bench: Path | None = setting(
        None, "show what `fastchat bench run` wrote into this folder, at /bench/", metavar="DIR"
    )
    show_terms_of_use: bool = setting(False, "show the terms of use at every visit, not only at the first")
    conv_log_dir: Path | None = setting(None, "folder for FastChat's logs of conversations, beside the database")
    controller_url: str = setting(
        "http://localhost:21001", "controller that knows the workers; empty for none", "--controller", metavar="URL"
    )
    register_api_endpoint_file: Path | None = setting(
        None, "JSON file of models that others serve", "--register", metavar="FILE"
    )
    api_url: str | None = setting(
        None, "an OpenAI-compatible API, without /v1, whose models are shown instead of a controller's"
    )
    token: str | None = setting(None, "the controller's secret; better set by environment", env=TOKEN_ENV)
    api_key: str | None = setting(None, "key for that API; better set by environment", env="FASTCHAT_API_KEY")
    api_needs_key: bool = setting(False, "show readers that the API wants a key; with --api-key it does")
    public_api_url: str | None = setting(
        None, "the API's address in commands shown to readers; the page's own origin with --fd, else --api-url"
    )
    database_url: str | None = setting(None, "where conversations and votes are kept; a file in --data-dir if unset")
    data_dir: Path | None = setting(None, "folder of the database and the keys; FASTCHAT_DATA_DIR if unset")
    moderate: bool = setting(False, "have questions and answers looked at by OpenAI's moderation endpoint")
    concurrency_count: int | None = setting(None, "answers written at the same time; unlimited if unset")
    model_list_mode: Literal["once", "reload"] = setting(
        "reload", "'reload' follows the models while a page is open, 'once' asks a single time"
    )
    share: bool = setting(False, "make a public link, through a server of Gradio's")

    @property
    def shown_api_url(self) -> str | None:
        """The API's address for readers; None: whatever address they opened the page at."""
        return self.public_api_url or (None if self.fd is not None else self.api_url or API_URL)

    @property
    def shows_key(self) -> bool:
        return self.api_needs_key or self.api_key is not None

    @model_validator(mode="before")
    @classmethod
    def _whoever_hands_down_the_socket_stands_in_front(cls, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("fd") is not None and not given.get("trusted_proxies"):
            return given | {"trusted_proxies": ("loopback",)}
        return given


@dataclass(frozen=True, slots=True)
class Range:
    """A slider."""

    lowest: float
    highest: float
    step: float


TEMPERATURE = Range(0, 2, 0.05)
TOP_P = Range(0, 1, 0.05)
MAX_TOKENS = Range(16, 8192, 16)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the accordion sets for the next answer."""

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    system: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often things happen, in seconds.

    Gradio learns that a browser left only when a handler yields; hence the sign of life while nothing arrives.
    """

    sign_of_life_s: float = 0.4
    queue_look_s: float = 0.02
    models_tick_s: float = 2.0
    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 600.0
    drain_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What keeps one process upright. Gradio's own `max_threads` counts every answer in flight, not threads."""

    answers_in_flight: int = 400
    answers_waiting: int = 1000
    sessions: int = 2000
    question_chars: int = 200_000
    body_bytes: int = 4 * 2**20
    upload_bytes: int = 10 * 2**20  # one file
    uploads_bytes: int = 512 * 2**20  # all that wait on the disk for their question
