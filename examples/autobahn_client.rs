//! Runs every case of an Autobahn fuzzing server, as the client under test.
//!
//! ```text
//! autobahn_client [ws://127.0.0.1:9001] [--deflate | --deflate-takeover]
//! ```
//!
//! With `--deflate` it offers compression, and compresses every message. With `--deflate-takeover` each may refer to
//! earlier ones.

use std::error::Error;

use echo_handler::Echo;

use crate::prism::{Client, Deflate, Options, connect};

mod echo_handler;

pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let (mut server, mut options) = ("ws://127.0.0.1:9001".to_owned(), options());
    for word in std::env::args().skip(1) {
        let deflate = Deflate::default().threshold(0);
        match word.as_str() {
            "--deflate" => options = options.compression(deflate),
            "--deflate-takeover" => {
                options = options.compression(deflate.with_takeover().threshold(0));
            }
            flag if flag.starts_with("--") => return Err(format!("unknown flag {flag}").into()),
            _ => server = word,
        }
    }
    let server = server.trim_end_matches('/');

    let count = connect(&format!("{server}/getCaseCount")).await?.recv().await?;
    let count: u32 = count.as_message().as_text().ok_or("the count is not text")?.parse()?;
    for case in 1..=count {
        let url = format!("{server}/runCase?case={case}&agent=prism");
        match Client::new(&url)?.options(options.clone()).run(Echo).await {
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
