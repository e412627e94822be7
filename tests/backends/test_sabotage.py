"""The conformance suite notices: each broken backend fails the case that is named beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.clock import ManualClock
from ropeway.testing.conformance import (
    BackendSuite,
    DurableCases,
    LocalClockCases,
    ManualHarness,
    MissedHintCases,
    steps,
)
from tests.backends import sabotage as writes
from tests.backends import sabotage_claims as claims
from tests.backends import sabotage_fleet as fleet
from tests.backends import sabotage_kinds as kinds
from tests.backends import sabotage_looks as looks
from tests.backends import sabotage_people as people
from tests.backends import sabotage_records as records
from tests.backends import sabotage_room as room


class Suite(BackendSuite, MissedHintCases, LocalClockCases):
    """Every case that a backend in memory can be put to."""


class Everything(Suite, DurableCases):
    """The same with what memory does not promise; it keeps its data while it lives, though."""


CASES = {name for name in dir(Everything) if name.startswith("test_")}

CAUGHT: list[tuple[type[Any], str]] = [
    # publish
    (writes.LosesHeaders, "test_a_message_comes_back_as_it_was_sent"),
    (writes.KnowsTwoKinds, "test_the_kind_of_a_plain_message_comes_back"),
    (writes.CutsBodies, "test_bodies_of_any_size_come_back"),
    (writes.FoldsQueueNames, "test_any_text_names_a_queue"),
    (writes.BuffersSends, "test_another_handle_sees_it"),
    (writes.RefusesWhatIsThere, "test_the_same_message_twice_is_repeated"),
    (writes.RefusesWhatIsThere, "test_a_settle_that_publishes_what_is_there"),
    (writes.ForgetsSettledIds, "test_the_same_message_after_its_end_is_repeated"),
    (writes.OverwritesDuplicates, "test_another_message_under_a_known_id_is_refused"),
    (writes.DropsTwins, "test_one_id_for_two_messages_of_a_transition"),
    (writes.KnownHidesNew, "test_a_known_message_among_new_ones"),
    (writes.WritesBeforeDuplicates, "test_a_duplicate_refuses_the_whole_transition"),
    # room
    (room.HasRoomForEverything, "test_what_has_no_room_is_refused_alone"),
    (room.CountsWhatIsDue, "test_what_waits_counts_and_nothing_else"),
    (room.LooksAtRoomFirst, "test_a_publish_may_be_repeated_when_it_is_full"),
    (room.CancelsFirst, "test_a_refused_step_does_nothing"),
    (room.LooksBeforeItTakes, "test_two_do_not_win_the_last_place"),
    (room.NotesNothing, "test_a_late_end_is_noted"),
    (room.NotesNothing, "test_what_waits_too_long_is_a_dead_letter"),
    (room.PeeksBackwards, "test_the_oldest_is_dropped"),
    (room.SettlesAlone, "test_a_dead_letter_goes_with_the_settle"),
    (room.KeepsWhatIsDropped, "test_a_queue_goes_with_its_last_worker"),
    # order
    (claims.IgnoresBands, "test_higher_bands_come_first"),
    (claims.IgnoresDueTimes, "test_earlier_due_times_come_first"),
    (claims.OrdersEqualsById, "test_equals_come_in_the_order_of_publishing"),
    (claims.HandsOverBackwards, "test_the_first_n_are_taken"),
    (claims.IgnoresBandRange, "test_a_claim_takes_from_its_bands_only"),
    (claims.RunsEarly, "test_a_delay_counts_from_the_backends_now"),
    (claims.RunsEarly, "test_a_due_date_is_kept"),
    (claims.MovesPastDates, "test_a_date_in_the_past_is_due"),
    (claims.SleepsAtTheHead, "test_what_is_delayed_holds_nothing_back"),
    # ageing
    (fleet.NeverAges, "test_waiting_lifts_a_band"),
    (fleet.AgesWholeBands, "test_a_lift_lasts_no_longer_than_the_wait"),
    (fleet.LowerBandsWinTies, "test_equal_ranks_go_by_band"),
    (fleet.AgesFromPublishing, "test_what_is_not_due_does_not_age"),
    (fleet.AgesIntoOtherBands, "test_ageing_stays_within_the_bands_asked_for"),
    # keys
    (fleet.IgnoresKeys, "test_one_of_a_key_is_in_flight"),
    (fleet.OrdersKeysByDue, "test_a_key_goes_in_order"),
    (fleet.RetriesLetGo, "test_a_retry_keeps_its_key"),
    (fleet.DelayedLetOthersPass, "test_a_delayed_head_keeps_its_key"),
    (fleet.TakeoversLetGo, "test_a_lost_attempt_keeps_its_key"),
    (fleet.OnlySuccessFreesTheNext, "test_every_end_frees_the_next"),
    (fleet.AnyEndFreesTheNext, "test_the_end_of_one_behind_frees_nobody"),
    (fleet.KeysAreGlobal, "test_keys_are_apart"),
    (fleet.KeysInOrderOfDue, "test_keys_take_turns"),
    (fleet.TurnsMoveDueTimes, "test_the_due_time_of_one_freed_stays"),
    (fleet.CountsWhatIsFree, "test_what_waits_for_its_key_is_counted"),
    (fleet.RepeatsStandInLine, "test_a_keyed_message_twice_is_repeated"),
    (fleet.KnowsOneKeysOrder, "test_many_keys_at_once"),
    (fleet.FreedKeysAreNotTold, "test_waiting_for_a_key"),
    # limits
    (fleet.IgnoresLimits, "test_no_more_than_the_limit_are_leased"),
    (fleet.OnlySuccessFreesAPlace, "test_every_end_frees_a_place"),
    (fleet.ExpiryFreesAPlace, "test_an_expired_lease_counts"),
    (fleet.FullLimitsStopTheQueue, "test_a_limit_holds_back_its_own_alone"),
    (fleet.LastInLineIsNext, "test_the_first_in_line_is_next"),
    (fleet.IgnoresRates, "test_a_rate_is_kept"),
    (fleet.UnusedRateAddsUp, "test_a_burst_after_a_pause"),
    (fleet.LooksAtOneLimit, "test_all_limits_must_have_room"),
    (fleet.TheFirstDeclarationStays, "test_a_limit_that_changes"),
    (fleet.CountsFromTheDeclaration, "test_what_ran_before_the_limit_counts"),
    (fleet.CountsNamesTwice, "test_a_name_twice_is_one_place"),
    (fleet.LimitsOneQueue, "test_a_limit_spans_queues"),
    (fleet.ParkedLetGo, "test_keys_and_limits_together"),
    (fleet.ParkedAreNotCounted, "test_what_waits_for_a_limit_is_counted"),
    (fleet.TellsOfWhatIsLeased, "test_what_of_a_limit_is_used_is_told"),
    (fleet.TellsOfTheDeclared, "test_each_limit_is_told_of_in_the_order_asked"),
    (fleet.FreedPlacesAreNotTold, "test_waiting_for_a_place"),
    (claims.HintsRequired, "test_waiting_for_a_rate"),
    (fleet.ChangedLimitsAreNotTold, "test_waiting_for_a_raised_limit"),
    # kinds
    (kinds.IgnoresKinds, "test_a_claim_takes_the_kinds_it_asks_for"),
    (kinds.ChoosesAmongTheFirst, "test_what_is_not_asked_for_holds_nothing_back"),
    (kinds.KindByKind, "test_several_kinds_come_in_one_order"),
    (kinds.KeysOfOneKind, "test_a_key_spans_kinds"),
    (kinds.ExpiredOfAllKinds, "test_expired_leases_are_taken_by_kind"),
    (kinds.TheFirstInLineBlocks, "test_a_limit_spans_kinds"),
    (kinds.WakesOnce, "test_waiting_for_a_kind"),
    # cancelling
    (fleet.CancelsOnPaper, "test_what_waits_is_cancelled"),
    (fleet.CancelsWhatRuns, "test_what_runs_is_flagged"),
    (fleet.DoesNotRenewTheFlagged, "test_a_flagged_lease_is_renewed"),
    (fleet.ReleasesTheFlagged, "test_a_release_of_a_flagged_job_ends_it"),
    (fleet.CancellingWins, "test_finishing_first_wins"),
    (fleet.HandsOverTheFlagged, "test_an_expired_lease_of_a_flagged_job_ends_it"),
    (fleet.HandsOverTheFlagged, "test_pruning_ends_it_too"),
    (fleet.RefusesToCancelTheSettled, "test_what_has_ended_stays"),
    (fleet.KeepsTheCancelled, "test_a_cancelled_record_is_kept_as_asked"),
    (fleet.CancelsBeforeItGuards, "test_cancelling_is_guarded_like_any_write"),
    (fleet.CancelsBeforeItPublishes, "test_a_message_of_the_same_transition"),
    (fleet.CancelledEndsAreNotTold, "test_the_end_of_a_cancelled_job_is_told"),
    (fleet.HoldersAreNotTold, "test_the_holder_is_told"),
    # updating
    (fleet.UpdatesTheRecord, "test_a_job_is_given_another_due_time"),
    (fleet.LeavesTheOldPlace, "test_a_job_is_moved"),
    (fleet.UpdatesResetTheRest, "test_a_body_is_changed"),
    (fleet.UpdatesBeginAnew, "test_an_update_keeps_the_counters"),
    (fleet.UpdatesWhatRuns, "test_only_what_waits_is_changed"),
    (fleet.UpdatesUpToTheFirstConflict, "test_a_refused_update_changes_nothing"),
    (fleet.MovesPassTheKey, "test_a_moved_job_keeps_its_key"),
    (fleet.EditsLoseTheirPlace, "test_a_head_that_is_changed_stays_the_head"),
    (fleet.UpdatesAreNotTold, "test_waiting_for_a_job_that_is_hurried"),
    # reviving and removing
    (people.RevivesAsAnother, "test_every_end_can_be_revived"),
    (people.RevivesWithItsPast, "test_nothing_is_held_against_it"),
    (people.RevivesTheOldDate, "test_it_counts_as_just_sent"),
    (people.RevivesTheOldDate, "test_its_time_to_start_begins_anew"),
    (people.RevivesTheAttempt, "test_an_attempt_of_before_is_over"),
    (people.RevivesThroughACodec, "test_bytes_stay_as_they_are"),
    (people.RevivesTheBodyAlone, "test_it_can_be_put_right"),
    (people.RevivesAtOnce, "test_when_it_is_due"),
    (people.RevivesWhatRuns, "test_only_what_has_ended_is_revived"),
    (people.RevivesWhateverItIs, "test_only_what_was_looked_at_is_revived"),
    (people.RevivesUpToTheFirstConflict, "test_a_refused_revival_changes_nothing"),
    (people.RevivesTwice, "test_twice_in_one_transition_is_once"),
    (people.RevivedPassTheKey, "test_a_revived_job_keeps_its_key"),
    (people.RevivedForgetLimits, "test_a_revived_job_counts_for_its_limit"),
    (people.RevivesTheWishToCancel, "test_an_old_wish_to_cancel_is_over"),
    (people.PrunesTheRevived, "test_it_is_kept_while_it_waits"),
    (people.RevivedArriveAnew, "test_its_arrival_counts_once"),
    (people.RevivalsAreNotTold, "test_waiting_for_a_job_that_is_revived"),
    (people.SettledAreQuiet, "test_what_becomes_of_an_ended_job_is_told"),
    (people.RemovesFromSight, "test_what_has_ended_is_removed"),
    (people.RemovesWhatRuns, "test_only_what_has_ended_is_removed"),
    (people.RefusesToRemoveTheRemoved, "test_what_is_gone_is_gone"),
    # receive
    (claims.MindsWhatIsDelayed, "test_what_is_not_due_stands_in_nobodys_way"),
    (claims.LooksThenTakes, "test_two_claimers_never_share_a_message"),
    (claims.TakesOneMore, "test_at_most_n_for_each_claim"),
    (claims.LooksForAllThenTakes, "test_two_claims_on_one_queue"),
    (claims.WaitsForNothing, "test_no_claims_is_no_wait"),
    (claims.AcksAtReceive, "test_what_is_taken_runs"),
    (claims.NeverStopsWaiting, "test_waiting_ends"),
    (claims.SleepsThrough, "test_waiting_for_a_message"),
    (claims.OthersAreNotTold, "test_waiting_for_another_handles_message"),
    (claims.HintsRequired, "test_waiting_for_a_delay_to_pass"),
    (claims.HintsRequired, "test_waiting_for_a_lease_to_expire"),
    (claims.LeavesClaims, "test_a_wait_that_is_given_up_takes_nothing"),
    # leases
    (claims.TakesLiveLeases, "test_a_live_lease_is_not_taken"),
    (claims.AcksAtReceive, "test_a_dead_workers_message_comes_back"),
    (claims.LeasesNeverExpire, "test_a_dead_workers_message_comes_back"),
    (claims.ChargesExpiry, "test_a_silent_end_is_abandoned"),
    (claims.ChargesNoExpiry, "test_the_silent_end_of_a_solo_run_is_a_loss"),
    (claims.ChargesThoseThatWait, "test_who_waits_to_run_alone_is_not_charged"),
    (claims.GivingBackIsSilence, "test_what_is_given_back_never_runs_solo"),
    (claims.ResetsAttempts, "test_the_attempt_only_grows"),
    (claims.ExpiredLast, "test_an_expired_lease_comes_before_a_long_queue"),
    (claims.ExpiredOfAllBands, "test_expired_leases_are_claimed_as_asked"),
    (claims.OneLengthForAll, "test_each_lease_has_its_own_end"),
    (claims.ExtendsOnPaper, "test_extend_keeps_a_lease"),
    (claims.ExpiredIsLost, "test_an_expired_lease_can_be_renewed"),
    (claims.ExtendRevives, "test_a_lease_that_was_taken_over_is_lost"),
    (claims.ExtendsForAnother, "test_a_lease_that_was_taken_over_is_lost"),
    (claims.ExtendsWhatEnded, "test_a_settled_lease_is_lost"),
    (claims.OneLostLosesAll, "test_extend_answers_for_each_in_order"),
    (claims.LeasesByDate, "test_a_date_that_jumps_ahead_frees_no_lease"),
    (claims.LeasesByDate, "test_a_date_that_jumps_back_holds_no_lease"),
    (claims.DuesByUptime, "test_due_times_follow_the_date"),
    # fences
    (writes.NoFence, "test_a_stale_fence_settles_nothing"),
    (writes.ExpiredCannotSettle, "test_an_expired_lease_nobody_took_over_settles"),
    (writes.FenceWithoutHolder, "test_every_part_of_a_fence_counts"),
    (writes.PutsDespiteFence, "test_a_refused_fence_changes_nothing"),
    (writes.SettlesAlone, "test_the_holder_may_change_everything_at_once"),
    (writes.ProgressEndsTheAttempt, "test_a_fence_without_a_settle"),
    (writes.ReleasedIsStillHeld, "test_what_was_released_is_not_the_holders"),
    # settle
    (writes.ForgetsWhen, "test_finish_is_recorded"),
    (writes.EmptyIsNone, "test_every_final_state"),
    (writes.ForgetsJobs, "test_a_record_is_kept_as_long_as_asked"),
    (writes.RejectsIntoTheBin, "test_reject_keeps_the_bytes_and_the_reason"),
    (writes.ReleasesToTheBack, "test_release_goes_back_to_the_old_place"),
    (writes.ReleasesAtTheEndOfTheLease, "test_release_is_free_at_once"),
    (writes.DelaysFromTheLastDue, "test_release_with_a_delay"),
    (writes.TakesDatesForDelays, "test_release_until_a_date"),
    (writes.ChargesFailuresForAll, "test_each_charge_has_its_counter"),
    (writes.UnknownIsAnyRelease, "test_releases_of_the_unknown_are_counted_twice"),
    # repeat
    (writes.RepeatedIsLost, "test_a_settle_after_a_lost_reply_is_repeated"),
    (writes.RepeatedPerConnection, "test_a_repeat_from_another_handle"),
    (writes.RepeatsWrites, "test_a_repeat_writes_nothing_again"),
    (writes.AnySettleIsARepeat, "test_another_settle_is_not_a_repeat"),
    (writes.ReleasesUnfenced, "test_a_repeat_after_the_next_claim_does_nothing"),
    # batches
    (writes.AnswersNobody, "test_nothing_to_commit"),
    (writes.RefusedFailsNeighbours, "test_refused_items_in_a_batch_of_100"),
    (writes.GuardsBeforeTheBatch, "test_conflicts_on_one_record_in_a_batch"),
    (writes.GuardsBeforeTheBatch, "test_each_sees_the_writes_before_it"),
    (writes.PartsOvertake, "test_more_than_one_batch_holds"),
    (writes.LargeFirst, "test_mixed_sizes_with_one_refused"),
    (writes.SharesAnswers, "test_callers_that_meet_get_their_own_answers"),
    (writes.LastResultForAll, "test_many_settles_at_once"),
    # records
    (looks.VersionsStay, "test_a_record_comes_back_with_its_version"),
    (looks.LeavesOutTheAbsent, "test_get_answers_in_the_order_asked"),
    (looks.DropsNothing, "test_a_dropped_record_is_absent"),
    (looks.ExpectsNothing, "test_expect_guards_a_record"),
    (looks.ConflictsSettle, "test_a_conflict_changes_nothing"),
    (looks.JobVersionsStay, "test_a_jobs_record_has_a_version_too"),
    (records.DropsBeforePuts, "test_puts_come_before_drops"),
    # owners and time to live
    (records.KeepsForEver, "test_a_record_ends_with_its_ttl"),
    (records.KeepsTheFirstTtl, "test_each_write_has_its_own_ttl"),
    (records.GuardsSeeWhatIsOver, "test_what_is_over_is_absent_for_guards"),
    (records.VersionsComeBack, "test_a_version_does_not_come_back"),
    (records.KeepsTheFirstOwner, "test_the_owner_is_kept"),
    (records.RefusesForAnotherOwner, "test_a_put_for_another_owner_is_skipped"),
    (records.PutsForAnotherOwner, "test_a_put_for_another_owner_is_skipped"),
    (records.OwnersOutliveTheirTime, "test_an_owner_whose_time_is_over_holds_nothing"),
    (records.DropsForAnotherOwner, "test_a_drop_for_another_owner_is_skipped"),
    # scans
    (records.ScansByPattern, "test_a_prefix_is_taken_literally"),
    (records.ScansUpToTheLastCharacter, "test_a_prefix_is_taken_literally"),
    (records.OrdersByUtf16, "test_keys_are_in_the_order_of_their_bytes"),
    (records.PagesOverlap, "test_pages_meet"),
    (records.LimitsBeforeItLeavesOut, "test_only_what_get_finds_is_listed"),
    (records.ScansJobs, "test_only_what_get_finds_is_listed"),
    # logs
    (records.NumbersAllLogsTogether, "test_offsets_count_each_log_from_one"),
    (records.TellsTheFirstOffset, "test_offsets_count_each_log_from_one"),
    (records.StampsWhenRead, "test_entries_come_back_as_they_were_appended"),
    (records.ReadsTheSeamTwice, "test_reading_goes_on_after_an_offset"),
    (records.ReadsTheNewestFirst, "test_below_zero_reading_counts_from_the_end"),
    (records.CountsWhatIsLeft, "test_a_log_is_trimmed_from_its_beginning"),
    (records.TrimsToTheLast, "test_the_last_entry_of_a_log_stays"),
    (records.AppendsWhatIsRefused, "test_a_refused_transition_appends_nothing"),
    (records.AppendsWhatIsRepeated, "test_a_repeated_settle_appends_nothing_again"),
    (records.NumbersBeforeItCommits, "test_a_reader_beside_writers_misses_nothing"),
    (records.NumbersBeforeItCommits, "test_a_reader_beside_a_slow_writer_misses_nothing"),
    # joins
    (records.FiresOneEarly, "test_the_last_arrival_fires"),
    (records.FiresWithTheNextCommit, "test_the_last_arrival_fires"),
    (records.CountsArrivals, "test_a_member_counts_once"),
    (records.ForgetsTheEarly, "test_arrivals_before_the_join_count"),
    (records.NeedsSomebody, "test_a_join_of_none_fires_at_once"),
    (records.LastNeedHolds, "test_need_is_raised_and_never_lowered"),
    (records.LastThenHolds, "test_a_join_made_again_keeps_what_it_holds"),
    (records.FiresAgain, "test_a_join_fires_once"),
    (records.ForgetsWhatHasFired, "test_a_join_fires_once"),
    (records.PublishesAgain, "test_what_is_there_is_not_published_again"),
    (records.DelaysFromTheJoin, "test_a_delay_counts_from_the_firing"),
    (records.TellsOneJoin, "test_every_join_that_fires_is_told"),
    (records.LostAttemptsArrive, "test_only_a_settle_that_stands_arrives"),
    (records.ArrivesByCompareAndSet, "test_arrivals_never_conflict"),
    # what is kept
    (records.PrunesRecordsAtOnce, "test_removing_records_is_bounded"),
    (looks.KeepsAllAlike, "test_what_is_over_goes_and_nothing_else"),
    (looks.PrunesAllAtOnce, "test_pruning_is_bounded"),
    (looks.PrunesAllAtOnce, "test_expiring_is_bounded"),
    (looks.CountsRecordsTogether, "test_the_newest_records_of_a_state_stay"),
    (looks.ExpiresWhenAsked, "test_what_waits_past_its_time_ends"),
    (looks.CountsFromTheSending, "test_a_time_to_start_in_counts_from_the_due_time"),
    (looks.KeepsWhatIsNotKept, "test_what_is_not_kept_goes_at_once"),
    (looks.ExpiresWhatRuns, "test_what_has_started_does_not_expire"),
    # hints
    (claims.FirstWaitSleeps, "test_the_first_wait_reports_at_once"),
    (claims.SpinsAlways, "test_a_quiet_name_is_not_reported"),
    (claims.EndsAreNotTold, "test_the_end_of_a_job_is_told"),
    (claims.TellsSleepersOnly, "test_a_change_between_wait_and_get_is_told"),
    (claims.FirstTakesTheHint, "test_all_who_wait_for_a_name_hear"),
    (claims.WatchesOneName, "test_one_of_many_names_is_told"),
    (claims.ReleasesAreNotTold, "test_messages_are_told_to_those_who_wait_for_a_queue"),
    (claims.HintsRequired, "test_a_missed_hint_delays_a_worker_only"),
    (claims.HintsRequired, "test_a_missed_hint_delays_a_client_only"),
    (records.RecordsAreNotTold, "test_records_and_logs_are_told"),
    # what people look at
    (looks.DelayedIsReady, "test_counts_of_a_queue"),
    (looks.CountsToTheEnd, "test_counting_stops_at_the_cap"),
    (looks.OldestOfTheDue, "test_the_oldest_due_time"),
    (looks.NamesWhatWaits, "test_the_names_of_queues"),
    (fleet.PeeksInOrderOfPublishing, "test_what_waits_by_due_time"),
    (fleet.PeeksAtEverything, "test_only_what_waits_is_shown"),
    (fleet.PeeksAtWhatIsFree, "test_what_is_held_back_is_shown"),
    (fleet.PeeksByTaking, "test_looking_changes_nothing"),
    (looks.OldestFirst, "test_newest_first_and_page_by_page"),
    (looks.LimitsBeforeItFilters, "test_filters"),
    (looks.ListsLag, "test_a_listed_job_is_as_it_is_now"),
    (looks.SearchesByWholeSeconds, "test_when_a_job_was_made"),
    (looks.ForgetsCauses, "test_what_failed_of_one_cause"),
    (looks.CountsPages, "test_counting_jobs"),
    (looks.GroupsByText, "test_causes"),
    # itself
    (looks.OpensAnew, "test_opening_again_changes_nothing"),
    (looks.ClosesForAll, "test_closing_again_changes_nothing"),
    (looks.ClosesForAll, "test_what_was_acknowledged_survives"),
    (records.KeepsNamesInMemory, "test_logs_and_joins_survive"),
    (looks.TellsMilliseconds, "test_the_clock_only_advances"),
    (looks.ClaimsToBeDurable, "test_capabilities_are_tested"),
]


async def _put_to(case: str, make: Callable[[ManualClock], Any]) -> None:
    """Run one case of the suite on a new backend."""
    clock = ManualClock()
    backend = make(clock)

    def mute() -> None:
        backend._hint = lambda name: None

    another = getattr(backend, "another", None)
    async with ManualHarness(backend, clock, another, mute) as harness:
        suite = Suite() if hasattr(Suite, case) else Everything()
        await getattr(suite, case)(harness)


@pytest.mark.parametrize(("broken", "case"), CAUGHT)
async def test_the_named_case_catches(
    broken: type[Any], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The case fails on the broken backend, and passes on the honest one."""
    await _put_to(case, claims.Scans if issubclass(broken, claims.Scans) else MemoryBackend)
    # What would never come need not be waited for as long as what is late.
    monkeypatch.setattr(steps, "LATE", steps.LATE / 4)
    with pytest.raises(AssertionError):
        await _put_to(case, broken)


def test_every_case_can_fail() -> None:
    """For each case of the suite there is a backend that it catches."""
    assert CASES - {case for _, case in CAUGHT} == set()


def test_every_broken_backend_is_caught() -> None:
    """No defect is written down and then not tried."""
    modules = (writes, claims, looks, fleet, kinds, people, records)
    written = {
        value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and name[0] != "_"
    }
    assert written - {broken for broken, _ in CAUGHT} == {
        writes.SettlesOtherwise,
        claims.Scans,
        fleet.WithParts,
    }
