from fastchat.data.texts import words_of


def test_words_of_ascii_are_those_that_stand_in_any_other_text() -> None:
    text = "".join(f"{chr(code)}b" for code in range(128))
    assert words_of(f"{text} é") == [*words_of(text), "é"]
    assert words_of("Don't_stop, X-Ray\x1c2\t(a)") == ["don", "t_stop", "x", "ray", "2", "a"]
