//! An echo server over TLS, for `wss://` URLs: sends every message back, on every path.
//!
//! Without `--cert` and `--key`, it makes a certificate for `localhost`, and prints it: clients have to be told to
//! trust it.

use std::{error::Error, num::NonZero, sync::Arc, thread};

use echo_handler::Echo;

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::{
    command_line::Words,
    prism::{Options, Server, tls::TlsServer},
};

mod echo_handler;

const HELP: &str = "\
An echo server over TLS, for wss:// URLs: sends every message back, on every path.

Usage: wss_echo [ADDR] [OPTION...]

ADDR is the address to listen on, by default 127.0.0.1:8443.

  --cert FILE            the certificate, and those that lead to its authority, as PEM
                         (default: one for localhost, which is made and printed)
  --key FILE             the key of the certificate, as PEM
  --threads N            serve with N threads (default: one for each CPU)
  --max-message BYTES    close connections on which a longer message arrives (default: 67108864)
";

pub(crate) struct Arguments {
    pub(crate) address: String,
    /// The number of threads to serve with.
    pub(crate) threads: usize,
    certificates: Option<String>,
    key: Option<String>,
    options: Options,
}

/// Serves until `shutdown` completes and all connections are closed.
pub(crate) async fn serve(
    server: Server,
    arguments: Arguments,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    let tls = match (&arguments.certificates, &arguments.key) {
        (Some(certificates), Some(key)) => TlsServer::from_pem_files(certificates, key)?,
        (None, None) => self_signed()?,
        _ => return Err("--cert and --key belong together; expected both or neither".into()),
    };
    println!("listening on wss://{}", server.local_addr()?);
    let echo = Arc::new(Echo);
    let server = server.options(arguments.options).tls(tls);
    server.websocket("/", echo.clone()).websocket("/{*path}", echo).serve_until(shutdown).await;
    Ok(())
}

/// Makes a certificate, and prints it.
fn self_signed() -> Result<TlsServer, Box<dyn Error>> {
    let generated = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()])?;
    let certificate = generated.cert.pem();
    print!("{certificate}");
    Ok(TlsServer::from_pem(certificate, generated.signing_key.serialize_pem())?)
}

impl Arguments {
    /// Parses the command line.
    pub(crate) fn parse() -> Result<Self, String> {
        let mut arguments = Self::default();
        let mut words = Words::new(HELP);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--cert" => arguments.certificates = Some(words.value()?),
                "--key" => arguments.key = Some(words.value()?),
                "--threads" => arguments.threads = words.number::<usize>()?.max(1),
                "--max-message" => {
                    arguments.options.protocol.max_message_size = words.number()?;
                }
                _ => arguments.address = words.address()?,
            }
        }
        Ok(arguments)
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8443".into(),
            threads: thread::available_parallelism().map_or(1, NonZero::get),
            certificates: None,
            key: None,
            options: Options::default().max_message_size(64 << 20),
        }
    }
}
