//! Clusters over real Redis and Valkey servers. Each scenario runs on each runtime with Redis, and on tokio with
//! Valkey.
//!
//! `.ci/install` installs the servers. A scenario whose server is missing is not tested, and says so.

#[allow(dead_code, reason = "the suite uses more of it")]
#[path = "../suite/support/authority.rs"]
mod authority;
mod cluster_mode;
mod engine;
mod failovers;
mod history;
mod history_scripts;
mod logins;
mod messages;
mod node;
mod outages;
mod recent;
mod restarts;
#[path = "../runtimes/mod.rs"]
mod runtimes;
mod tls;
mod tls_servers;

use std::{path::PathBuf, time::Duration};

use prism_tests::redis_server::Kind;

/// How long a scenario may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Makes tests of scenarios, which are functions that are generic over the runtime and take the program of the server.
macro_rules! scenarios {
    ($($file:ident: $($scenario:ident)*;)*) => {
        scenarios! { @on tokio_redis tokio Redis $($file: $($scenario)*;)* }
        scenarios! { @on smol_redis smol Redis $($file: $($scenario)*;)* }
        scenarios! { @on async_std_redis async_std Redis $($file: $($scenario)*;)* }
        scenarios! { @on tokio_valkey tokio Valkey $($file: $($scenario)*;)* }
    };
    // The Valkey that `.ci/install` installs has no TLS.
    (@tls $($scenarios:tt)*) => {
        scenarios! { @on tokio_tls tokio Redis $($scenarios)* }
        scenarios! { @on smol_tls smol Redis $($scenarios)* }
        scenarios! { @on async_std_tls async_std Redis $($scenarios)* }
    };
    (@on $module:ident $runtime:ident $kind:ident $($file:ident: $($scenario:ident)*;)*) => {
        mod $module {
            $($(
                #[test]
                fn $scenario() {
                    super::run(super::Kind::$kind, |program| {
                        let scenario = super::$file::$scenario::<super::runtimes::$runtime::Network>(program);
                        super::runtimes::$runtime::block_on(super::LIMIT, scenario);
                    });
                }
            )*)*
        }
    };
}

fn run(kind: Kind, scenario: impl FnOnce(PathBuf)) {
    if let Some(program) = kind.find() {
        scenario(program);
    }
}

scenarios! {
    cluster_mode:
        members_at_two_servers_talk
        rooms_at_two_servers_come_and_go
        people_at_two_servers_see_each_other
        redis_cluster_keeps_no_messages
        a_killed_server_of_a_cluster_is_used_again
        a_master_of_a_cluster_that_becomes_a_replica_is_not_left
        a_killed_master_of_a_cluster_is_used_again_as_a_replica
        a_node_goes_on_at_the_next_server_of_a_cluster;
    failovers:
        all_goes_on_at_the_replica
        a_master_that_stalls_is_left
        sentinels_may_have_users_of_their_own;
    history:
        a_client_that_comes_back_gets_what_it_has_missed
        what_is_not_kept_any_more_is_reported
        a_restart_is_reported_even_if_the_data_is_there
        deleted_messages_are_reported
        a_server_without_memory_refuses_messages
        a_server_in_cluster_mode_keeps_no_messages
        a_server_that_was_a_replica_meanwhile_is_not_trusted
        a_message_that_cannot_be_kept_leaves_no_gap
        a_message_that_is_kept_but_not_published_may_be_kept
        what_is_damaged_concerns_one_room;
    history_scripts:
        reading_seldom_writes
        a_room_in_which_nothing_was_kept_is_soon_forgotten
        little_is_fetched_that_is_not_returned
        scripts_are_sent_once_and_again_if_they_are_forgotten;
    logins:
        a_wrong_password_is_reported
        a_user_needs_four_commands_and_the_channels_of_its_prefix
        the_configuration_in_the_guide_works
        a_user_without_the_channels_is_told_so
        a_user_without_a_command_is_told_so;
    messages:
        members_of_two_nodes_talk
        the_first_heartbeat_comes_back
        prefixes_keep_clusters_apart
        the_longest_messages_arrive
        many_messages_arrive_once_and_in_order;
    outages:
        a_replica_is_no_backplane
        a_server_that_becomes_a_replica_is_left
        thousands_of_rooms_are_subscribed_to_again;
    recent:
        a_new_client_gets_the_last_messages;
    restarts:
        a_server_that_restarts_empty_is_used_again
        a_server_that_stalls_is_noticed;
    tls_servers:
        tls_needs_a_url_that_says_so;
}

scenarios! { @tls
    failovers:
        sentinels_and_servers_use_tls;
    tls:
        messages_are_encrypted;
    tls_servers:
        the_configuration_in_the_guide_works;
}
