//! The store's promises, held on real SQLite files and on a real Postgres server: one body a promise, run on both.
//!
//! `./test` starts the server. Every test has a database of its own, and none waits for time to pass.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers panic as its tests do")]

#[path = "store_suite/bench.rs"]
mod bench;
#[path = "store_suite/canary.rs"]
mod canary;
#[path = "store_suite/cases.rs"]
mod cases;
#[path = "store_suite/claims.rs"]
mod claims;
#[path = "store_suite/control.rs"]
mod control;
#[path = "store_suite/conversations.rs"]
mod conversations;
#[path = "store_suite/door.rs"]
mod door;
#[path = "store_suite/inbound.rs"]
mod inbound;
#[path = "store_suite/isolation.rs"]
mod isolation;
#[path = "store_suite/keeping.rs"]
mod keeping;
#[path = "store_suite/migrations.rs"]
mod migrations;
#[path = "store_suite/outbox.rs"]
mod outbox;
#[path = "store_suite/plans.rs"]
mod plans;
#[path = "store_suite/polls.rs"]
mod polls;
#[path = "store_suite/rules.rs"]
mod rules;
#[path = "store_suite/runs.rs"]
mod runs;
#[path = "store_suite/schedules.rs"]
mod schedules;
#[path = "store_suite/settling.rs"]
mod settling;
#[path = "store_suite/source.rs"]
mod source;
#[path = "store_suite/stress.rs"]
mod stress;
#[path = "store_suite/timeline.rs"]
mod timeline;

/// Makes of each body a test on either engine.
macro_rules! suite {
    ($($module:ident::$name:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::bench::on_sqlite(crate::$module::$name).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::bench::on_postgres(crate::$module::$name).await;
            })*
        }
    };
}

suite! {
    migrations::an_earlier_database_is_brought_up_to_date,
    migrations::opening_twice_changes_nothing,
    migrations::several_processes_may_open_at_once,
    migrations::a_newer_database_is_refused_in_words,
    migrations::an_altered_migration_is_refused,
    keeping::definitions_are_versioned,
    keeping::two_may_apply_a_new_organization_at_once,
    keeping::lists_have_versions,
    keeping::keys_are_kept_and_revoked,
    keeping::a_token_is_made_once,
    keeping::account_states_are_kept,
    keeping::a_nul_is_replaced_and_stops_nothing,
    runs::the_same_firing_is_one_run,
    runs::rows_are_cut_into_requests_of_a_hundred,
    runs::a_repeated_chunk_adds_nothing,
    runs::nothing_is_claimed_before_a_run_is_opened,
    runs::a_failed_run_is_never_sent,
    runs::runs_are_listed_newest_first,
    runs::the_same_file_is_found,
    runs::messages_are_found_by_run_number_and_status,
    claims::requests_come_in_order_up_to_the_limit,
    claims::a_lease_hides_a_request_until_it_ends,
    claims::a_renewed_lease_lasts_longer,
    claims::racing_claims_grant_exactly_the_limit,
    claims::racing_claims_never_share_a_request,
    claims::a_part_of_the_hour_is_kept_for_automatic_messages,
    claims::a_used_up_hour_puts_the_lane_to_sleep,
    claims::an_empty_lane_rests_and_wakes,
    claims::work_that_arrives_as_a_lane_goes_to_rest_is_not_forgotten,
    settling::an_old_token_changes_nothing,
    settling::an_intent_is_seen_by_the_next_holder,
    settling::a_request_is_given_back_or_done,
    settling::reports_merge_in_any_order,
    settling::sums_equal_a_recount_after_every_step,
    settling::racing_answers_and_receipts_keep_the_sums,
    settling::a_run_ends_only_when_its_sums_hold,
    control::a_stopped_run_is_not_claimed_until_it_is_resumed,
    control::what_is_given_back_to_a_stopped_run_stays_stopped,
    control::what_is_added_while_a_run_is_stopped_goes_with_it,
    control::cancelling_shuts_out_whoever_wrote_no_intent,
    control::cancelling_leaves_doubts_and_ends_as_they_are,
    control::a_run_with_a_vanished_worker_can_be_cancelled,
    control::many_requests_are_cancelled_in_turns,
    control::failures_are_tried_again,
    control::retrying_does_not_resume_a_stopped_run,
    canary::only_the_first_slice_is_released,
    canary::a_good_slice_releases_the_rest_once_it_was_waited_for,
    canary::a_bad_slice_pauses_and_an_operator_decides,
    canary::pausing_by_hand_neither_releases_nor_forgets_a_slice,
    canary::a_run_that_was_cancelled_in_its_slice_ends_without_its_operator,
    canary::a_run_that_fails_in_bulk_is_paused_in_the_same_breath,
    canary::failures_side_by_side_are_seen_together,
    canary::opt_outs_are_counted_on_the_run_that_they_answer,
    canary::slices_and_orders_at_once_end_with_exact_sums,
    schedules::a_due_time_is_decided_once_and_what_was_missed_is_kept,
    schedules::what_was_said_counts_from_when_it_was_said,
    inbound::the_latest_word_on_consent_holds,
    inbound::an_event_is_recorded_once,
    inbound::events_become_requests_exactly_once,
    inbound::events_for_a_run_that_is_over_are_not_lost,
    inbound::callbacks_are_applied_and_forgotten,
    inbound::a_reply_is_kept_once,
    inbound::a_firing_is_leased_and_finished_once,
    cases::the_latest_word_on_each_part_of_a_case_holds,
    cases::everybody_with_a_case_is_found_once,
    cases::a_page_is_added_once_and_goes_on_where_it_stopped,
    cases::a_request_waits_for_company_until_it_is_full_or_due,
    cases::racing_batches_leave_no_gap,
    cases::a_call_and_its_answer_are_there_together,
    polls::a_request_is_asked_about_until_there_is_no_use,
    polls::what_was_put_off_is_neither_tried_nor_counted,
    polls::the_way_and_the_first_time_are_kept_with_the_intent,
    conversations::the_message_that_a_reply_answers_is_found,
    conversations::replies_share_a_conversation_until_it_ends,
    conversations::racing_replies_open_one_conversation,
    conversations::conversations_are_listed_newest_first,
    conversations::only_what_comes_in_moves_a_session,
    conversations::an_answer_is_a_message_and_a_part_of_its_conversation,
    conversations::the_same_key_is_the_same_answer,
    conversations::an_answer_that_cannot_be_queued_leaves_nothing,
    conversations::every_change_of_consent_is_history,
    conversations::racing_words_on_consent_leave_one_change,
    conversations::consents_are_listed_by_channel_and_number,
    timeline::messages_of_runs_that_say_so_leave_activities,
    timeline::an_upload_that_failed_leaves_no_activities,
    timeline::pages_of_activities_follow_one_another,
    timeline::pages_of_replies_follow_one_another,
    timeline::what_activities_show_is_found_by_ids,
    door::a_key_is_answered_once,
    door::a_key_whose_holder_has_vanished_is_taken_up_by_one_other,
    door::a_key_is_forgotten_after_a_day,
    door::a_listener_is_told_once_and_cleared_away_when_it_is_gone,
    door::only_so_many_listen,
    outbox::nobody_asks_and_nothing_is_kept,
    outbox::every_change_of_a_status_is_told_once,
    outbox::racing_reports_are_told_once_each,
    outbox::the_end_of_a_run_is_told,
    outbox::replies_and_consents_are_told_when_they_are_news,
    outbox::each_endpoint_hears_what_it_asks_for,
    outbox::a_delivery_is_taken_up_once_at_a_time,
    outbox::what_happens_as_the_lane_goes_to_rest_is_not_forgotten,
    outbox::a_failed_delivery_comes_round_again_until_it_is_given_up,
    outbox::an_endpoint_that_is_gone_hears_nothing_until_it_is_enabled,
    outbox::what_nobody_will_hear_of_is_dropped,
    rules::marketing_counts_what_was_handed_over_or_came_before,
    rules::a_cap_holds_whoever_is_first,
    rules::a_crowd_is_found_by_acceptance,
    rules::what_is_held_waits_and_is_no_try,
    rules::what_is_held_can_be_cancelled,
    isolation::another_organization_reads_nothing,
    isolation::another_organization_changes_nothing,
    plans::no_statement_scans_a_table,
    stress::everything_at_once_ends_with_exact_sums,
}
