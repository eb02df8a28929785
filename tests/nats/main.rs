//! Clusters over a real NATS server. Each scenario runs on each runtime. Some are those of `redis/`.
//!
//! `.ci/install` installs the server. If it is missing, nothing is tested, and the scenarios say so.

#[allow(dead_code, reason = "the suite uses more of it")]
#[path = "../suite/support/authority.rs"]
mod authority;
mod engine;
mod logins;
#[path = "../redis/messages.rs"]
mod messages;
#[path = "../redis/node.rs"]
mod node;
mod outages;
#[path = "../redis/restarts.rs"]
mod restarts;
mod rooms;
#[path = "../runtimes/mod.rs"]
mod runtimes;
mod servers;
#[path = "../redis/tls.rs"]
mod tls;
mod tls_servers;

use std::time::Duration;

use prism_tests::nats_server::NatsServer;

/// How long a scenario may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Makes tests of scenarios, which are functions that are generic over the runtime and take the program of the server.
macro_rules! scenarios {
    ($($file:ident: $($scenario:ident)*;)*) => {
        scenarios! { @on tokio $($file: $($scenario)*;)* }
        scenarios! { @on smol $($file: $($scenario)*;)* }
        scenarios! { @on async_std $($file: $($scenario)*;)* }
    };
    (@on $runtime:ident $($file:ident: $($scenario:ident)*;)*) => {
        mod $runtime {
            $($(
                #[test]
                fn $scenario() {
                    let Some(program) = super::NatsServer::find() else { return };
                    let scenario = super::$file::$scenario::<super::runtimes::$runtime::Network>(program);
                    super::runtimes::$runtime::block_on(super::LIMIT, scenario);
                }
            )*)*
        }
    };
}

scenarios! {
    logins:
        the_configuration_in_the_guide_works
        a_wrong_password_is_reported
        a_token_is_a_login
        a_key_is_a_login
        a_credentials_file_is_a_login
        a_user_without_the_subjects_is_told_so;
    messages:
        members_of_two_nodes_talk
        the_first_heartbeat_comes_back
        prefixes_keep_clusters_apart
        the_longest_messages_arrive
        many_messages_arrive_once_and_in_order;
    outages:
        all_rooms_and_people_are_back_after_a_restart
        what_a_node_misses_while_it_is_cut_off_is_reported
        a_node_that_is_cut_off_leaves_with_its_people;
    restarts:
        a_server_that_restarts_empty_is_used_again
        a_server_that_stalls_is_noticed;
    rooms:
        names_may_be_any_text
        a_message_that_is_too_large_is_reported
        history_is_refused;
    servers:
        another_server_takes_over
        a_server_in_lame_duck_mode_is_left_without_a_loss;
    tls:
        messages_are_encrypted;
    tls_servers:
        a_server_that_requires_tls_is_named
        a_server_without_tls_is_refused;
}
