//! [`Gatekeeper`]: a server whose authorizations take as long as the request says.

use std::time::Duration;

use async_channel::{Receiver, Sender};
use prism_driver::{Reply, Request, Runtime, Server, ServerOptions, ServerStats, Shutdown, shared};
use prism_test::{Faults, PipeEnd, Sim};

use super::{
    handlers::{Echo, Log},
    ms,
    net::Net,
    site::{request, send, serve_until_closed},
};

/// A server on which `/chat` is authorized, and `/free` and the page `/page` are not.
pub struct Gatekeeper {
    pub net: Net,
    pub stats: ServerStats,
    /// When the authorization of each request began, and when its future was dropped.
    pub log: Log,
    pub stop: Sender<()>,
    pub outcome: Receiver<Shutdown>,
}

impl Gatekeeper {
    /// Starts a server; `change` sets its limits.
    pub fn start(sim: &Sim, change: impl FnOnce(&mut ServerOptions)) -> Self {
        let mut options = ServerOptions::default();
        change(&mut options);
        let (net, log) = (Net::new(sim), Log::default());
        let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
        let clerk = (sim.clone(), log.clone());
        let authorized = shared(Echo)
            .authorize(move |request| authorize(clerk.clone(), request))
            .header("X-Route", "chat")
            .unwrap();
        let server = bound
            .options(options)
            .websocket("/chat", authorized)
            .websocket("/free", Echo)
            .get("/page", |_| Reply::html("page"));
        let stats = server.stats();
        let (stop, outcome) = serve_until_closed(sim, server);
        sim.run(sim.settle());
        Self { net, stats, log, stop, outcome }
    }

    /// Sends a request whose authorization takes this long. If the name begins with `no`, it is then refused.
    pub async fn ask(&self, name: &str, span: Duration) -> (PipeEnd, Faults) {
        self.ask_for(&format!("/chat?name={name}&ms={}", span.as_millis())).await
    }

    /// Sends an upgrade request for this target.
    pub async fn ask_for(&self, target: &str) -> (PipeEnd, Faults) {
        send(&self.net, request(target)).await
    }
}

async fn authorize((sim, log): (Sim, Log), request: Request) -> Result<(), Reply> {
    let name = request.query_param("name").unwrap().into_owned();
    let span = ms(request.query_param("ms").unwrap().parse().unwrap());
    let entry = Entry { sim, log, name };
    entry.add("begins");
    entry.sim.sleep(span).await;
    if entry.name.starts_with("no") { Err(Reply::text(401, "no")) } else { Ok(()) }
}

/// Logs when it is dropped.
struct Entry {
    sim: Sim,
    log: Log,
    name: String,
}

impl Entry {
    fn add(&self, what: &str) {
        self.log.add(format!("{}: {} {what}", self.sim.now().as_millis(), self.name));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.add("ends");
    }
}
