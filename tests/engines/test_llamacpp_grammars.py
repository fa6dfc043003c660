"""What is peculiar about grammars in llama.cpp, as text; on the real model it is tested in `test_llamacpp.py`."""

import pytest

from fastchat.engines.grammars import json_answer
from fastchat.engines.llamacpp.grammars import is_json, probe


def test_a_probe_begins_with_the_mark_and_is_else_the_same() -> None:
    grammar = json_answer({"const": "start: answer"})
    assert probe(grammar).count("~!~!~") == 1
    assert probe(grammar).replace('"~!~!~" ', "") == grammar


@pytest.mark.parametrize(
    ("text", "whole", "beginning"),
    [
        ('{"a": [1]}', True, True),
        ('{"a": [1', False, True),
        ('{"a": -', False, True),
        ("tru", False, True),
        ("", False, True),
        ('"\\ud83d"', True, True),
        ('{"a"=', False, False),
        ("Hello", False, False),
    ],
)
def test_json_and_the_beginning_of_json_are_told_from_prose(text: str, whole: bool, beginning: bool) -> None:
    assert (is_json(text, is_cut=False), is_json(text, is_cut=True)) == (whole, beginning)
