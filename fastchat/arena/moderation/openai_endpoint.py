"""The moderator `openai`: any server that speaks OpenAI's `/v1/moderations`, OpenAI's own if no address is given.

    openai                                                       with the key in OPENAI_API_KEY
    openai:http://guard:8000/v1,api_key=env:GUARD_KEY,model=m    another server

Text goes in pieces, since long ones are judged less surely and a limit on their length would leave a blind spot; each
image goes in a request of its own, as OpenAI's models take no more. If one piece is not judged, the message is not.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveFloat, StrictBool, ValidationError

from fastchat.arena.moderation.base import Judgement, Role, Spec, Surroundings, windows
from fastchat.arena.moderation.combined import merge
from fastchat.arena.moderation.registry import options
from fastchat.client.endpoint_file import Address, Base, Key
from fastchat.core.errors import SetupError

log = logging.getLogger(__name__)

PIECE_CHARS = 2000
OVERLAP_CHARS = 200
PIECES_A_REQUEST = 32
ATTEMPTS = 2
_LARGEST_ANSWER = 1 << 20
_OPENAI = "https://api.openai.com/v1"
_OPENAI_KEY = "OPENAI_API_KEY"
_Body: TypeAlias = Mapping[str, Any]  # JSON of a request


class EndpointOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Base = Field(_OPENAI, description="address; /moderations is appended")
    model: str = Field("omni-moderation-latest", description="name of the model there")
    api_key: Key = Field(None, description="env:NAME, the variable that holds the server's key")
    timeout_s: PositiveFloat = Field(10.0, description="for one request, from connecting to the last byte")
    flag_above: FiniteFloat | None = Field(None, description="flag any category with a higher score, too")
    images: bool = Field(True, description="whether the model there looks at images")


class _Result(BaseModel):
    """Categories may be null: older models do not know the newer ones."""

    flagged: StrictBool
    categories: dict[str, StrictBool | None]
    category_scores: dict[str, FiniteFloat | None]


class _Answer(BaseModel):
    results: list[_Result]


class _Unusable(Exception):
    """The endpoint did not judge; says why, in words for the operator."""

    def __init__(self, why: str, *, may_pass: bool = False) -> None:
        super().__init__(why)
        self.may_pass = may_pass  # the same request could be answered a moment later


class OpenAIEndpoint:
    def __init__(self, http: aiohttp.ClientSession, options: EndpointOptions) -> None:
        address = Address.read(options.url)
        self._http = http
        self._options = options
        self._url = f"{address.url}{address.api_path}/moderations"
        self._headers: dict[str, str] = {}
        if options.api_key:
            self._headers["authorization"] = f"Bearer {options.api_key.get_secret_value()}"
        self._source = f"openai {options.model}"

    @property
    def sees_images(self) -> bool:
        return self._options.images

    async def check(self, text: str, images: Sequence[str] = (), *, role: Role) -> Judgement:
        pieces = [piece for piece in windows(text, PIECE_CHARS, OVERLAP_CHARS) if piece.strip()]
        inputs: list[Sequence[Any]] = _batches(pieces)
        if self.sees_images:
            inputs += [[{"type": "image_url", "image_url": {"url": image}}] for image in images]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._judge(each)) for each in inputs]
        return merge([Judgement(self._source), *(task.result() for task in tasks)])

    async def _judge(self, inputs: Sequence[Any]) -> Judgement:
        try:
            results = await self._ask({"model": self._options.model, "input": inputs})
            if len(results) != len(inputs):
                raise _Unusable(f"it sent {len(results)} results for {len(inputs)} inputs")
        except _Unusable as error:
            log.warning("%s did not judge a message: %s", self._url, error)
            return Judgement(self._source, is_failed=True, detail=f"{self._source}: {error}")
        return merge([self._read(result) for result in results])

    async def _ask(self, body: _Body) -> list[_Result]:
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._ask_once(body)
            except _Unusable as error:
                if not error.may_pass:
                    raise
        return await self._ask_once(body)

    async def _ask_once(self, body: _Body) -> list[_Result]:
        try:
            async with self._http.post(
                self._url,
                json=body,
                headers=self._headers,
                allow_redirects=False,  # the key is for this server only
                timeout=aiohttp.ClientTimeout(total=self._options.timeout_s, connect=self._options.timeout_s),
            ) as response:
                if response.status != 200:
                    raise _Unusable(f"status {response.status}", may_pass=response.status >= 500)
                return _Answer.model_validate_json(await _read_bounded(response)).results
        except TimeoutError:
            raise _Unusable(f"no answer within {self._options.timeout_s:g} s") from None
        except aiohttp.ClientError as error:
            raise _Unusable(f"it cannot be reached ({type(error).__name__})", may_pass=True) from None
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"])) or "the whole"
            raise _Unusable(f"its answer is not of OpenAI's form ({where})") from None

    def _read(self, result: _Result) -> Judgement:
        limit = self._options.flag_above
        scores = {name: score for name, score in result.category_scores.items() if score is not None}
        over = {name for name, score in scores.items() if limit is not None and score > limit}
        named = {name for name, is_true in result.categories.items() if is_true}
        is_flagged = result.flagged or bool(over)
        categories = {name: scores.get(name, 1.0) for name in sorted(over | named)} if is_flagged else {}
        return Judgement(self._source, is_flagged, categories)


def _batches(pieces: Sequence[str]) -> list[Sequence[Any]]:
    return [pieces[at : at + PIECES_A_REQUEST] for at in range(0, len(pieces), PIECES_A_REQUEST)]


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    body = await response.content.read(_LARGEST_ANSWER + 1)
    while len(body) <= _LARGEST_ANSWER and (more := await response.content.read(_LARGEST_ANSWER)):
        body += more
    if len(body) > _LARGEST_ANSWER:
        raise _Unusable("its answer is far too long")
    return body


async def load(spec: Spec, around: Surroundings) -> OpenAIEndpoint:
    if not spec.argument and not spec.settings.keys() & {"url", "api_key"}:
        spec = Spec(spec.name, settings={**spec.settings, "api_key": f"env:{_OPENAI_KEY}"})
    key = spec.settings.get("api_key")
    if key is not None and not key.startswith("env:"):
        raise SetupError("The key of the moderator 'openai' stands in a variable: api_key=env:NAME.")
    return OpenAIEndpoint(around.http, options(EndpointOptions, spec, around, argument="url"))
