"""Ask the oracle live: what is recorded, and expressions that nobody thought of. ``python -m tests.oracle.nightly``."""

from __future__ import annotations

import argparse
import logging

from hypothesis import HealthCheck, Phase, given, settings

from tests.oracle import grammar, live, questions, reference
from tests.oracle.comparing import as_at_home
from tests.oracle.recorded import table


def main() -> None:
    """Compare so many expressions; ends with what is not alike."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.nightly")
    parser.add_argument("--expressions", type=int, default=20_000, help="how many to make")
    asked = parser.parse_args()
    logging.disable()  # what stays as it is written is said in the log
    unlike = [*_recorded(), *_made(asked.expressions)]
    for text, home, ours in unlike[:50]:
        print(f"{text!r}\n  at home: {home}\n  here:    {ours}")
    if unlike:
        raise SystemExit(f"{len(unlike)} texts are not read as at home")


def _recorded() -> list[tuple[object, object, object]]:
    """What the oracle says by now of what was recorded."""
    unlike: list[tuple[object, object, object]] = []
    page = reference.PAGE.read_text(encoding="utf-8")
    for name in ("differences", "expressions", "reference", "yaml"):
        rows = table(name)
        context = reference.context(page) if name == "reference" else questions.CONTEXT
        asked = [{key: value for key, value in row.items() if key != "answer"} for row in rows]
        answers = live.ask({**question, "context": context} for question in asked)
        unlike += [
            (row.get("render", row.get("yaml")), answer, row["answer"])
            for row, answer in zip(rows, answers, strict=True)
            if answer != row["answer"] and "random" not in str(row)
        ]
    return unlike


def _made(number: int) -> list[tuple[object, object, object]]:
    """The shortest first of what is not alike among so many texts that a grammar made."""
    texts: dict[str, None] = {}

    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(grammar.TEXTS)
    def collect(text: str) -> None:
        texts[text] = None

    while len(texts) < number:
        collect()
        print(f"{len(texts):,} different expressions are made", flush=True)
    asked = list(texts)[:number]
    answers = live.ask({"render": text, "context": questions.CONTEXT} for text in asked)
    unlike = [
        (text, answer, ours)
        for text, answer in zip(asked, answers, strict=True)
        if (ours := as_at_home(text)) != answer
    ]
    print(f"{len(asked):,} expressions were compared, {len(unlike)} are not alike", flush=True)
    return sorted(unlike, key=lambda one: len(str(one[0])))


if __name__ == "__main__":
    main()
