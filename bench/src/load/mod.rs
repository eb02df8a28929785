//! The load generator: one thread with epoll, prepared frames, and replies that are counted and dropped.

mod amplify;
mod arrivals;
mod authorize;
mod bombs;
mod broadcast;
mod client;
mod compressed;
mod content;
mod crowd;
mod echo;
mod flood;
mod frames;
mod handshakes;
mod http2;
mod idle;
mod latency;
mod measured;
mod open_loop;
mod payload;
mod peak;
mod process;
mod reader;
mod renewals;
mod rooms;
mod sample;
mod silent;
mod span;
mod talk;
mod tls;

pub(crate) use self::client::{PATIENCE, READ_SIZE};
pub use self::{
    amplify::{ATTACKS, Attack},
    arrivals::Arrivals,
    authorize::{Authorize, Authorized},
    broadcast::{Broadcast, Deliveries},
    compressed::Compressed,
    content::Content,
    crowd::Crowd,
    echo::Echo,
    flood::{Flood, Kind},
    handshakes::Handshakes,
    http2::Http2,
    idle::{Idle, Memory},
    latency::Latency,
    measured::{Measured, Replies},
    open_loop::{AtRate, OpenLoop},
    payload::Payload,
    peak::Peak,
    process::{CpuTime, Process},
    renewals::Renewals,
    rooms::{Askers, Question, Residents},
    sample::Sample,
    talk::Talk,
    tls::Tls,
};
