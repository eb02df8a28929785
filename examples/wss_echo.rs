//! An echo server over TLS, for `wss://` URLs: sends every message back, on every path.
//!
//! ```text
//! wss_echo [ADDR] [--cert FILE --key FILE] [--threads N] [--max-message BYTES]
//! ```
//!
//! Without files it makes a certificate for `localhost`, and prints it: clients have to be told to trust it.

use std::{error::Error, num::NonZero, sync::Arc, thread};

use echo_handler::Echo;

// To copy this file, replace `crate::prism` by your adapter, such as `prism_tokio`.
use crate::prism::{Options, Server, tls::TlsServer};

mod echo_handler;

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
        _ => return Err("--cert and --key belong together".into()),
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
    pub(crate) fn parse() -> Result<Self, Box<dyn Error>> {
        let mut arguments = Self::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--cert" => arguments.certificates = Some(value()?),
                "--key" => arguments.key = Some(value()?),
                "--threads" => arguments.threads = value()?.parse::<usize>()?.max(1),
                "--max-message" => {
                    arguments.options.protocol.max_message_size = value()?.parse()?;
                }
                flag if flag.starts_with("--") => return Err(format!("unknown flag {flag}").into()),
                _ => arguments.address = word,
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
