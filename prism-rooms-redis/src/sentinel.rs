//! [`ask`]: what Sentinels are asked. A Sentinel watches servers, and knows which of them is the master.
//!
//! ```text
//!   AUTH watcher secret                         +OK
//!   SENTINEL get-master-addr-by-name cache      *2 ($8 10.0.0.5) ($4 6379)
//! ```

use std::str;

use prism_driver::ServiceAddress;

use crate::{
    connection::Connection,
    error::{SessionError, shown},
    resp::Scalars,
    url::Login,
};

/// Asks a Sentinel for the address of a master.
pub(crate) async fn ask(
    connection: &mut Connection,
    login: Option<&Login>,
    master: &str,
) -> Result<ServiceAddress, SessionError> {
    if let Some(Login { user, password }) = login {
        connection.push(&[b"AUTH", user.as_bytes(), password.as_bytes()]);
    }
    connection.push(&[b"SENTINEL", b"get-master-addr-by-name", master.as_bytes()]);
    if let Some(Login { password, .. }) = login {
        let reply = connection.reply().await?;
        reply.map_err(|why| SessionError::refused("AUTH", &why, Some(password)))?;
    }
    let reply = connection.reply().await?;
    parse_master(&reply.map_err(|why| SessionError::refused("SENTINEL", &why, None))?)
}

/// Parses a host and a port. Without any, the Sentinel does not know the master.
fn parse_master([host, port, _]: &Scalars) -> Result<ServiceAddress, SessionError> {
    if host.is_empty() {
        return Err(SessionError::UnknownMaster);
    }
    let invalid = || SessionError::InvalidMaster(shown(host), shown(port));
    let (Ok(host), Ok(port)) = (str::from_utf8(host), str::from_utf8(port)) else {
        return Err(invalid());
    };
    let port = port.parse::<u16>().map_err(|_| invalid())?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    ServiceAddress::parse(&host, port).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::parse_master;

    fn parse(host: &str, port: &str) -> String {
        let scalars = [host, port, ""].map(|text| Bytes::copy_from_slice(text.as_bytes()));
        match parse_master(&scalars) {
            Ok(address) => address.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn a_master_has_a_host_and_a_port() {
        assert_eq!(parse("10.0.0.5", "6379"), "10.0.0.5:6379");
        assert_eq!(parse("redis.example", "1"), "redis.example:1");
        assert_eq!(parse("2001:db8::1", "6379"), "[2001:db8::1]:6379");
        assert_eq!(parse("", ""), "error: it knows no master with this name");
        for (host, port) in [("a", ""), ("a", "65536"), ("a", "x"), ("a b", "1"), ("a:b", "1")] {
            let expected = format!("error: it says that the master is at {host:?}, port {port:?}");
            assert_eq!(parse(host, port), expected);
        }
    }
}
