//! [`Broker`]: the server through which the nodes exchange messages.

use std::{net::SocketAddr, path::PathBuf};

use prism_tests::{
    broker_process::BrokerProcess,
    nats_server::NatsServer,
    redis_server::{self, RedisServer},
};

/// What kind of server a scenario runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Redis,
    Valkey,
    Nats,
}

/// The program of a server.
#[derive(Clone)]
pub(crate) struct Program {
    kind: Kind,
    pub(crate) path: PathBuf,
}

pub(crate) enum Broker {
    Redis(RedisServer),
    Nats(NatsServer),
}

impl Kind {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "redis" => Some(Self::Redis),
            "valkey" => Some(Self::Valkey),
            "nats" => Some(Self::Nats),
            _ => None,
        }
    }

    /// Returns the program. If there is none, says so, and returns `None`, with which the scenario is over.
    pub(crate) fn find(self) -> Option<Program> {
        let path = match self {
            Self::Redis => redis_server::Kind::Redis.find(),
            Self::Valkey => redis_server::Kind::Valkey.find(),
            Self::Nats => NatsServer::find(),
        };
        path.map(|path| Program { kind: self, path })
    }
}

impl Broker {
    pub(crate) fn start(program: Program) -> Self {
        match program.kind {
            Kind::Redis | Kind::Valkey => Self::Redis(RedisServer::start(program.path, &[])),
            Kind::Nats => Self::Nats(NatsServer::start(program.path, "")),
        }
    }

    /// Returns the server of a scenario that runs with Redis and Valkey only.
    pub(crate) fn redis(&self) -> &RedisServer {
        let Self::Redis(server) = self else { panic!("the scenario needs Redis or Valkey") };
        server
    }

    pub(crate) fn url(&self) -> String {
        self.url_at(self.process().address())
    }

    /// Returns the URL of something that stands in front of the server.
    pub(crate) fn url_at(&self, address: SocketAddr) -> String {
        match self {
            Self::Redis(_) => format!("redis://{address}"),
            Self::Nats(_) => format!("nats://{address}"),
        }
    }

    pub(crate) const fn process(&self) -> &BrokerProcess {
        match self {
            Self::Redis(server) => &server.process,
            Self::Nats(server) => &server.process,
        }
    }

    pub(crate) const fn process_mut(&mut self) -> &mut BrokerProcess {
        match self {
            Self::Redis(server) => &mut server.process,
            Self::Nats(server) => &mut server.process,
        }
    }

    /// Returns how many connections a session has.
    pub(crate) const fn connections(&self) -> u64 {
        match self {
            Self::Redis(_) => 2,
            Self::Nats(_) => 1,
        }
    }
}
