from fastchat.arena.records import FilePart, Mode, Outcome, Side, TextPart
from fastchat.arena.scrubbing import SENTENCES
from fastchat.web.shared_page import shared_page
from fastchat.web.texts import Catalogue
from tests.web.scenes import answer, turn, view

CATALOGUE = Catalogue.load()
ENGLISH = CATALOGUE.of("en")


def page_of(text: str, **fields: object) -> str:
    shown = view(turn("Hi <b>", answer(text=text, model="tiny-chat", **fields)), title="<i>Title</i>")
    return shared_page(shown, ENGLISH, root="../", files="files/", product="FastChat")


def test_markdown_is_rendered_and_html_is_not() -> None:
    page = page_of("**Bold**, `code`\n\n| a |\n|---|\n| 1 |\n\n<script>alert(1)</script> <img src=x onerror=y>")
    assert "<strong>Bold</strong>" in page
    assert "<table>" in page
    for bad in ("<script", "<img", "<b>", "<i>Title"):
        assert bad not in page


def test_no_picture_of_elsewhere_is_embedded_and_no_link_runs() -> None:
    page = page_of("![a](http://127.0.0.1:9/a.png) [b](javascript:alert(1)) [c](https://example.com/)")
    assert "<img" not in page
    assert 'href="javascript:' not in page
    assert 'rel="noopener noreferrer nofollow"' in page


def test_reasoning_is_folded() -> None:
    page = page_of("<think>Hm.</think>So.")
    assert "<details><summary>Reasoning</summary><p>Hm.</p>" in page


def test_a_battle_shows_both_sides_and_the_verdict() -> None:
    image = FilePart(type="image", file_id="f 1", media_type="image/png", name='"x"')
    question = (image, TextPart(text="What?"))
    both = turn(question, answer(Side.LEFT, text="A heron."), answer(Side.RIGHT, text="A wren."))
    shown = view(both, mode=Mode.BATTLE, outcome=Outcome.RIGHT)
    page = shared_page(shown, ENGLISH, root="../", files="files/", product="FastChat")
    for wanted in ("osprey-7b", "plover-9b", "A heron.", "A wren.", "model B better", 'src="files/f%201"'):
        assert wanted in page
    assert 'alt="&quot;x&quot;"' in page


def test_the_page_around_it_is_in_the_readers_language() -> None:
    failed = answer(Side.LEFT, text="l", failure=SENTENCES["broke_off"])
    shown = view(turn("Hi", failed, answer(Side.RIGHT, text="r")), mode=Mode.BATTLE, outcome=Outcome.TIE, title="")
    page = shared_page(shown, CATALOGUE.of("de"), root="../", files="files/", product="FastChat")
    for wanted in ('<html lang="de">', "Ein Gespräch", "Modell A: ", "unentschieden", "beim Antworten ausgefallen"):
        assert wanted in page
