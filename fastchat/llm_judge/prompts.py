"""The judge's prompts: JSON lines that users edit, in FastChat's form, so that FastChat's own file can be given too.

    {"name": "single-v1", "type": "single", "system_prompt": …, "prompt_template": "… {question} … {answer} …",
     "description": …, "category": "general", "output_format": "[[rating]]"}

The name ends with `-multi-turn` where the second turn is judged, with `-dialogue` (ours) where a later one is;
`-rubric-v1` and `-checklist-v1` (ours) serve questions that bring their own. Prompts of the type `list` (ours) have one
placeholder for all answers, however many there are, and `-dialogue` for every turn after the first. Rows of the type
`note` (ours) are what we say besides: about fences, about JSON, and after a reply that nobody could read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from string import Formatter
from typing import Literal, Self, TypeAlias

from pydantic import model_validator

from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import read_rows
from fastchat.llm_judge.records import Kind, Row

OutputFormat: TypeAlias = Literal["[[rating]]", "[[A]]", "[[rating_a,rating_b]]", "[[yes]]", "[[A > B = C]]"]
MULTI_TURN = "-multi-turn"
DIALOGUE = "-dialogue"
RUBRIC = "-rubric-v1"
CHECKLIST = "-checklist-v1"
_FORMATS: Mapping[str, tuple[OutputFormat | None, ...]] = {
    "single": ("[[rating]]", "[[yes]]"),
    "pairwise": ("[[A]]", "[[rating_a,rating_b]]"),
    "list": ("[[A > B = C]]",),
    "note": (None,),
}
_NOTES: Mapping[str, set[str]] = {  # with the placeholders of each
    "fence": {"begin", "end"},
    "closing": set(),
    "closing-json": {"schema"},
    "reminder": {"reason"},
}


class JudgePrompt(Row):
    name: str
    type: Literal["single", "pairwise", "list", "note"]
    prompt_template: str
    system_prompt: str = ""
    description: str = ""
    category: str = ""
    output_format: OutputFormat | None = None

    @model_validator(mode="after")
    def _has_its_placeholders(self) -> Self:
        try:
            used = {name for _, name, _, _ in Formatter().parse(self.prompt_template) if name is not None}
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}. Write braces that are no placeholder twice: {{{{ }}}}") from None
        if unknown := used - (known := _placeholders(self.type, self.name)):
            raise ValueError(
                f"{self.name} has the placeholder {{{sorted(unknown)[0]}}}; there are: {', '.join(sorted(known))}"
            )
        if lacking := _needed(self.type, self.name) - used:
            raise ValueError(f"{self.name} lacks the placeholder {{{sorted(lacking)[0]}}}, so nothing would be judged")
        if self.output_format not in _FORMATS[self.type]:
            raise ValueError(f"{self.name} is of the type {self.type} and has the output_format {self.output_format}")
        return self


@dataclass(frozen=True, slots=True)
class JudgePrompts:
    by_name: Mapping[str, JudgePrompt]

    def single(self, turn: int, with_reference: bool) -> JudgePrompt:
        return self.by_name["single-math-v1" + _ending(turn) if with_reference else "single-v1" + _ending(turn)]

    def pairwise(self, turn: int, with_reference: bool) -> JudgePrompt:
        return self.by_name["pair-math-v1" + _ending(turn) if with_reference else "pair-v2" + _ending(turn)]

    def listwise(self, turn: int, with_reference: bool) -> JudgePrompt:
        ending = DIALOGUE if turn > 1 else ""
        return self.by_name["list-math-v1" + ending if with_reference else "list-v1" + ending]

    def by_criteria(self, kind: Kind, is_checklist: bool) -> JudgePrompt:
        """Answers are compared, not ticked off: to several a checklist is a rubric."""
        return self.by_name[kind + (CHECKLIST if is_checklist and kind == "single" else RUBRIC)]

    def note(self, name: str, **values: str) -> str:
        return self.by_name[name].prompt_template.format(**values)


def read_prompts(file: Path | None = None) -> JudgePrompts:
    """Ours, and in their place those of the same name in the file.

    Raises:
        SetupError: the file cannot be read, or a prompt in it cannot be used.
    """
    with as_file(files("fastchat.llm_judge") / "data" / "judge_prompts.jsonl") as ours:
        prompts = {prompt.name: prompt for prompt in read_rows(ours, JudgePrompt)}
    for prompt in read_rows(file, JudgePrompt) if file else ():
        if (replaced := prompts.get(prompt.name)) and replaced.type != prompt.type:
            raise SetupError(f"{file}: {prompt.name} has the type {prompt.type}; it has to be {replaced.type}.")
        prompts[prompt.name] = prompt
    return JudgePrompts(prompts)


def _ending(turn: int) -> str:
    return ("", MULTI_TURN)[turn - 1] if turn <= 2 else DIALOGUE


def _placeholders(type: str, name: str) -> set[str]:
    if type == "note":
        return _NOTES.get(name, set())
    known = _needed(type, name)
    if name.endswith((DIALOGUE, RUBRIC, CHECKLIST)):
        return known | {"ref_dialogue"}
    if type == "list":
        return known | {"question", "ref_answer_1"}
    if name.endswith(MULTI_TURN):
        return (
            known
            | {"question_1", "question_2", "ref_answer_1", "ref_answer_2"}
            | {each.replace("_2", "_1") for each in known}
        )
    return known | {"question", "ref_answer_1"}


def _needed(type: str, name: str) -> set[str]:
    """What is judged; without it in the prompt, the verdict would be about nothing."""
    if type == "note":
        return _NOTES.get(name, set())
    sides = {"single": ("",), "pairwise": ("_a", "_b"), "list": ("s",)}[type]
    if name.endswith((RUBRIC, CHECKLIST)):
        return {"criteria", *(f"dialogue{side}" for side in sides)}
    if name.endswith(DIALOGUE):
        return {f"dialogue{side}" for side in sides}
    if type == "list":
        return {"answers"}
    return {f"answer{side}_2" if name.endswith(MULTI_TURN) else f"answer{side}" for side in sides}
