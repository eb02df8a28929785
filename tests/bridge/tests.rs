//! What goes through the bridge without TLS, and through two with TLS in between.

use tokio::time::timeout;

use super::*;

/// How long something may take to go through.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns two sockets with the bridge between them, or two that have TLS between themselves.
async fn ends(tls: bool) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut address = listener.local_addr().unwrap();
    let modes = if tls { tls_modes() } else { vec![Mode::Plain] };
    for mode in modes {
        let bridge = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = std::mem::replace(&mut address, bridge.local_addr().unwrap());
        tokio::spawn(serve(bridge, mode, target.to_string()));
    }
    let mut left = TcpStream::connect(address).await.unwrap();
    let (mut right, _) = listener.accept().await.unwrap();
    // Now all handshakes are done.
    left.write_all(b"?").await.unwrap();
    assert_eq!(right.read_u8().await.unwrap(), b'?');
    (left, right)
}

/// Returns the modes of the bridges, the last one first.
fn tls_modes() -> Vec<Mode> {
    let generated = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let certificate = CertificateDer::from(generated.cert);
    let key = PrivateKeyDer::try_from(generated.signing_key.serialize_der()).unwrap();
    vec![
        Mode::from_tls(vec![certificate.clone()], key).unwrap(),
        Mode::to_tls(certificate).unwrap(),
    ]
}

/// All four ways from one socket to the other.
async fn ways() -> Vec<(TcpStream, TcpStream)> {
    let mut ways = Vec::new();
    for tls in [false, true] {
        let (left, right) = ends(tls).await;
        ways.push((left, right));
        let (left, right) = ends(tls).await;
        ways.push((right, left));
    }
    ways
}

#[tokio::test]
async fn an_end_is_passed_on_and_the_other_direction_stays_open() {
    for (mut from, mut to) in ways().await {
        let (mut received, mut answered) = (Vec::new(), Vec::new());
        from.write_all(&[1; 60_000]).await.unwrap();
        from.shutdown().await.unwrap();
        timeout(PATIENCE, to.read_to_end(&mut received)).await.expect("an end").unwrap();
        assert_eq!(received, [1; 60_000]);
        to.write_all(&[2; 60_000]).await.unwrap();
        to.shutdown().await.unwrap();
        timeout(PATIENCE, from.read_to_end(&mut answered)).await.expect("an end").unwrap();
        assert_eq!(answered, [2; 60_000]);
    }
}

#[tokio::test]
async fn a_reset_is_passed_on() {
    for (from, mut to) in ways().await {
        SockRef::from(&from).set_linger(Some(Duration::ZERO)).unwrap();
        drop(from);
        let error = timeout(PATIENCE, to.read_u8()).await.expect("a reset").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
