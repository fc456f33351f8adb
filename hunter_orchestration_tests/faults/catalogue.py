"""The faults Hunter survives: what must happen, and the tests that prove it.

The rooms prove what concerns one stage; what concerns the chain stands in this folder. ``docs/faults.md`` is written
from this table and from the results of a run: ``pytest --faults-page docs/faults.md``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``proofs`` are test functions as ``file::function`` below the tests' folder."""

    number: int
    happens: str
    outcome: str
    proofs: tuple[str, ...]


INVARIANTS: dict[str, str] = {
    "I1": "every record shown as synced exists in the CRM with the same field hash",
    "I2": "at most one CRM row per external key",
    "I3": "no field that belongs to the CRM was changed by Hunter",
    "I4": "the watermark never passes a referral that is neither stored nor quarantined",
    "I5": "synced, pending, rejected, deferred and skipped records together are the eligible ones",
    "I6": "one audit entry for each attempt",
    "I7": "the page's numbers are the store's",
    "I8": "the next clean run converges, and the one after it writes nothing",
}

_KILLED = "faults/test_killed_anywhere.py"
_CHAIN = "faults/test_whole_chain.py"
_DATABASE = "faults/test_database_in_trouble.py"
_PUSH = "dynamics/test_push.py"
_REFUSED = "dynamics/test_push_refused.py"
_CLOSED = "dynamics/test_closed_records.py"
_THROTTLING = "dynamics/test_throttling.py"
_SIGNING_IN = "dynamics/test_signing_in.py"
_CRASHES = "dynamics/test_crashes.py"
_BACK = "dynamics/test_reading_back.py"
_PREFLIGHT = "dynamics/test_preflight.py"
_MAPPING = "dynamics/test_mapping.py"
_INGESTION = "partner_center/test_ingestion.py"
_PAGING = "partner_center/test_paging.py"
_READING = "partner_center/test_reading.py"
_CLIENT = "partner_center/test_client.py"
_SIGN_IN = "partner_center/test_sign_in.py"
_DNS = "scanning/test_engine.py"
_DOMAIN = "scanning/test_domain.py"
_SCANS = "scanning/test_stage.py"


def _in(file: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{file}::test_{name}" for name in names)


FAULTS: tuple[Fault, ...] = (
    Fault(1, "The CRM commits and the answer is lost.", "Looked up by key, marked recovered, never written twice.",
          _in(_REFUSED, "a_lost_answer_is_looked_up_by_key_and_marked_recovered",
              "a_lost_answer_to_an_update_is_recovered_too")),
    Fault(2, "kill -9 at each named place between fetch, store, scan, score, push and acknowledge.",
          "The next run finishes what this one began.",
          _in(_KILLED, "a_chain_killed_at_a_named_place_is_finished_by_the_next_run",
              "a_chain_killed_again_and_again_still_arrives")
          + _in("partner_center/test_killed.py", "a_sync_killed_at_a_crash_point_is_finished_by_the_next")
          + _in(_CRASHES, "a_push_killed_anywhere_is_finished_by_the_next",
                "a_pull_killed_after_reading_reads_again")
          + _in("defs/test_chain.py", "a_run_frees_what_an_ended_run_still_holds_and_leaves_a_living_one_alone")
          + _in("end_to_end/test_on_sqlite.py", "a_run_whose_process_was_killed_is_finished_without_a_person")
          + _in("end_to_end/test_on_postgresql.py", "a_run_whose_process_was_killed_is_finished_without_a_person")),
    Fault(3, "kill -9 in the middle of a batch of 1,000.", "Only unconfirmed rows go again.",
          _in(_CRASHES, "killed_in_mid_batch_only_unconfirmed_rows_go_again")),
    Fault(4, "429 with Retry-After of 1 s, 120 s, none, a date, a billion.",
          "Waits, capped; what is left is deferred, and nothing is sent meanwhile.",
          _in(_THROTTLING, "retry_after_is_read_in_every_form_and_capped",
              "a_short_retry_after_is_waited_for_and_everything_arrives",
              "a_long_retry_after_defers_and_sends_nothing_meanwhile", "a_hold_keeps_every_worker_back")
          + _in(_CLIENT, "retry_after_is_obeyed", "a_retry_after_too_long_to_wait_ends_at_once_and_says_so",
                "retry_after_reads_seconds_and_dates_and_nothing_else")),
    Fault(5, "429 for execution time, only while requests run in parallel.",
          "The requests in flight halve and recover slowly.",
          _in(_THROTTLING, "execution_time_throttling_halves_the_requests_in_flight",
              "the_requests_in_flight_halve_when_asked_and_recover_slowly")),
    Fault(6, "One bad row in a bulk of 1,000.", "999 are synced, one is rejected with the CRM's reason.",
          _in(_REFUSED, "one_bad_row_in_a_thousand_costs_one_row")),
    Fault(7, "A batch that answers 200 with errors inside, lacks a part or has its parts in another order.",
          "A missing part is unknown, hence asked again, never a success.",
          _in(_REFUSED, "a_part_of_a_batch_that_is_missing_or_misplaced_is_no_success")),
    Fault(8, "502, 503, 504, a reset, half a body, invalid JSON, an HTML page, truncated gzip.",
          "Tried again with jitter, a bounded number of times; never taken for data.",
          _in(_CLIENT, "a_broken_answer_is_asked_for_again_and_never_taken_for_data",
              "giving_up_is_bounded_and_transient")
          + _in(_REFUSED, "an_answer_that_is_none_never_counts_as_one",
                "a_failing_organisation_is_asked_again_a_bounded_number_of_times")),
    Fault(9, "401 in the middle of a run, a refresh that fails, a second factor that is asked for.",
          "One refresh, then a stop that says to sign in again; no storm.",
          _in(_CLIENT, "a_token_that_ends_in_mid_run_is_renewed_once", "a_refused_sign_in_makes_no_storm")
          + _in(_SIGN_IN, "a_revoked_sign_in_stops_the_sync_with_its_own_sentence",
                "a_sign_in_without_second_factor_is_told", "a_token_refused_in_mid_run_is_renewed_once",
                "an_entra_id_that_fails_on_its_own_side_is_away_for_now")
          + _in(_SIGNING_IN, "a_token_that_ends_in_mid_run_is_renewed_once",
                "a_token_that_is_refused_again_stops_the_run_without_a_storm")),
    Fault(10, "403 on one field.", "That row is rejected with the field's name; the run goes on.",
          _in(_REFUSED, "a_forbidden_field_rejects_the_row_with_its_name_and_the_run_goes_on")),
    Fault(11, "412: the row changed since it was read.", "Read again, the field rules applied again, bounded.",
          _in(_REFUSED, "a_row_that_changed_since_it_was_read_is_read_again_and_the_rules_apply_again")
          + _in("partner_center/test_write_back.py", "a_412_is_read_again_and_tried_once_more",
                "a_412_without_end_is_given_up")),
    Fault(12, "A record is deleted in the CRM.", "Shown as deleted in the CRM, not made again unless asked.",
          _in(_CLOSED, "a_record_deleted_in_the_crm_is_not_made_again_unless_asked")),
    Fault(13, "Records are merged in the CRM.", "The winner is followed, the loser is never written.",
          _in(_CLOSED, "merged_accounts_are_followed_and_the_loser_is_never_written",
              "a_winner_without_our_key_is_kept_true_under_its_own_id")),
    Fault(14, "The alternate key is missing, pending or failed.", "The preflight refuses and says which.",
          _in(_PREFLIGHT, "a_key_that_is_not_active_refuses_and_says_which", "a_missing_key_refuses")),
    Fault(15, "A required field is added, an option removed, a length shortened.",
          "The preflight shows it; rows are rejected with a reason, nothing crashes.",
          _in(_PREFLIGHT, "a_required_field_added_is_shown_and_costs_new_rows_with_a_reason",
              "an_option_removed_is_shown_and_rejects_the_rows_that_need_it",
              "a_length_shortened_is_followed_at_once")),
    Fault(16, "The change-tracking token has expired.", "A full read and the difference of the sets.",
          _in(_BACK, "an_expired_token_falls_back_to_a_full_read_with_set_difference")),
    Fault(17, "6,000 referrals with one stamp, rows that change while pages are read, a repeated page, a looping "
          "link, an empty page with a link.", "None lost, none double, the loop is noticed.",
          _in(_PAGING, "6000_referrals_with_one_timestamp_all_arrive",
              "rows_that_change_while_pages_are_read_push_none_out",
              "a_known_row_that_changes_during_an_incremental_pass_pushes_none_out",
              "a_repeated_page_stores_nothing_twice", "a_looping_link_is_noticed_and_nothing_is_lost",
              "a_loop_without_end_stops_and_the_watermark_stays")
          + _in(_CLIENT, "an_empty_page_with_a_next_link_is_not_the_end")),
    Fault(18, "Clocks a day apart.", "Windows go by the service's stamps.",
          _in(_INGESTION, "windows_go_by_the_service_stamps_when_clocks_are_a_day_apart",
              "one_row_dated_in_the_far_future_does_not_hide_the_others")
          + _in(_CHAIN, "a_service_whose_clock_is_a_day_apart_loses_no_referral")),
    Fault(19, "Two syncs at once: two tabs, schedule and button, two processes.",
          "One works, the other is told which run it is.",
          _in(_CHAIN, "of_two_processes_one_works_and_the_other_is_told_which",
              "engines_that_race_each_other_double_nothing")
          + _in(_INGESTION, "two_syncs_at_once_are_told_apart")
          + _in(_THROTTLING, "two_pushes_at_once_one_works_and_the_other_is_told_which")),
    Fault(20, "A paused process wakes after its lease ended.", "Its writes are refused.",
          _in(_INGESTION, "a_process_that_wakes_after_its_lease_ended_writes_nothing")
          + _in(_CRASHES, "a_process_that_wakes_after_its_lease_ended_writes_nothing",
                "a_late_writer_does_not_undo_what_the_next_one_wrote",
                "a_heartbeat_takes_no_lease_back_that_went_to_another_run")),
    Fault(21, "Disk full, database locked, read-only or gone.", "A clean stop, a clear sentence, and it resumes.",
          _in(_DATABASE, "a_full_disk_stops_the_chain_with_a_sentence_and_it_resumes",
              "a_database_that_became_read_only_stops_the_chain_and_it_resumes",
              "a_database_that_another_program_holds_locked_is_told_and_tried_again",
              "a_server_that_drops_every_connection_costs_one_run")),
    Fault(22, "Partner Center suddenly returns nothing.", "The check fails loudly; nothing is deleted.",
          _in(_INGESTION, "a_service_that_returns_nothing_is_a_sudden_drop_and_deletes_nothing")
          + _in(_CHAIN, "partner_center_that_suddenly_returns_nothing_deletes_nothing_down_the_chain")),
    Fault(23, "A next link on another host or over plain http.", "The token never leaves the configured origin.",
          _in(_CLIENT, "a_link_elsewhere_never_gets_the_token", "a_link_of_another_running_host_receives_nothing",
              "a_token_never_leaves_over_plain_http", "a_redirect_is_not_followed")
          + _in(_THROTTLING, "a_link_to_another_host_is_not_followed")
          + _in(_SIGNING_IN, "a_token_goes_to_no_plain_or_odd_address")),
    Fault(24, "A referral with unknown values, no company, a note of 1 MB, emoji, right-to-left text, a NUL byte, "
          "wrong types.", "Stored or quarantined, never a crash.",
          _in(_READING, "an_odd_row_is_stored_or_quarantined_and_its_neighbours_pass",
              "a_row_without_identity_is_quarantined_once")
          + _in("partner_center/test_models.py", "any_json_in_any_field_is_read_or_refused_with_a_reason",
                "unknown_enum_values_are_kept_as_text_and_reported")),
    Fault(25, "DNS: SERVFAIL, timeouts, truncation with TCP refused, an alias loop, a lying wildcard, 64 kB of text, "
          "a forged id.", "Unknown is not no; each domain takes bounded time.",
          _in(_DNS, "a_lookup_that_fails_is_unknown_and_the_others_go_on", "truncation_with_tcp_refused_is_unknown",
              "an_alias_loop_across_answers_ends", "forged_answers_are_ignored_and_the_true_one_is_taken",
              "a_truncated_answer_comes_whole_over_tcp_up_to_64_kilobytes")
          + _in(_DOMAIN, "a_lying_wildcard_makes_no_key", "64_kilobytes_of_text_are_bounded_in_what_is_kept",
                "a_domain_that_fails_is_unknown_and_soon_given_up")),
    Fault(26, "The resolver is dead for the whole run.", "The check fails, scores stay, nothing is pushed from it.",
          _in(_SCANS, "a_dead_resolver_fails_the_run_and_changes_nothing",
              "most_domains_failing_is_the_resolvers_fault")
          + _in(_CHAIN, "a_dead_resolver_fails_the_check_keeps_every_score_and_pushes_nothing")),
    Fault(27, "A broken mapping or rules file.", "Refused with file, line and reason; every score and record stays.",
          _in(_CHAIN, "a_file_broken_between_two_runs_is_refused_with_its_line_and_nothing_moves")
          + _in("scoring/test_rules_and_engine.py", "a_broken_rules_file_names_file_line_and_reason")
          + _in("scoring/test_stage.py", "broken_rules_score_nothing_and_leave_every_score")
          + _in(_MAPPING, "a_mistake_is_named_with_its_line",
                "a_broken_mapping_stops_the_push_before_anything_is_asked")),
    Fault(28, "kill -9 during a migration.", "It can be started again, and nothing is lost.",
          _in(_DATABASE, "a_migration_killed_at_any_statement_can_be_started_again")),
    Fault(29, "The server restarts under an open page; the laptop slept.",
          "The page says that it reconnects, catches up, and says nothing twice.",
          _in("web/test_events.py", "a_page_that_was_away_gets_what_it_missed_once",
              "a_page_that_missed_too_much_is_told_to_load_anew")
          + _in("ui/test_faults.py", "a_server_that_restarts_under_an_open_page_is_found_again")),
    Fault(30, "The audit can't be written.", "No audit, no push.", _in(_PUSH, "no_audit_no_push")),
)  # fmt: skip
