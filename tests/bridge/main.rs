//! A bridge between TCP and TLS, for test suites that do not speak TLS. It passes on bytes, ends and resets in both
//! directions, and nothing else.
//!
//! ```text
//! bridge plain    LISTEN TARGET
//! bridge to-tls   LISTEN TARGET CA.pem               accepts TCP, connects over TLS
//! bridge from-tls LISTEN TARGET CERT.pem KEY.pem     accepts TLS, connects over TCP
//! ```

use std::{error::Error, io, net, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        self, ClientConfig, RootCertStore, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

#[cfg(test)]
mod tests;

/// How many bytes wait in the kernel, on each way of each socket. Few, because a test suite takes them for bytes that
/// the other side has read.
const KERNEL_BUFFER: usize = 64 << 10;

/// What the bridge does with the two sides.
#[derive(Clone)]
enum Mode {
    Plain,
    ToTls(TlsConnector),
    FromTls(TlsAcceptor),
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (mode, listen, target) = match words[..] {
        ["plain", listen, target] => (Mode::Plain, listen, target),
        ["to-tls", listen, target, ca] => {
            (Mode::to_tls(CertificateDer::from_pem_file(ca)?)?, listen, target)
        }
        ["from-tls", listen, target, certificates, key] => {
            let chain = CertificateDer::pem_file_iter(certificates)?.collect::<Result<_, _>>()?;
            (Mode::from_tls(chain, PrivateKeyDer::from_pem_file(key)?)?, listen, target)
        }
        _ => return Err("bridge plain|to-tls|from-tls LISTEN TARGET FILES...".into()),
    };
    let listener = TcpListener::bind(listen).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(serve(listener, mode, target.to_owned()).await?)
}

impl Mode {
    /// Connects to servers on `localhost` that have a certificate of this authority.
    fn to_tls(authority: CertificateDer<'static>) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority)?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::ToTls(Arc::new(config).into()))
    }

    /// Accepts clients with this certificate.
    fn from_tls(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Self::FromTls(Arc::new(config).into()))
    }
}

/// A build may have several providers, so one has to be named.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

async fn serve(listener: TcpListener, mode: Mode, target: String) -> io::Result<()> {
    loop {
        let (accepted, _) = listener.accept().await?;
        let (mode, target) = (mode.clone(), target.clone());
        tokio::spawn(async move {
            if let Err(error) = bridge(mode, accepted, &target).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn bridge(mode: Mode, accepted: TcpStream, target: &str) -> io::Result<()> {
    let connected = TcpStream::connect(target).await?;
    for stream in [&accepted, &connected] {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(stream);
        socket.set_send_buffer_size(KERNEL_BUFFER)?;
        socket.set_recv_buffer_size(KERNEL_BUFFER)?;
    }
    let (accepted, left) = with_handle(accepted)?;
    let (connected, right) = with_handle(connected)?;
    match mode {
        Mode::Plain => join((accepted, left), (connected, right)).await,
        Mode::ToTls(connector) => {
            let name = "localhost".try_into().expect("a name");
            let connected = connector.connect(name, connected).await?;
            join((accepted, left), (connected, right)).await;
        }
        Mode::FromTls(acceptor) => {
            let accepted = acceptor.accept(accepted).await?;
            join((accepted, left), (connected, right)).await;
        }
    }
    Ok(())
}

/// Returns the stream, and another handle to its socket.
fn with_handle(stream: TcpStream) -> io::Result<(TcpStream, net::TcpStream)> {
    let stream = stream.into_std()?;
    let handle = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, handle))
}

/// Passes on everything until both directions have ended, or one has failed.
async fn join<A, B>(left: (A, net::TcpStream), right: (B, net::TcpStream))
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let ((left_read, left_write), (right_read, right_write)) = (split(left.0), split(right.0));
    let both =
        async { tokio::try_join!(pass(left_read, right_write), pass(right_read, left_write)) };
    if both.await.is_err() {
        for handle in [&left.1, &right.1] {
            // Closing then resets. If the socket is gone already, so is its peer.
            let _ = SockRef::from(handle).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Passes on one direction, with its end.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) => break,
            Ok(count) => {
                to.write_all(&buffer[..count]).await?;
                to.flush().await?;
            }
            // The end of TCP without that of TLS.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    to.shutdown().await
}
