"""Every promise of the contracts as a test, to run on any backend.

    from ropeway.testing.conformance import BackendSuite, ManualHarness

    class TestMine(BackendSuite):
        @pytest.fixture
        async def harness(self):
            clock = ManualClock()
            async with ManualHarness(MyBackend(clock), clock) as harness:
                yield harness

A backend on a server that keeps its own time brings a `Harness` that really waits. Beside the
suite there are `DurableCases` for a backend that declares `durable`, `MissedHintCases` for one
whose hints a test can lose, and `LocalClockCases` for one that reads its machine's clocks. A broker
that is half of a pair is put to `HalfCases`.
"""

from ropeway.testing.conformance.ageing import AgeingCases
from ropeway.testing.conformance.batch import BatchCases
from ropeway.testing.conformance.cancel import CancelCases, CancelHintCases
from ropeway.testing.conformance.dates import LocalClockCases
from ropeway.testing.conformance.fence import FenceCases
from ropeway.testing.conformance.half import HalfCases
from ropeway.testing.conformance.harness import (
    Harness,
    LocalHarness,
    ManualHarness,
    MutedHarness,
)
from ropeway.testing.conformance.hints import HintCases, MissedHintCases
from ropeway.testing.conformance.joins import JoinCases
from ropeway.testing.conformance.keep import KeepCases
from ropeway.testing.conformance.keys import KeyCases, KeyWaitingCases
from ropeway.testing.conformance.kinds import KindCases, KindWaitingCases
from ropeway.testing.conformance.leases import LeaseCases
from ropeway.testing.conformance.lifecycle import DurableCases, LifecycleCases
from ropeway.testing.conformance.limits import LimitCases, LimitWaitingCases
from ropeway.testing.conformance.logs import LogCases
from ropeway.testing.conformance.options import OptionCases
from ropeway.testing.conformance.order import OrderCases
from ropeway.testing.conformance.owners import OwnerCases
from ropeway.testing.conformance.people import PeekCases, SearchCases, StatsCases
from ropeway.testing.conformance.publish import PublishCases
from ropeway.testing.conformance.receive import ReceiveCases, WaitingCases
from ropeway.testing.conformance.records import RecordCases
from ropeway.testing.conformance.repeat import RepeatCases
from ropeway.testing.conformance.revive import RemoveCases, ReviveCases, ReviveWaitingCases
from ropeway.testing.conformance.room import RoomCases
from ropeway.testing.conformance.scan import ScanCases
from ropeway.testing.conformance.settle import SettleCases
from ropeway.testing.conformance.update import UpdateCases, UpdateWaitingCases


class SteppedSuite(
    PublishCases,
    OrderCases,
    AgeingCases,
    KeyCases,
    LimitCases,
    KindCases,
    ReceiveCases,
    LeaseCases,
    FenceCases,
    SettleCases,
    RepeatCases,
    BatchCases,
    RecordCases,
    OwnerCases,
    ScanCases,
    LogCases,
    JoinCases,
    KeepCases,
    CancelCases,
    UpdateCases,
    ReviveCases,
    RemoveCases,
    RoomCases,
    OptionCases,
    StatsCases,
    PeekCases,
    SearchCases,
    LifecycleCases,
):
    """What needs no second task on the loop: for a backend whose coroutines never suspend."""


class BackendSuite(
    SteppedSuite,
    WaitingCases,
    KeyWaitingCases,
    LimitWaitingCases,
    KindWaitingCases,
    UpdateWaitingCases,
    ReviveWaitingCases,
    HintCases,
    CancelHintCases,
):
    """What every backend that plays both roles has to pass."""


__all__ = [
    "BackendSuite",
    "DurableCases",
    "HalfCases",
    "Harness",
    "HintCases",
    "LocalClockCases",
    "LocalHarness",
    "ManualHarness",
    "MissedHintCases",
    "MutedHarness",
    "SteppedSuite",
    "WaitingCases",
]
