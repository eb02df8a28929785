//! An echo server over TLS, for `wss://` URLs.
//!
//! ```text
//! tls [ADDR] [CERTIFICATES.pem KEY.pem]
//! ```
//!
//! Without arguments it generates a certificate for `localhost` and prints it. Clients have to be told to
//! trust it.

use std::{env, error::Error};

// `prism_tokio::Server` is this type with tokio's own network.
use prism_driver::Server;
use prism_tokio as prism;
use tokio_rustls::rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

#[path = "echo_handler.rs"]
mod echo_handler;
#[path = "signals_tokio.rs"]
mod signals;
#[path = "tls_tokio.rs"]
mod tls;

type Certificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8443".into());
    let (certificates, key) = match (arguments.next(), arguments.next()) {
        (Some(certificates), Some(key)) => from_files(&certificates, &key)?,
        (Some(_), None) => return Err("tls [ADDR] [CERTIFICATES.pem KEY.pem]".into()),
        (None, _) => self_signed()?,
    };
    let config = ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];

    let server = Server::bind_on(tls::Tls::new(config), address).await?;
    println!("listening on wss://{}", server.local_addr()?);
    server.websocket("/", echo_handler::Echo).serve_until(signals::shutdown_signal()?).await;
    Ok(())
}

fn from_files(certificates: &str, key: &str) -> Result<Certificate, Box<dyn Error>> {
    let certificates = CertificateDer::pem_file_iter(certificates)?.collect::<Result<_, _>>()?;
    Ok((certificates, PrivateKeyDer::from_pem_file(key)?))
}

fn self_signed() -> Result<Certificate, Box<dyn Error>> {
    let generated = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()])?;
    println!("{}", generated.cert.pem());
    let key = PrivateKeyDer::try_from(generated.signing_key.serialize_der())?;
    Ok((vec![generated.cert.der().clone()], key))
}
