"""What the terminal shows."""

import io
import json
import shlex

import pytest
from rich.console import Console

from fastchat.launcher import views
from fastchat.launcher.monitor import ModelStatus, WorkerStatus
from fastchat.launcher.processes import Event
from fastchat.launcher.supervisor import curl_line
from fastchat.launcher.views import LineView, LiveView, choose_view, model_table


def worker(pid: int | None, *, is_serving: bool = True) -> WorkerStatus:
    return WorkerStatus(
        name="w", state="running", pid=pid, restarts=0, is_serving=is_serving, memory_bytes=1_500_000_000
    )


def shown(*models: ModelStatus) -> list[list[str]]:
    columns = [[str(cell) for cell in column.cells] for column in model_table(models).columns]
    return [list(row) for row in zip(*columns, strict=True)]


def test_the_table_shows_load_and_memory() -> None:
    model = ModelStatus(
        names=("a",),
        model="a.gguf",
        engine="llamacpp",
        state="ready",
        workers=(worker(11), worker(12, is_serving=False)),
        running=3,
        waiting=1,
        tokens_per_s=12.34,
    )

    assert shown(model) == [["a", "llamacpp", "ready 1/2", "11 12", "3", "1", "12.3", "3.00 GB"]]


def test_a_hosted_model_has_no_process_to_show() -> None:
    assert shown(ModelStatus(names=("b",), model="up", engine="hosted", state="ready")) == [
        ["b", "hosted", "ready", "", "", "", "", ""]
    ]


def test_a_name_is_shown_as_it_is_written() -> None:
    assert shown(ModelStatus(names=("[red]b",), model="up", engine="hosted", state="ready"))[0][0] == "[red]b"


def test_the_table_fits_into_eighty_columns() -> None:
    workers, names = (worker(123456),), ("smollm2-135m-instruct",)
    model = ModelStatus(names=names, model="builtin", engine="llamacpp", state="restarting", workers=workers)
    console = Console(file=(output := io.StringIO()), width=80)

    console.print(model_table((model,)))

    assert len(output.getvalue().splitlines()) == 2


def test_without_a_terminal_each_event_is_a_line() -> None:
    output = io.StringIO()
    view = choose_view(Console(file=output, width=40))

    view.say("a line that is much longer than forty characters stays one line")
    view.report(Event("worker-a-1", "crashed", "killed by SIGKILL; starts again in 0.5 s", ("last [bold]words",)))

    assert output.getvalue().splitlines() == [
        "a line that is much longer than forty characters stays one line",
        "worker-a-1: killed by SIGKILL; starts again in 0.5 s",
        "  last [bold]words",
    ]


async def test_without_a_terminal_each_change_of_a_model_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "LINE_S", 0)
    model = ModelStatus(names=("a", "b"), model="a.gguf", engine="llamacpp", state="starting")
    ready, failed = model.model_copy(update={"state": "ready"}), model.model_copy(update={"state": "failed"})
    story = iter([(model,), (model,), (ready,), (ready,), (failed,)])
    output = io.StringIO()

    async def look() -> tuple[ModelStatus, ...]:
        for models in story:
            return models
        raise EOFError

    with pytest.raises(EOFError):
        await LineView(Console(file=output)).follow(look)

    assert output.getvalue().splitlines() == ["a, b: ready", "a, b: failed"]


def test_a_terminal_gets_the_live_table() -> None:
    view = choose_view(Console(file=io.StringIO(), force_terminal=True))

    assert isinstance(view, LiveView)
    assert not isinstance(choose_view(Console(file=io.StringIO())), LiveView)


class ClosedTerminal(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


async def test_a_terminal_that_is_gone_stops_nobody() -> None:
    async def look() -> tuple[ModelStatus, ...]:
        return ()

    LineView(Console(file=ClosedTerminal())).say("is anybody there?")
    await LiveView(Console(file=ClosedTerminal(), force_terminal=True)).follow(look)


def test_the_curl_line_survives_the_shell() -> None:
    _, url, *flags = shlex.split(curl_line("http://127.0.0.1:8000", "it's", needs_key=True))

    assert url == "http://127.0.0.1:8000/v1/chat/completions"
    assert "Authorization: Bearer $FASTCHAT_API_KEY" in flags
    assert json.loads(flags[-1])["model"] == "it's"
