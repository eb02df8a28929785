//! Runs every case of an Autobahn fuzzing server, as the client under test.
//!
//! ```text
//! autobahn_client [ws://127.0.0.1:9001]
//! ```

use std::error::Error;

use echo_handler::Echo;

use crate::prism::{Client, Options, connect};

mod echo_handler;

pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001".into());
    let server = server.trim_end_matches('/');

    let count = connect(&format!("{server}/getCaseCount")).await?.recv().await?;
    let count: u32 = count.as_message().as_text().ok_or("the count is not text")?.parse()?;
    for case in 1..=count {
        let url = format!("{server}/runCase?case={case}&agent=prism");
        match Client::new(&url)?.options(options()).run(Echo).await {
            Ok(ending) => println!("case {case} of {count}: {ending}"),
            Err(error) => println!("case {case} of {count}: {error}"),
        }
    }
    // The server closes this connection when it has written the report.
    let ending = connect(&format!("{server}/updateReports?agent=prism")).await?.recv().await;
    println!("report: {ending:?}");
    Ok(())
}

/// Allows large messages: the cases send up to 16 MiB.
fn options() -> Options {
    Options::default().max_message_size(64 << 20)
}
