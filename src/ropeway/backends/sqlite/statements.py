"""The statements of `statements.sql`, each as a constant of the same name in capitals."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

_FOLDER = resources.files(__package__)


def _load() -> dict[str, str]:
    text = (_FOLDER / "statements.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)[1:]
    return {
        name: re.sub(r"^--.*$", "", body, flags=re.MULTILINE).strip().rstrip(";")
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


ALL: Final = _load()
"""Name -> statement, for tests that look at every plan."""

SCHEMA: Final = (_FOLDER / "schema.sql").read_text(encoding="utf-8")

PUBLISH: Final = ALL["publish"]
PUBLISH_SPECIAL: Final = ALL["publish_special"]
PUBLISHED: Final = ALL["published"]
NEXT_HEAD: Final = ALL["next_head"]
LOOK: Final = ALL["look"]
CLAIM_DUE: Final = ALL["claim_due"]
CANDIDATES: Final = ALL["candidates"]
CLAIM_CHOSEN: Final = ALL["claim_chosen"]
CLAIM_EXPIRED: Final = ALL["claim_expired"]
FINISH: Final = ALL["finish"]
FORGET: Final = ALL["forget"]
FINISH_SPECIAL: Final = ALL["finish_special"]
RELEASE: Final = ALL["release"]
EXTEND: Final = ALL["extend"]
FENCE: Final = ALL["fence"]
JOB_VERSION: Final = ALL["job_version"]
RECORD_VERSION: Final = ALL["record_version"]
PUT: Final = ALL["put"]
DROP: Final = ALL["drop"]
GET_RECORD: Final = ALL["get_record"]
SCAN: Final = ALL["scan"]
EARLIEST_RECORD_EXPIRY: Final = ALL["earliest_record_expiry"]
PRUNE_RECORDS: Final = ALL["prune_records"]
NEXT_OFFSET: Final = ALL["next_offset"]
APPEND: Final = ALL["append"]
TRIM: Final = ALL["trim"]
READ_NEWEST: Final = ALL["read_newest"]
READ: Final = ALL["read"]
MAKE_JOIN: Final = ALL["make_join"]
KEEP_THEN: Final = ALL["keep_then"]
ADD_MEMBER: Final = ALL["add_member"]
COUNT_MEMBERS: Final = ALL["count_members"]
JOIN_POINT: Final = ALL["join_point"]
FIRE: Final = ALL["fire"]
TAKE_THEN: Final = ALL["take_then"]
EARLIEST_JOIN_PURGE: Final = ALL["earliest_join_purge"]
JOINS_OVER: Final = ALL["joins_over"]
DROP_MEMBERS: Final = ALL["drop_members"]
DROP_THEN: Final = ALL["drop_then"]
DROP_JOIN: Final = ALL["drop_join"]
GET_JOB: Final = ALL["get_job"]
SEARCH: Final = ALL["search"]
FAR_ID: Final = ALL["far_id"]
SEARCH_ENDED: Final = ALL["search_ended"]
FAR_ENDED: Final = ALL["far_ended"]
SEARCH_CAUSED: Final = ALL["search_caused"]
FAR_CAUSED: Final = ALL["far_caused"]
NEXT_CAUSE: Final = ALL["next_cause"]
OLDEST_CAUSED: Final = ALL["oldest_caused"]
SEARCH_WAITING: Final = ALL["search_waiting"]
SOME_WAITING: Final = ALL["some_waiting"]
SEARCH_RUNNING: Final = ALL["search_running"]
JOB_SPAN: Final = ALL["job_span"]
KEEP_CAUSE: Final = ALL["keep_cause"]
QUEUE_NAMES: Final = ALL["queue_names"]
COUNT_WAITING: Final = ALL["count_waiting"]
DEPTH: Final = ALL["depth"]
COUNT_LEASED: Final = ALL["count_leased"]
PRUNE: Final = ALL["prune"]
EARLIEST_PURGE: Final = ALL["earliest_purge"]
PURGE_OF_NEWEST: Final = ALL["purge_of_newest"]
EARLIEST_EXPIRES: Final = ALL["earliest_expires"]
EXPIRE: Final = ALL["expire"]
VOID_LEASES: Final = ALL["void_leases"]
VOID_LEASES_OF: Final = ALL["void_leases_of"]
GET_META: Final = ALL["get_meta"]
SET_META: Final = ALL["set_meta"]
FREE_NEXT: Final = ALL["free_next"]
DECLARE: Final = ALL["declare"]
METER: Final = ALL["meter"]
TAKE: Final = ALL["take"]
GIVE_BACK: Final = ALL["give_back"]
FORGET_LIMIT: Final = ALL["forget_limit"]
PARK: Final = ALL["park"]
FIRST_PARKED: Final = ALL["first_parked"]
DROP_PARKED: Final = ALL["drop_parked"]
LEAVE_LANE: Final = ALL["leave_lane"]
UNPARK: Final = ALL["unpark"]
SET_WAKE: Final = ALL["set_wake"]
DROP_WAKE: Final = ALL["drop_wake"]
DUE_WAKES: Final = ALL["due_wakes"]
WAKE_ALL: Final = ALL["wake_all"]
CANCEL_WAITING: Final = ALL["cancel_waiting"]
FLAG: Final = ALL["flag"]
SET_FLAG: Final = ALL["set_flag"]
DROP_FLAG: Final = ALL["drop_flag"]
DROP_SPENT_FLAGS: Final = ALL["drop_spent_flags"]
RELEASE_FLAGGED: Final = ALL["release_flagged"]
EARLIEST_FLAGGED: Final = ALL["earliest_flagged"]
END_FLAGGED: Final = ALL["end_flagged"]
WAITING_JOB: Final = ALL["waiting_job"]
UPDATE: Final = ALL["update"]
REPLACE_MESSAGE: Final = ALL["replace_message"]
REVIVE: Final = ALL["revive"]
REMOVE: Final = ALL["remove"]
TEXTS: Final = ALL["texts"]
SET_ASIDE: Final = ALL["set_aside"]
PEEK_LANE: Final = ALL["peek_lane"]
GET_SERIAL: Final = ALL["get_serial"]
