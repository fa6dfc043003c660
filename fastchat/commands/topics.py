"""`fastchat topics`: prompts in groups with names, and labels that make categories of votes.

`cluster` and `summarize` were `fastchat.serve.monitor.topic_clustering` and `…summarize_cluster`. Flags and files are
the same, but embeddings are kept as NumPy's `.npy`, and no pickle is ever read.
"""

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeInt, PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.core.actions import Action, run_action
from fastchat.core.errors import MissingPackage, SetupError
from fastchat.core.settings import Items, Settings, setting
from fastchat.engines.flags import ModelSettings
from fastchat.model import builtin

if TYPE_CHECKING:
    from fastchat.arena.leaderboard.categories.labelling import Ask, Progress
    from fastchat.arena.leaderboard.topics.outputs import Topics
    from fastchat.client.chat import Message
    from fastchat.client.fleet import Fleet
    from fastchat.client.pipe import Pipe
    from fastchat.engines.base import Engine
    from fastchat.ranking.comparisons import Floats

_AUTHORS = "sentence-transformers"
_EMBEDDINGS = "embeddings.npy"
_PROMPTS = "conversations, votes or prompts: JSON, JSON lines or Parquet"


class _TopicSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_TOPICS_")

    api_key: str | None = setting(None, "key for the server; better set by environment", env="FASTCHAT_API_KEY")
    seed: NonNegativeInt = setting(42, "the same result again for the same seed")


class ClusterSettings(_TopicSettings, ModelSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_TOPICS_")

    input_file: Path | None = setting(None, _PROMPTS)
    model: str = setting(
        "all-mpnet-base-v2",
        "what embeds: a folder, a name on the hub, or with --api-url a model there; 'tfidf' goes by words alone",
        metavar="NAME",
    )
    api_url: str | None = setting(None, "server with the model, which has /v1/embeddings")
    batch_size: PositiveInt = setting(256, "prompts embedded at once", metavar="N")
    min_length: PositiveInt | None = setting(None, "leave out prompts with fewer characters", metavar="N")
    max_length: PositiveInt | None = setting(None, "leave out prompts with more characters", metavar="N")
    english_only: bool = setting(False, "leave out prompts in other languages")
    num_clusters: PositiveInt = setting(20, "how many groups; HDBSCAN finds that out itself", metavar="N")
    cluster_alg: Literal["kmeans", "aggcls", "HDBSCAN"] = setting("kmeans", "how prompts are grouped")
    show_top_k: PositiveInt = setting(200, "prompts of a group in the file for reading", metavar="N")
    show_cut_off: PositiveInt = setting(512, "characters of a prompt there", metavar="N")
    save_embeddings: bool = setting(False, f"keep the vectors, as {_EMBEDDINGS}")
    embeddings_file: Path | None = setting(None, "vectors of an earlier run over the same prompts")
    labels_file: Path | None = setting(None, "write topics as labels, too: each can be a category of votes")


class SummarizeSettings(_TopicSettings):
    input_file: Path | None = setting(None, "results_…_all.jsonl, as `fastchat topics cluster` wrote it")
    model: str | None = setting(None, "who is asked (default: the first that the server lists)", metavar="NAME")
    num_prompts: PositiveInt = setting(100, "prompts of a group that the model is shown", metavar="N")
    api_url: str = setting("http://localhost:8000/v1", "server that answers OpenAI's API")
    max_tokens: PositiveInt = setting(512, "longest answer, thoughts included", metavar="N")


class LabelSettings(_TopicSettings):
    input_file: Path | None = setting(None, _PROMPTS)
    output_file: Path = setting(Path("labels.jsonl"), "file of labels; what it has is not asked again")
    tasks: Items = setting(("criteria", "if", "math", "creative_writing"), "which labels")
    model: str | None = setting(None, "who is asked (default: the first that the server lists)", metavar="NAME")
    api_url: str = setting("http://localhost:8000/v1", "server that answers OpenAI's API")
    max_tokens: PositiveInt = setting(512, "longest answer, thoughts included", metavar="N")
    parallel: PositiveInt = setting(16, "questions at the same time", metavar="N")


def main(argv: Sequence[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if argv is None else argv)
    actions = {
        "cluster": Action(ClusterSettings, _cluster, "group prompts by what they are about"),
        "summarize": Action(SummarizeSettings, _summarize, "have a model name such groups"),
        "label": Action(LabelSettings, _label, "have a model label prompts, for categories of votes"),
    }
    run_action("fastchat topics", "Topics and labels of prompts.", actions, arguments)


def _needs(package: str, module: str, what: str) -> None:
    if find_spec(module) is None:
        raise MissingPackage(package, "categories", what)


def _given(file: Path | None) -> Path:
    if file is None:
        raise SetupError("--input-file is missing: which prompts?")
    return file


# cluster


async def _cluster(settings: ClusterSettings) -> int:
    _needs("scikit-learn", "sklearn", "Finding topics")
    from fastchat.arena.leaderboard.categories.label_file import open_labels
    from fastchat.arena.leaderboard.topics.clustering import cluster
    from fastchat.arena.leaderboard.topics.naming import key_words
    from fastchat.arena.leaderboard.topics.outputs import Topics, add_labels, write
    from fastchat.arena.leaderboard.topics.prompts import chosen, read_prompts

    asked = [turn for turns in read_prompts(_given(settings.input_file)) for turn in turns]
    limits = {"min_length": settings.min_length, "max_length": settings.max_length}
    texts = chosen(asked, **limits, english_only=settings.english_only)
    print(f"{len(asked)} prompts, {len(texts)} after filters and without those that are there already")
    vectors = await _vectors(settings, texts)
    clusters = cluster(vectors, settings.cluster_alg, settings.num_clusters, settings.seed)
    topics = Topics(texts, clusters, key_words(texts, clusters.group), settings.cluster_alg)
    _show(topics)
    written = write(
        topics, Path(), show_top_k=settings.show_top_k, show_cut_off=settings.show_cut_off, seed=settings.seed
    )
    for file in written:
        print(f"{file}: written")
    if settings.labels_file is not None:
        with open_labels(settings.labels_file) as labels:
            add_labels(topics, labels, f"{settings.model}, {topics.prefix}, seed {settings.seed}")
        print(f"{settings.labels_file}: written")
    return 0


def _show(topics: "Topics") -> None:
    total = len(topics.texts)
    for group in range(len(topics.clusters)):
        size = len(topics.clusters.members(group))
        print(f"{group:>4} {size:>7} {size / total:>6.1%}  {topics.name(group)}")
    if topics.clusters.noise:
        print(f"   - {topics.clusters.noise:>7} {topics.clusters.noise / total:>6.1%}  in no group")


async def _vectors(settings: ClusterSettings, texts: Sequence[str]) -> "Floats":
    import numpy as np

    from fastchat.arena.leaderboard.topics import lexical

    if settings.embeddings_file is not None:
        return _kept_vectors(settings.embeddings_file, len(texts))
    if settings.model == lexical.NAME:
        vectors = lexical.tfidf(texts, settings.seed) if texts else np.zeros((0, 1))
    else:
        vectors = await _embedded(settings, texts)
    if settings.save_embeddings:
        np.save(_EMBEDDINGS, vectors, allow_pickle=False)
        print(f"{_EMBEDDINGS}: written")
    return vectors


def _kept_vectors(file: Path, wanted: int) -> "Floats":
    import numpy as np

    from fastchat.arena.leaderboard.topics.embedding import unit_length

    try:
        vectors = np.load(file, allow_pickle=False)
    except (ValueError, EOFError):
        raise SetupError(f"--embeddings-file {file} is no .npy file of numbers, as --save-embeddings writes.") from None
    if vectors.ndim != 2 or len(vectors) != wanted:
        raise SetupError(f"--embeddings-file {file} has shape {vectors.shape}, but there are {wanted} prompts.")
    return unit_length(vectors.astype(np.float64))


async def _embedded(settings: ClusterSettings, texts: Sequence[str]) -> "Floats":
    from fastchat.arena.leaderboard.topics.embedding import ServedEmbedder, embed_all

    def tell(done: int) -> None:
        print(f"\rembedded {done} of {len(texts)}", end="" if done < len(texts) else "\n", file=sys.stderr, flush=True)

    if settings.api_url:
        async with _server(settings.api_url, settings.api_key) as (_, pipe):
            embedder = ServedEmbedder(pipe, settings.model, settings.api_key)
            return await embed_all(embedder, texts, batch_size=settings.batch_size, tell=tell)
    settings.choose_gpus()
    engine = await _load(settings)
    try:
        return await embed_all(_Local(engine), texts, batch_size=settings.batch_size, concurrency=1, tell=tell)
    finally:
        await engine.close()


async def _load(settings: ClusterSettings) -> "Engine":
    try:
        return await settings.load(_full_name(settings.model))
    except SetupError as error:
        raise SetupError(
            f"{error.message}\nInstead of this model, --model takes a folder with one, --api-url a server that has "
            "one, and --model tfidf goes by words alone."
        ) from None


def _full_name(model: str) -> str:
    """FastChat named models of these authors without them."""
    is_whole = "/" in model or model in builtin.ALIASES or model.partition(":")[0] == "scripted" or Path(model).exists()
    return model if is_whole else f"{_AUTHORS}/{model}"


class _Local:
    """A model in this process."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return (await self._engine.embed(list(texts))).rows


# summarize and label


async def _summarize(settings: SummarizeSettings) -> int:
    _needs("numpy", "numpy", "Topics")
    from fastchat.arena.leaderboard.topics.outputs import read_groups
    from fastchat.arena.leaderboard.topics.summarizing import summarize

    groups = read_groups(_given(settings.input_file))
    target = Path(f"cluster_summary_{len(groups)}.jsonl")
    rows = []
    async with _asking(settings.api_url, settings.api_key, settings.model, settings.max_tokens) as (ask, _):
        for group in range(len(groups)):
            found = await summarize(groups, group, ask, num_prompts=settings.num_prompts, seed=settings.seed)
            print(f"{group:>4} {len(groups[group]):>7} {found.percentage:>6.1%}  {found.topic}", flush=True)
            rows.append({"topic": found.topic, "percentage": found.percentage})
    _write_lines(target, rows)
    print(f"{target}: written")
    return 0


def _write_lines(file: Path, rows: Sequence[object]) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


async def _label(settings: LabelSettings) -> int:
    """1 if some prompts could not be labelled."""
    from fastchat.arena.leaderboard.categories.label_file import open_labels
    from fastchat.arena.leaderboard.categories.labelling import Labeller
    from fastchat.arena.leaderboard.categories.tasks import TASKS
    from fastchat.arena.leaderboard.topics.prompts import read_prompts

    if unknown := [name for name in settings.tasks if name not in TASKS]:
        known = "; ".join(f"{task.name}: {task.about}" for task in TASKS.values())
        raise SetupError(f"--tasks: there is no {unknown[0]!r}. There are: {known}.")
    prompts = ["\n\n".join(turns) for turns in read_prompts(_given(settings.input_file))]
    tasks = [TASKS[name] for name in settings.tasks]
    asking = _asking(settings.api_url, settings.api_key, settings.model, settings.max_tokens)
    with open_labels(settings.output_file) as labels:
        async with asking as (ask, model):
            labeller = Labeller(ask, model, settings.parallel)
            progress = await labeller.label(prompts, tasks, labels, _tell)
    print(f"{settings.output_file}: {progress.labelled} labels written, {progress.known} were there already")
    for why, count in progress.failures.most_common():
        print(f"{count:>7} not labelled: {why}", file=sys.stderr)
    return 1 if progress.failed else 0


def _tell(progress: "Progress") -> None:
    done = progress.labelled + progress.failed
    if done % 100 == 0:
        print(f"{done} questions, {progress.failed} without a label", file=sys.stderr, flush=True)


@asynccontextmanager
async def _server(api_url: str, api_key: str | None) -> "AsyncIterator[tuple[Fleet, Pipe]]":
    import aiohttp

    from fastchat.client.fleet import Fleet
    from fastchat.client.http1 import Http1Client
    from fastchat.client.pipe import Pipe
    from fastchat.client.servers import ask_server

    fleet = Fleet()
    async with aiohttp.ClientSession() as session:
        fleet.update([await ask_server(session, api_url, api_key)])
    pipe = Pipe(fleet, Http1Client(connect_s=10, idle_s=600))
    try:
        yield fleet, pipe
    finally:
        await pipe.close()


@asynccontextmanager
async def _asking(
    api_url: str, api_key: str | None, model: str | None, max_tokens: int
) -> "AsyncIterator[tuple[Ask, str]]":
    """A function that asks the model, always for its likeliest answer; and the model's name."""
    from fastchat.client.chat import ChatClient, ChatParameters

    parameters = ChatParameters(temperature=0.0, max_tokens=max_tokens)
    async with _server(api_url, api_key) as (fleet, pipe):
        client = ChatClient(fleet, pipe, api_key=api_key)
        name = model or next(iter(client.models), "")
        if not name:
            raise SetupError(f"{api_url} lists no model. Start one, or name another server with --api-url.")

        async def ask(messages: "Sequence[Message]") -> str:
            return (await client.complete(name, messages, parameters)).text

        yield ask, name
