//! [`log_in`]: the first commands of a connection: who it is, and whether the server may have its channels.
//!
//! A server that stands alone has to be a master: what is published on a replica does not reach the clients of its
//! master. In Redis Cluster, it reaches the clients of all nodes, whatever their roles are.

use bytes::Bytes;

use crate::{
    connection::Connection,
    error::{Purpose, SessionError},
    resp::{self, Scalars},
    url::{Login, Servers, Target},
};

/// Logs in, and checks that the server may have the channels. Returns whether it has to stay a master, and says what
/// its role is: hosted ones may not have the command, and let their name lead to the master.
pub(crate) async fn log_in(
    connection: &mut Connection,
    purpose: Purpose,
    target: &Target,
) -> Result<bool, SessionError> {
    let name = match purpose {
        Purpose::Publish => "prism-publish",
        Purpose::Subscribe => "prism-subscribe",
    };
    let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
    if let Some(Login { user, password }) = &target.login {
        hello.extend([b"AUTH", user.as_bytes(), password.as_bytes()]);
    }
    hello.extend([b"SETNAME".as_slice(), name.as_bytes()]);
    connection.push(&hello);
    connection.push(&[b"ROLE"]);
    let secret = target.login.as_ref().map(|login| &*login.password);
    let server = connection.map_reply().await?;
    let server = server.map_err(|why| SessionError::refused("HELLO", &why, secret))?;
    let role = connection.reply().await?;
    if resp::find(&server, "mode").is_some_and(|mode| mode == "cluster") {
        return Ok(false);
    }
    if let Servers::Cluster(_) = target.servers {
        return Err(SessionError::NotCluster);
    }
    check_first_role(role)
}

/// Checks the first reply to `ROLE`. Returns whether the server has that command.
fn check_first_role(reply: Result<Scalars, Bytes>) -> Result<bool, SessionError> {
    match reply {
        Ok(role) => check_role(&role).map(|()| true),
        // The command takes no arguments, so a general error means that it is not supported. Others have codes of their
        // own, such as NOPERM and LOADING.
        Err(why) if why.starts_with(b"ERR ") => Ok(false),
        Err(why) => Err(SessionError::refused("ROLE", &why, None)),
    }
}

/// Checks the reply to `ROLE`.
pub(crate) fn check_role([role, ..]: &Scalars) -> Result<(), SessionError> {
    if role == "master" { Ok(()) } else { Err(SessionError::not_master(role)) }
}
