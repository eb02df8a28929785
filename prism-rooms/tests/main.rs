//! The scenarios of rooms and presence, one file a topic. They are one binary, because linking is slower than the tests.

mod cluster;
mod cluster_faults;
mod cluster_threads;
mod common;
mod compression;
mod history;
mod history_faults;
mod history_joins;
mod history_leaving;
mod history_world;
mod json_rooms;
mod json_rooms_history;
mod json_rooms_history_faults;
mod json_rooms_recent;
mod json_rooms_refusals;
mod limits;
mod presence;
mod presence_behind;
mod presence_clock;
mod presence_cluster;
mod presence_compression;
mod presence_destructors;
mod presence_fairness;
mod presence_outages;
mod rooms;
mod wakers;
