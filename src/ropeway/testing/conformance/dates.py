"""For a backend that reads the clocks of its machine: the date may be changed under it."""

from __future__ import annotations

from ropeway.testing.conformance.harness import LocalHarness
from ropeway.testing.conformance.steps import claimer, sent


class LocalClockCases:
    """Leases are measured in time that passes, due times in the date."""

    async def test_a_date_that_jumps_ahead_frees_no_lease(self, harness: LocalHarness) -> None:
        """When somebody sets the date forward, running tasks keep their leases.

        Broken: everything that runs is handed out a second time.
        """
        await sent(harness.backend)
        delivery = await claimer(harness).take_one()
        harness.step_date(86_400.0)
        assert await claimer(harness, "other").take() == []
        assert await harness.backend.extend([delivery.fence], harness.unit) == ["held"]
        assert await claimer(harness, "other").take() == []

    async def test_a_date_that_jumps_back_holds_no_lease(self, harness: LocalHarness) -> None:
        """When somebody sets the date back, the leases of dead workers still expire.

        Broken: what they had is stuck until the old date comes again.
        """
        await sent(harness.backend)
        await claimer(harness).take_one()
        harness.step_date(-86_400.0)
        await harness.advance(harness.unit)
        assert (await claimer(harness, "other").take_one()).fence.attempt == 2

    async def test_due_times_follow_the_date(self, harness: LocalHarness) -> None:
        """A message for tomorrow is due when the date says tomorrow.

        Broken: what users plan for a date runs by a clock that nobody can see.
        """
        due = await harness.backend.now() + 86_400.0
        await sent(harness.backend, due=due)
        assert await claimer(harness).take() == []
        harness.step_date(86_400.0)
        assert (await claimer(harness).take_one()).due == due
