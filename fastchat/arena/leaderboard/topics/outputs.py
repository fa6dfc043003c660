"""The files of a clustering, FastChat's names and fields, in the folder where the command runs.

results_c20_kmeans_topk.txt     the most central prompts of each group, for reading
results_c20_kmeans_all.jsonl    {"cluster": 0, "text": "…", "sim": 0.83, "topic": "python, code"}; -1: in no group
results_c20_kmeans_cluster.pkl  [(size, central prompts, random prompts), …], plain lists; only written, never read here
"""

import json
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fastchat.arena.leaderboard.categories.label_file import Label, LabelFile, digest_of
from fastchat.arena.leaderboard.categories.labels import TOPIC
from fastchat.arena.leaderboard.topics.clustering import NOISE, Algorithm, Clusters
from fastchat.core.errors import SetupError

_ALL, _PICKLE = "_all.jsonl", "_cluster.pkl"


@dataclass(frozen=True, slots=True, eq=False)
class Topics:
    texts: Sequence[str]
    clusters: Clusters
    key_words: Sequence[Sequence[str]]
    algorithm: Algorithm

    @property
    def prefix(self) -> str:
        return f"results_c{len(self.clusters)}_{self.algorithm}"

    def name(self, group: int) -> str:
        """Unlike any other's: groups can share all their key words."""
        words = ", ".join(self.key_words[group]) if group != NOISE else ""
        names = [", ".join(other) for other in self.key_words[:group]] if group > 0 else []
        return f"{words} ({group})" if words in names or (group != NOISE and not words) else words

    def central(self, group: int, count: int) -> list[str]:
        return [self.texts[place] for place in self.clusters.members(group)[:count]]


class Written(NamedTuple):
    top: Path
    all: Path
    pickle: Path


def write(topics: Topics, folder: Path, *, show_top_k: int, show_cut_off: int, seed: int) -> Written:
    """What was there under these names is written anew."""
    written = Written(*(folder / f"{topics.prefix}{end}" for end in ("_topk.txt", _ALL, _PICKLE)))
    written.top.write_text(overview(topics, show_top_k, show_cut_off), "utf-8")
    with written.all.open("w", encoding="utf-8") as file:
        for row in rows(topics):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    with written.pickle.open("wb") as binary:
        pickle.dump(_plain(topics, show_top_k, seed), binary)
    return written


def overview(topics: Topics, show_top_k: int, show_cut_off: int) -> str:
    parts = []
    for group in range(len(topics.clusters)):
        size = len(topics.clusters.members(group))
        head = f" cluster {group}, #samples: {size}, {topics.name(group)} "
        prompts = [f"PROMPT: {text[:show_cut_off]}" for text in topics.central(group, show_top_k)]
        parts.append("\n".join([f"{head:=^80}", *prompts, "=" * 80, ""]))
    return "\n".join(parts)


def rows(topics: Topics) -> Iterator[dict[str, object]]:
    groups = [*range(len(topics.clusters)), *([NOISE] if topics.clusters.noise else [])]
    for group in groups:
        for place in topics.clusters.members(group):
            similarity = round(float(topics.clusters.similarity[place]), 6)
            yield {"cluster": group, "text": topics.texts[place], "sim": similarity, TOPIC: topics.name(group)}


def add_labels(topics: Topics, labels: LabelFile, by: str) -> None:
    """The topic of each prompt, so that `categories` can give each topic a board."""
    for group in range(len(topics.clusters)):
        for place in topics.clusters.members(group):
            labels.add(Label(TOPIC, by, digest_of(topics.texts[place]), {TOPIC: topics.name(group)}))


def _plain(topics: Topics, show_top_k: int, seed: int) -> list[tuple[int, list[str], list[str]]]:
    chance = np.random.default_rng(seed)
    infos = []
    for group in range(len(topics.clusters)):
        members = topics.clusters.members(group)
        drawn = chance.permutation(members)[:show_top_k]
        infos.append((len(members), topics.central(group, show_top_k), [topics.texts[place] for place in drawn]))
    return infos


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    cluster: int = Field(ge=NOISE)
    text: str


def read_groups(file: Path) -> list[list[str]]:
    """Prompts of each group as `_all.jsonl` has them, the most central first. For a pickle, the file beside it is read.

    Raises:
        SetupError: there is none, or it is something else.
    """
    if file.suffix == ".pkl":
        beside = file.with_name(file.name.removesuffix(_PICKLE) + _ALL)
        if not file.name.endswith(_PICKLE) or not beside.exists():
            raise SetupError(
                f"--input-file {file}: a pickle can run any program when it is read, so this one is not. Give the file "
                f"that was written with it, {beside.name}."
            )
        file = beside
    groups: dict[int, list[str]] = {}
    number = 0
    try:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                number += 1
                row = _Row.model_validate_json(line)
                groups.setdefault(row.cluster, []).append(row.text)
    except OSError as error:
        raise SetupError(f"--input-file {file} cannot be read: {error.strerror or error}.") from None
    except (ValidationError, UnicodeDecodeError):
        raise SetupError(
            f"{file}:{number}: this is no row of a clustering, as fastchat topics cluster writes."
        ) from None
    groups.pop(NOISE, None)
    return [groups[group] for group in sorted(groups)]
