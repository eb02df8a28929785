//! [The notifications example](../../examples/notifications.rs) on tokio.

use prism_tokio as prism;

#[path = "../../examples/notifications.rs"]
mod notifications;
#[path = "../../examples/signals_tokio.rs"]
mod signals;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    notifications::serve(signals::shutdown_signal()?).await
}
