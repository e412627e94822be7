"""The states of a job, and the moves between them."""

from __future__ import annotations

import pytest

from ropeway.states import FINAL, TRANSITIONS, State, diagram


def test_only_a_person_moves_what_is_final() -> None:
    """Only reviving moves a job out of a final state, from each to waiting; some verb into each."""
    assert {state for state in State if state.final} == FINAL
    moves = {move: verb for move, verb in TRANSITIONS.items() if move[0] in FINAL}
    assert moves == dict.fromkeys([(state, State.QUEUED) for state in FINAL], "revive")
    assert {target for _, target in TRANSITIONS} >= FINAL


def test_every_state_leads_to_an_end() -> None:
    """From each state that is not final a final one can be reached."""
    for state in set(State) - FINAL:
        reached, ahead = {state}, [state]
        while ahead:
            here = ahead.pop()
            new = {target for source, target in TRANSITIONS if source is here} - reached
            reached |= new
            ahead += new
        assert reached >= FINAL


def test_nothing_settles_what_does_not_run() -> None:
    """Only a running job is settled, and only a waiting one or an expired lease is received."""
    for (source, _), verb in TRANSITIONS.items():
        if verb.startswith("settle"):
            assert source is State.RUNNING
        if verb.startswith("receive"):
            assert source in {State.QUEUED, State.RUNNING}


@pytest.mark.parametrize(("source", "target"), TRANSITIONS)
def test_the_diagram_draws_every_move(source: State | None, target: State) -> None:
    """Each move of the table is an arrow, with its verb."""
    verb = TRANSITIONS[source, target].replace(":", "")
    assert f"    {source or '[*]'} --> {target}: {verb}" in diagram().splitlines()


def test_the_diagram_is_mermaid() -> None:
    """One heading, an arrow a line, and an end for each final state."""
    heading, *arrows = diagram().splitlines()
    assert heading == "stateDiagram-v2"
    assert len(arrows) == len(TRANSITIONS) + len(FINAL)
    assert all(" --> " in arrow for arrow in arrows)
    # Mermaid takes a second colon in a line for the end of the label.
    assert all(arrow.count(":") <= 1 for arrow in arrows)
    assert {f"    {state} --> [*]" for state in FINAL} <= set(arrows)
