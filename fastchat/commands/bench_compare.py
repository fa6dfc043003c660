"""`fastchat bench compare`: what another judge, other prompts or another run say about the same models."""

from pathlib import Path

from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.settings import Items, Settings, setting


class CompareSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    first: Path | None = setting(None, "one folder of judgments", metavar="DIR_A", positional=True)
    second: Path | None = setting(
        None, "the other; the same for two judges of one folder", metavar="DIR_B", positional=True
    )
    judges: Items = setting((), "whose verdicts of the one and of the other (default: there is but one)", metavar="A,B")
    models: Items = setting((), "only these (default: all that are in both)", "--model", metavar="A,B")
    is_json: bool = setting(False, "as JSON, with all that changed", "--json")


async def compare(settings: CompareSettings) -> int:
    if settings.first is None or settings.second is None:
        raise SetupError("Which two folders? fastchat bench compare DIR_A DIR_B")
    if len(settings.judges) > 2:
        raise SetupError(f"--judges names {len(settings.judges)} judges; one for each folder, or one for both.")
    from fastchat.llm_judge.results.compare import compare
    from fastchat.llm_judge.results.compare_tables import comparison_tables
    from fastchat.llm_judge.results.rendering import text

    judges = (settings.judges[0], settings.judges[-1]) if settings.judges else (None, None)
    found = compare(settings.first, settings.second, judges, settings.models)
    print(found.json() if settings.is_json else text(comparison_tables(found)), end="\n" if settings.is_json else "")
    return 0
