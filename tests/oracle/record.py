"""Record what the oracle says: ``python -m tests.oracle.record``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.oracle import live, questions, yaml_questions
from tests.oracle.recorded import TABLES


def main() -> None:
    """Write each table again."""
    record("yaml", [{"yaml": text} for text in yaml_questions.YAML], {})
    record("differences", questions.differences(), {"context": questions.CONTEXT})
    record("expressions", questions.expressions(), {"context": questions.CONTEXT})
    from tests.oracle import reference

    reference.main()


def record(name: str, asked: Iterable[Mapping[str, Any]], common: Mapping[str, Any]) -> None:
    """Write one table again.

    Args:
        name: of its file.
        asked: the questions.
        common: what each of them has besides, and is not written down.
    """
    asked = list(asked)
    answers = live.ask({**question, **common} for question in asked)
    rows = [{**question, "answer": answer} for question, answer in zip(asked, answers, strict=True)]
    lines = ",\n".join(json.dumps(row, ensure_ascii=True, sort_keys=True) for row in rows)
    (TABLES / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
