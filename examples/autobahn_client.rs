//! Runs every case of an Autobahn fuzzing server, as the client under test.

use std::error::Error;

use echo_handler::Echo;

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
#[cfg(feature = "tls")]
use crate::prism::tls::TlsClient;
use crate::{
    command_line::Words,
    prism::{Client, ConnectError, Deflate, Options},
};

mod echo_handler;

const HELP: &str = "\
Runs every case of an Autobahn fuzzing server, as the client under test.

Usage: autobahn_client [URL] [OPTION...]

URL is that of the server, by default ws://127.0.0.1:9001.

  --deflate             offer compression, and compress every message
  --deflate-takeover    the same, and messages may refer to earlier ones
  --ca FILE             the certificate of the authority to trust, as PEM (with the feature tls)
";

pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let count = arguments.client("getCaseCount")?.connect().await?.recv().await?;
    let count: u32 = count.as_message().as_text().ok_or("the count is not text")?.parse()?;
    for case in 1..=count {
        match arguments.client(&format!("runCase?case={case}&agent=prism"))?.run(Echo).await {
            Ok(ending) => println!("case {case} of {count}: {ending}"),
            Err(error) => println!("case {case} of {count}: {error}"),
        }
    }
    // The server closes this connection when it has written the report.
    let ending = arguments.client("updateReports?agent=prism")?.connect().await?.recv().await;
    println!("report: {ending:?}");
    Ok(())
}

struct Arguments {
    server: String,
    options: Options,
    #[cfg(feature = "tls")]
    tls: Option<TlsClient>,
}

impl Arguments {
    /// Parses the command line.
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut arguments = Self {
            server: "ws://127.0.0.1:9001".into(),
            // The cases send up to 16 MiB.
            options: Options::default().max_message_size(64 << 20),
            #[cfg(feature = "tls")]
            tls: None,
        };
        let mut words = Words::new(HELP);
        while let Some(word) = words.next() {
            let deflate = Deflate::default();
            let protocol = &mut arguments.options.protocol;
            match word.as_str() {
                "--deflate" => protocol.deflate = Some(deflate.threshold(0).into()),
                "--deflate-takeover" => {
                    protocol.deflate = Some(deflate.with_takeover().threshold(0).into());
                }
                #[cfg(feature = "tls")]
                "--ca" => {
                    arguments.tls = Some(TlsClient::trusting_pem_file(words.value()?)?);
                }
                _ => arguments.server = words.argument()?,
            }
        }
        Ok(arguments)
    }

    /// Creates a client for a path.
    fn client(&self, path: &str) -> Result<Client, ConnectError> {
        let url = format!("{}/{path}", self.server.trim_end_matches('/'));
        let client = Client::new(&url)?.options(self.options.clone());
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return Ok(client.tls(tls.clone()));
        }
        Ok(client)
    }
}
