//! One conformance suite for every [`store::Store`] and every [`store::Bucket`]: a case for each sentence of their
//! contracts, and random histories.
//!
//! Owns: what an implementation must do, said once. Must not know: how any of them does it.
//! To add an implementation, write a factory and one line of `stores!` or `buckets!`; a case belongs into the list
//! below, where it runs against all of them.

#![allow(clippy::unwrap_used, reason = "a test's panic is its answer")]

mod bucket;
mod claims;
mod coming;
mod deliveries;
mod finishing;
mod history;
mod lanes;
mod leases;
mod limits;
mod past;
mod questions;
mod small;
mod stopping;
#[path = "../support/mod.rs"]
mod support;
mod verdicts;
mod world;

use std::sync::Arc;
use store::{
    Bucket, BucketUrl, FolderBucket, ObjectBucket, PostgresSettings, PostgresStore, SqliteStore, Store,
};
use support::postgres::Cluster;
use world::World;

/// Runs every case against the stores that a factory makes.
macro_rules! stores {
    ($name:ident, $factory:path, histories: $histories:expr) => {
        mod $name {
            stores! { @cases $factory, coming:
                a_run_is_starting_until_it_is_committed
                no_worker_sees_a_run_that_is_starting
                commit_replaces_what_was_asked
                a_run_without_inputs_is_refused
                a_slice_that_breaks_the_rules_is_refused
                slices_of_several_roots_do_not_go_with_a_limit_per_input
                inputs_come_back_as_they_were_added
                a_discarded_run_is_forgotten
                what_runs_is_neither_added_to_nor_discarded
                a_taken_id_is_refused
                a_key_is_remembered_with_its_request
                a_repeated_commit_discards_the_new_run
                a_key_is_forgotten_after_a_day
                an_abandoned_run_is_discarded
                a_long_upload_is_not_abandoned
            }
            stores! { @cases $factory, claims:
                runs_take_turns_by_inputs
                a_new_run_starts_level
                an_idle_run_saves_up_no_turns
                lanes_of_a_run_take_turns
                the_oldest_due_goes_first
                a_lane_has_so_many_leases_at_most
                lanes_of_other_runs_are_their_own
                express_is_for_express_runs_only
                what_is_not_due_is_told_and_not_leased
                a_claim_gives_what_was_asked_for_at_most
                a_lease_says_what_its_run_asks
            }
            stores! { @cases $factory, finishing:
                a_finished_job_is_registered_whole
                a_repeated_finish_gets_the_first_answer
                two_at_once_register_one
                a_late_finish_is_refused
                a_lease_of_another_run_is_worth_nothing
                an_outcome_that_contradicts_itself_is_refused
                segments_follow_each_other_without_gaps
                what_is_tried_again_comes_when_due
                what_was_not_begun_goes_to_the_front
                a_found_input_is_collected_once
                found_pages_go_before_further_listing_pages
                a_barren_listing_keeps_count
                what_is_carried_on_stays_leased
                a_repeated_finish_carries_once
                columns_keep_their_first_order
                a_discovery_that_finds_nothing_fails
                records_withheld_are_counted_apart
            }
            stores! { @cases $factory, limits:
                a_total_limit_holds_to_the_row
                a_run_at_its_limit_is_passed_over
                what_leases_give_back_reopens_the_run
                a_limit_per_input_holds_to_the_row
                a_root_has_one_leased_job
                repeated_roots_wait_for_each_other
                a_met_root_is_settled_alone
                carried_inputs_keep_their_root
                a_lease_lost_after_the_limit_is_met_ends
            }
            stores! { @cases $factory, stopping:
                a_cancelled_run_settles_what_waits_at_once
                leased_jobs_of_a_cancelled_run_are_wound_up
                what_a_cancelled_job_hands_back_ends_too
                a_lost_lease_of_a_cancelled_run_ends
                a_deadline_keeps_what_there_is
                a_run_expiring_may_still_be_cancelled
                a_failed_run_ends_at_once
                what_has_ended_is_not_stopped_again
            }
            stores! { @cases $factory, leases:
                renew_answers_for_each_lease
                a_renewed_lease_does_not_end
                an_ended_lease_goes_back_to_waiting
                a_job_that_keeps_losing_its_lease_is_split
                an_input_that_keeps_losing_its_lease_is_settled
                a_split_job_keeps_the_callers_rows
                a_node_that_starts_gives_its_leases_back
                a_lost_job_of_a_root_frees_it
                tick_tells_when_it_is_next_due
            }
            stores! { @cases $factory, lanes:
                a_host_is_one_nodes_over_all_runs
                nodes_that_claim_at_once_share_no_host
                the_last_lease_frees_the_host_and_wakes_other_runs
                what_is_handed_back_frees_its_host
                carried_jobs_keep_the_host
                an_ended_lease_keeps_no_host_and_a_renewed_one_does
                a_tick_frees_the_hosts_of_ended_leases
                a_node_that_starts_anew_and_a_run_that_breaks_free_their_hosts
                a_cancelled_run_frees_its_host_with_its_last_lease
                what_is_passed_over_hides_nothing_that_becomes_due
                runs_with_nothing_for_a_node_hold_up_no_others
                a_found_page_of_a_held_host_waits
            }
            stores! { @cases $factory, deliveries:
                a_delivery_is_held_until_the_end
                a_notice_is_told_of_every_end
                rows_of_a_cancelled_run_are_not_sent
                nothing_collected_is_sent_only_if_forced
                a_stream_wakes_for_each_whole_part
                a_stream_that_missed_rows_is_woken
                a_stream_sends_its_last_part_at_the_end
                parts_are_counted_and_reset_the_failures
                failures_are_counted_and_tried_again_when_due
                a_delivery_ends_once
                a_lost_delivery_is_fenced
                a_renewed_delivery_is_kept
                a_starting_node_gives_its_deliveries_back
                an_untouched_delivery_is_due_at_once
                whoever_asked_is_told_how_a_delivery_ended
                a_run_that_has_ended_takes_promises
                deliveries_are_due_in_their_order
                a_taken_delivery_is_not_promised_again
                a_failed_delivery_is_taken_up_from_the_part_that_failed
                deliveries_are_listed_by_what_is_asked
            }
            stores! { @cases $factory, questions:
                what_is_not_there_is_not_found
                runs_are_listed_newest_first
                runs_are_filtered
                pages_of_runs_do_not_overlap
                running_counts_what_has_not_ended
                segments_are_read_from_anywhere
                inputs_are_read_in_batches
                kept_parts_are_listed_and_found
                gauges_count_everything
            }
            stores! { @cases $factory, verdicts:
                a_failed_run_is_held_back_if_asked_and_released_once
                what_is_accepted_is_the_new_normal
                an_expired_example_is_still_compared_with
                a_notice_is_told_of_a_run_that_is_held_back
            }
            stores! { @cases $factory, past:
                an_expired_run_gives_its_keys_until_forgotten
                only_runs_that_ended_before_expire
                rows_of_a_living_run_are_not_forgotten
                an_expired_run_keeps_its_numbers_only
                orphans_are_what_nobody_registered
                an_archive_goes_with_its_run
                deliveries_of_an_expired_run_are_over
            }
            stores! { @cases $factory, small:
                tokens_are_found_by_hash_and_revoked_by_name
                a_token_is_added_once
                hosts_are_kept_replaced_and_forgotten
                a_document_is_replaced_only_by_who_has_read_it
                one_of_two_writers_wins
                news_are_told_of_everything
                a_closed_store_says_so
            }
            mod history {
                #[test]
                fn every_history_adds_up() {
                    crate::history::check($histories, || $factory());
                }
            }
        }
    };
    (@cases $factory:path, $group:ident: $($case:ident)*) => {
        mod $group {
            $(
                #[tokio::test]
                async fn $case() {
                    let world = $factory().await;
                    crate::$group::$case(&world).await;
                }
            )*
        }
    };
}

/// Runs every case against the buckets that a factory makes.
macro_rules! buckets {
    ($(#[$needs:meta])? $name:ident, $factory:path) => {
        buckets! { @cases ($(#[$needs])?) $name, $factory:
            what_was_put_is_got
            ranges_end_with_the_object
            what_is_missing_is_not_found
            an_object_is_replaced_as_a_whole
            a_deleted_object_is_gone
            a_list_is_in_order_of_bytes
            a_list_goes_on_after_any_key
            a_prefix_need_not_end_at_a_slash
            ages_and_weights_are_told
            a_large_object_comes_back
            every_lawful_key_works
            a_key_may_be_the_beginning_of_another
            writers_of_one_key_do_not_mix
        }
    };
    (@cases $needs:tt $name:ident, $factory:path: $($case:ident)*) => {
        mod $name {
            $( buckets! { @case $needs $factory, $case } )*
        }
    };
    (@case ($(#[$needs:meta])?) $factory:path, $case:ident) => {
                #[tokio::test]
                $(#[$needs])?
                async fn $case() {
                    let (bucket, _keep) = $factory().await;
                    crate::bucket::$case(&*bucket).await;
                }
    };
}

/// A store in a file of its own.
async fn sqlite_file() -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("trawl.db")).unwrap();
    World::new(vec![Arc::new(store)], folder)
}

/// A store in memory.
async fn sqlite_memory() -> World {
    World::new(vec![Arc::new(SqliteStore::in_memory().unwrap())], ())
}

/// A database of its own, open as three nodes have it.
async fn postgres() -> World {
    let url = Cluster::shared().database().await;
    let mut stores: Vec<Arc<dyn Store>> = Vec::new();
    for _ in 0..3 {
        let settings = PostgresSettings { pool: 4, ..PostgresSettings::default() };
        stores.push(Arc::new(PostgresStore::open(&url, settings).await.unwrap()));
    }
    World::new(stores, ())
}

/// A bucket in a folder of its own.
async fn folder() -> (Arc<dyn Bucket>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Arc::new(FolderBucket::open(folder.path().to_owned()).unwrap()), folder)
}

/// A bucket in the memory of this process, below a prefix: what is asked of an object store, without one.
async fn memory() -> (Arc<dyn Bucket>, ()) {
    (Arc::new(ObjectBucket::new(Arc::new(object_store::memory::InMemory::new()), "a/prefix")), ())
}

/// A prefix of its own in the bucket that `TRAWL_TEST_BUCKET` names, on the server that the usual variables name.
async fn server() -> (Arc<dyn Bucket>, ()) {
    let name = std::env::var("TRAWL_TEST_BUCKET").expect("TRAWL_TEST_BUCKET: s3://…, gs://… or az://…");
    let url = BucketUrl::parse(&name).unwrap();
    let connector = fetch::BucketConnector::open(&fetch::OutboundSettings::default()).unwrap();
    let mut dice = [0; 8];
    getrandom::fill(&mut dice).unwrap();
    let prefix = format!("{}/{:016x}", url.prefix, u64::from_le_bytes(dice));
    (Arc::new(ObjectBucket::new(url.open(connector).unwrap(), &prefix)), ())
}

stores!(on_sqlite_file, crate::sqlite_file, histories: 24);
stores!(on_sqlite_in_memory, crate::sqlite_memory, histories: 96);
stores!(on_postgres, crate::postgres, histories: 8);
buckets!(in_folder, crate::folder);
buckets!(as_objects, crate::memory);
buckets!(
    #[ignore = "needs a server: cargo xtask test bucket"]
    on_server,
    crate::server
);
