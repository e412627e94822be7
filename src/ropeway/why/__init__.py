"""Why a job is not running, in one sentence: facts are gathered, and what follows is decided."""

from ropeway.why.decide import Why, why
from ropeway.why.facts import Facts
from ropeway.why.gathering import gather
from ropeway.why.obstacle import Obstacle, Reason

__all__ = ["Facts", "Obstacle", "Reason", "Why", "gather", "why"]
