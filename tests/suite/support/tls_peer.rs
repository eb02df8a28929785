//! [`TlsPeer`]: a TLS client on a blocking socket that decides itself what it sends, and when it ends.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
};

use super::{authority::Authority, peer::Peer};
use crate::prism::tls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject},
    version::{TLS12, TLS13},
};

/// Both versions of TLS, for scenarios that have to hold in each.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A TLS client. Nothing is sent before a method says so.
pub(crate) struct TlsPeer {
    pub(crate) tls: ClientConnection,
    pub(crate) stream: TcpStream,
}

/// Returns a configuration that trusts this authority and speaks only this version.
pub(crate) fn config(
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    config_with(authority, version, ring::default_provider())
}

pub(crate) fn config_with(
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
    provider: CryptoProvider,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority.file()).expect("a certificate");
    roots.add(certificate).expect("the certificate of an authority");
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .expect("the provider has both versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

impl TlsPeer {
    pub(crate) fn dial(address: SocketAddr, config: impl Into<Arc<ClientConfig>>) -> Self {
        let name = "localhost".try_into().expect("a name");
        let tls = ClientConnection::new(config.into(), name).expect("a good configuration");
        Self { tls, stream: Peer::dial(address).stream }
    }

    /// Connects, and does the handshake of TLS.
    pub(crate) fn open(address: SocketAddr, config: impl Into<Arc<ClientConfig>>) -> Self {
        let mut peer = Self::dial(address, config);
        peer.shake_hands().expect("both speak TLS");
        peer
    }

    /// Connects, and does both handshakes.
    pub(crate) fn open_websocket(
        address: SocketAddr,
        config: impl Into<Arc<ClientConfig>>,
    ) -> Self {
        let mut peer = Self::open(address, config);
        peer.write(Peer::request("/").as_bytes());
        let head = peer.read_until(b"\r\n\r\n");
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
        peer
    }

    pub(crate) fn shake_hands(&mut self) -> io::Result<()> {
        while self.tls.is_handshaking() || self.tls.wants_write() {
            self.tls.complete_io(&mut self.stream)?;
        }
        Ok(())
    }

    /// Returns the bytes that TLS has to send now.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        let mut output = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut output).expect("memory takes all");
        }
        output
    }

    /// Encrypts bytes, and returns what would be sent.
    pub(crate) fn encrypt(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.tls.writer().write_all(bytes).expect("room for a few bytes");
        self.take_output()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let output = self.encrypt(bytes);
        self.stream.write_all(&output).expect("the other end reads");
    }

    /// Reads decrypted bytes up to these.
    pub(crate) fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            let mut byte = [0];
            let count = self.read(&mut byte).expect("more, or the end");
            assert!(count > 0, "the end after {}", read.escape_ascii());
            read.push(byte[0]);
        }
        read
    }

    /// Reads decrypted bytes up to the end. Fails if TLS's own end is missing.
    pub(crate) fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match self.read(&mut chunk)? {
                0 => return Ok(read),
                count => read.extend(&chunk[..count]),
            }
        }
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            self.tls.read_tls(&mut self.stream)?;
            let processed = self.tls.process_new_packets();
            processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
    }

    /// Ends TLS, but not the connection under it.
    pub(crate) fn send_close_notify(&mut self) {
        self.tls.send_close_notify();
        let output = self.take_output();
        self.stream.write_all(&output).expect("the other end reads");
    }

    /// Ends the connection, but not TLS.
    pub(crate) fn send_eof(&self) {
        self.stream.shutdown(Shutdown::Write).expect("a connected socket");
    }

    /// Waits until the other end has ended the connection, in whatever way.
    pub(crate) fn expect_disconnect(self) {
        Peer::from_stream(self.stream, true).expect_disconnect();
    }
}
