"""When a failed call runs again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ropeway.ids import new_id
from ropeway.retry import DEFAULT, RetryPolicy, class_name, delay_for, retryable

counts = st.integers(1, 5000)
policies = st.builds(
    RetryPolicy,
    base=st.floats(0, 1e6),
    cap=st.floats(0, 1e9),
    jitter=st.booleans(),
)


class Outer:
    """Has an exception of its own."""

    class Inner(LookupError):
        """Is known by its last name and by its whole one."""


@given(policies, st.text(), counts)
def test_a_delay_is_between_nothing_and_the_cap(
    policy: RetryPolicy, job_id: str, failures: int
) -> None:
    """However many failures there were, and never a fraction below zero."""
    assert 0 <= delay_for(policy, job_id, failures) <= policy.cap


@given(policies, st.text(), counts)
def test_a_decision_made_twice_is_the_same(policy: RetryPolicy, job_id: str, failures: int) -> None:
    """So a settle whose reply was lost is repeated with the very same delay."""
    delay = delay_for(policy, job_id, failures)
    assert delay == delay_for(policy, job_id, failures)


@given(st.floats(0.001, 1e3), st.floats(0.001, 1e6), counts)
def test_without_jitter_a_delay_doubles_up_to_the_cap(
    base: float, cap: float, failures: int
) -> None:
    """2, 4, 8 ... and then the cap."""
    policy = RetryPolicy(base=base, cap=cap, jitter=False)
    assert delay_for(policy, "", 1) == min(base, cap)
    this, following = delay_for(policy, "", failures), delay_for(policy, "", failures + 1)
    assert following == min(2 * this, cap)


def test_jitter_spreads_over_the_whole_range() -> None:
    """Jobs that failed together do not come back together."""
    policy = RetryPolicy(base=100.0)
    draws = [delay_for(policy, new_id(), 1) / 100 for _ in range(2000)]
    assert 0.45 < sum(draws) / len(draws) < 0.55
    tenths = {int(10 * draw) for draw in draws}
    assert tenths == set(range(10))


def test_each_failure_draws_anew() -> None:
    """A job that drew a short delay once does not draw short ones for ever."""
    policy = RetryPolicy(base=900.0)
    assert len({delay_for(policy, "same", failures) for failures in range(1, 51)}) == 50


def test_everything_may_be_tried_again_by_default() -> None:
    """A policy names what may not."""
    assert all(retryable(DEFAULT, error) for error in (ValueError(), Exception(), MemoryError()))


def test_named_classes_and_their_subclasses_may_not() -> None:
    """By the bare name or with the module; another class of a like name is another."""
    inner = Outer.Inner("x")
    assert class_name(Outer.Inner) == f"{__name__}.Outer.Inner"
    for name in ("Inner", class_name(Outer.Inner), "LookupError", "builtins.LookupError"):
        assert not retryable(RetryPolicy(non_retryable=("Other", name)), inner)
    for name in ("KeyError", "other.Inner", "Outer", "inner", ""):
        assert retryable(RetryPolicy(non_retryable=(name,)), inner)
