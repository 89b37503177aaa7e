"""Whether the peers agree."""

import json
from collections.abc import Mapping

TOLERANCE = 1e-3


def of_answer(body: bytes) -> dict[str, float]:
    """Scores by candidate, or the elements of embeddings by row and dimension."""
    answer = json.loads(body)
    if isinstance(answer, list):
        rows = enumerate(answer)
        return {f"{row} {at}": float(x) for row, values in rows for at, x in enumerate(values)}
    return {text: float(score) for text, score in answer["Scores"]}


def differences(answers: Mapping[str, bytes], reference: str) -> dict[str, float]:
    """Largest absolute difference of a score or element from the reference's, by peer.

    Raises:
        ValueError: a peer scored other candidates, or differs by more than the tolerance.

    """
    expected = of_answer(answers[reference])
    found = {}
    for name, body in answers.items():
        scores = of_answer(body)
        if scores.keys() != expected.keys():
            raise ValueError(f"{name} scored other candidates than {reference}")
        worst = max(abs(scores[text] - expected[text]) for text in expected)
        if worst > TOLERANCE:
            raise ValueError(f"{name} differs from {reference} by {worst:.2e}, over {TOLERANCE}")
        found[name] = worst
    return found
