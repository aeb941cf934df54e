//! Whole journeys: from a trigger by way of the store, the engine and the provider to receipts, replies and the report, on
//! every engine. Each journey stands in a file of `tests/journeys`, and is played on SQLite and on Postgres.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helpers panic as its tests do")]

mod support;

#[path = "journeys/automatic.rs"]
mod automatic;
#[path = "journeys/control.rs"]
mod control;
#[path = "journeys/conversations.rs"]
mod conversations;
#[path = "journeys/instant.rs"]
mod instant;
#[path = "journeys/limits.rs"]
mod limits;
#[path = "journeys/operator.rs"]
mod operator;
#[path = "journeys/programs.rs"]
mod programs;
#[path = "journeys/providers.rs"]
mod providers;
#[path = "journeys/quota.rs"]
mod quota;
#[path = "journeys/receipts.rs"]
mod receipts;
#[path = "journeys/replies.rs"]
mod replies;
#[path = "journeys/retries.rs"]
mod retries;
#[path = "journeys/rules.rs"]
mod rules;
#[path = "journeys/scheduled.rs"]
mod scheduled;
#[path = "journeys/texts.rs"]
mod texts;
#[path = "journeys/timeline.rs"]
mod timeline;
#[path = "journeys/webhooks.rs"]
mod webhooks;

macro_rules! journeys {
    ($($room:ident::$journey:ident;)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $journey() { crate::$room::$journey(crate::support::Database::Sqlite).await; })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $journey() { crate::$room::$journey(crate::support::Database::Postgres).await; })*
        }
    };
}

journeys! {
    instant::a_file_with_every_kind_of_row;
    automatic::signed_events_become_messages;
    automatic::events_that_come_together_share_a_request;
    programs::a_burst_of_events_is_as_few_requests_as_hold_it;
    programs::everybody_with_a_resolved_case_hears_once;
    programs::a_schedule_goes_over_cases;
    programs::a_list_is_sent_to_at_once;
    programs::a_call_is_one_request;
    scheduled::a_schedule_fires_once_for_two_schedulers;
    scheduled::a_firing_that_broke_off_is_taken_up_again;
    scheduled::a_due_time_missed_by_more_than_the_grace_does_not_fire;
    scheduled::four_schedulers_fire_each_time_once_whatever_breaks_off;
    scheduled::ten_thousand_missed_minutes_are_one_row;
    scheduled::what_could_not_fire_says_so;
    scheduled::a_time_that_does_not_exist_fires_at_the_next_that_does;
    scheduled::a_time_that_occurs_twice_fires_once;
    scheduled::so_long_after_it_was_said_it_fires_once;
    receipts::every_report_ends_in_its_bucket;
    receipts::reports_that_come_twice_late_or_never;
    receipts::callbacks_that_are_not_to_be_believed;
    replies::stop_is_heeded_until_start;
    replies::the_same_reply_twice_is_one;
    providers::every_provider_sends_reports_and_passes_replies_on;
    providers::a_doubt_is_settled_by_the_same_try_again;
    providers::a_doubt_that_nobody_can_settle_waits_for_a_report;
    providers::a_stopped_account_is_stood_in_for;
    providers::a_silent_account_is_stood_in_for_until_it_answers;
    providers::a_silent_account_uses_up_neither_tries_nor_the_hour;
    providers::messages_without_receipts_are_asked_about;
    providers::whatsapp_goes_by_approved_content_and_its_window;
    conversations::a_conversation_goes_on_until_it_is_ended;
    conversations::whatsapp_is_answered_for_a_day;
    conversations::who_says_stop_is_not_answered;
    retries::passing_troubles_lose_nothing_and_double_nothing;
    retries::a_provider_that_is_away_loses_nothing;
    retries::tries_are_bounded;
    retries::what_has_become_too_old_is_not_sent;
    control::a_refused_account_holds_its_messages_until_it_is_in_order;
    control::resuming_says_that_the_account_is_in_order;
    control::a_paused_run_rests_and_goes_on;
    control::a_cancelled_run_sends_nothing_more;
    control::a_run_keeps_the_text_that_it_began_with;
    limits::a_slice_that_fails_pauses_its_run;
    limits::a_good_slice_waits_and_releases_the_rest;
    limits::people_who_say_stop_speak_against_the_rest;
    limits::a_run_that_begins_to_fail_stops_itself;
    limits::orders_at_random_keep_every_run_exact;
    texts::what_is_previewed_is_what_is_sent_counted_and_shown;
    timeline::a_case_has_a_timeline;
    timeline::what_is_about_nothing_is_sent_and_leaves_no_activity;
    webhooks::what_happens_is_told_signed;
    webhooks::an_endpoint_that_is_away_hears_later;
    webhooks::a_delivery_is_tried_ten_times;
    webhooks::an_endpoint_that_is_gone_is_disabled;
    webhooks::an_endpoint_that_hangs_holds_up_no_other;
    webhooks::a_post_that_nobody_kept_word_of_is_made_again;
    webhooks::an_endpoint_in_our_own_network_is_refused;
    rules::an_evening_run_waits_for_everybodys_morning;
    rules::what_waits_may_be_cancelled_or_grow_too_old;
    rules::a_cap_counts_over_all_runs;
    rules::a_loop_is_broken_after_twenty;
    quota::an_hour_holds_what_it_holds;
}
