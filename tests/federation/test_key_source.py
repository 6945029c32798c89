from __future__ import annotations

from federation.key_source import OperatingSystemKeys, SeededKeys
from tests.callbacks.parts import make_pipeline, make_state, make_updates, send

QUESTION = ("ann", 3, 0, "noise")


def test_a_seed_answers_the_same_question_alike():
    assert SeededKeys(7).stream(*QUESTION).bytes(32) == SeededKeys(7).stream(*QUESTION).bytes(32)


def test_every_part_of_the_question_matters():
    questions = [
        QUESTION,
        ("bob", 3, 0, "noise"),
        ("ann", 4, 0, "noise"),
        ("ann", 3, 1, "noise"),
        ("ann", 3, 0, "mask"),
    ]
    # Without lengths between the parts these would be one question.
    questions += [("a", 11, 1, "x"), ("a1", 1, 1, "x"), ("a", 1, 11, "x"), ("", 3, 0, "annnoise")]
    answers = {SeededKeys(7).stream(*question).bytes(32) for question in questions}
    assert len(answers) == len(questions)
    assert SeededKeys(8).stream(*QUESTION).bytes(32) not in answers


def test_the_operating_system_never_repeats_itself():
    source = OperatingSystemKeys()
    assert len({source.stream(*QUESTION).bytes(32) for _ in range(100)}) == 100


def test_a_round_asks_for_no_stream_twice(tmp_path, monkeypatch):
    """A seeded source would answer with the same secrets, or noise, again."""
    asked, stream = [], SeededKeys.stream
    monkeypatch.setattr(SeededKeys, "stream", lambda *question: asked.append(question[1:]) or stream(*question))
    send(make_pipeline(tmp_path), make_state(), make_updates())
    assert {purpose for *_, purpose in asked} >= {"coin", "rounding", "noise", "mask", "self mask", "shares"}
    assert len(set(asked)) == len(asked)
