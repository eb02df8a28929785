//! [`RedisServer`]: a Redis or Valkey server of a scenario's own.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::broker_process::{BrokerProcess, find_program};

/// How long the server may take to reply.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Which program a scenario runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `redis-server`: on the path, or where `.ci/install` puts it.
    Redis,
    /// `valkey-server`, likewise.
    Valkey,
}

/// A server.
pub struct RedisServer {
    /// The server's process.
    pub process: BrokerProcess,
}

impl Kind {
    /// Returns the program. If there is none, says so, and returns `None`, with which the scenario is over.
    ///
    /// # Panics
    /// If there is none, and the environment has `PRISM_TESTS_ALL`.
    #[must_use]
    pub fn find(self) -> Option<PathBuf> {
        find_program(match self {
            Self::Redis => "redis-server",
            Self::Valkey => "valkey-server",
        })
    }
}

impl RedisServer {
    /// Starts a server on a free port. `arguments` are those of its command line, such as `--requirepass secret`.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(program: PathBuf, arguments: &[&str]) -> Self {
        let process = BrokerProcess::start("Ready to accept connections", |place| {
            let mut command = Command::new(&program);
            command.args(["--bind", "127.0.0.1", "--port", &place.port.to_string()]);
            command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
            command.args(["--repl-diskless-sync-delay", "0", "--dir"]);
            command.arg(&place.folder).args(arguments);
            if arguments.contains(&"--tls-cert-file") {
                command.args(["--tls-port", &place.other_port.to_string()]);
            }
            if arguments.contains(&"--cluster-enabled") {
                command.args(["--cluster-port", &place.other_port.to_string()]);
            }
            command
        });
        Self { process }
    }

    /// Returns the server's URL, with this user and password, such as `ann:secret@`.
    #[must_use]
    pub fn url(&self, login: &str) -> String {
        format!("redis://{login}{}/", self.process.address())
    }

    /// Returns the server's URL for TLS, if its arguments have a certificate.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("rediss://{}/", self.tls_address())
    }

    /// Returns the server's address for TLS, if its arguments have a certificate.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        self.process.other_address()
    }

    /// Sends a command to the server, as the user `default`, and returns its reply: one line for each value.
    ///
    /// # Panics
    /// If the server does not reply.
    pub fn command<W: AsRef<OsStr>>(&self, words: &[W]) -> String {
        command_at(self.process.address(), words).expect("a server that replies")
    }

    /// Returns the commands that the server carries out from now on, a line each, those of scripts, too.
    ///
    /// # Panics
    /// If the server does not reply.
    pub fn monitor(&self) -> impl Iterator<Item = String> {
        let mut stream = TcpStream::connect(self.process.address()).expect("a server that listens");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        stream.write_all(b"MONITOR\r\n").expect("a server that reads");
        let mut lines = BufReader::new(stream).lines().map(|line| line.expect("a line in time"));
        assert_eq!(lines.next().as_deref(), Some("+OK"));
        lines
    }

    /// Returns how often the server has carried out a command, also in scripts.
    ///
    /// # Panics
    /// If the server does not reply.
    #[must_use]
    pub fn calls(&self, command: &str) -> usize {
        let stats = self.command(&["INFO", "commandstats"]);
        let calls = stats.split_once(&format!("cmdstat_{command}:calls="));
        let digits = calls.and_then(|(_, calls)| calls.split(',').next());
        digits.map_or(0, |digits| digits.parse().expect("a number"))
    }

    /// Returns whether the server says that it is a master. One that is being promoted may say nothing: it closes its
    /// connections.
    #[must_use]
    pub fn is_master(&self) -> bool {
        command_at(self.process.address(), &["ROLE"]).is_ok_and(|role| role.starts_with("master\n"))
    }

    /// Makes the server a replica, and waits until it has what its master has now.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn follow(&self, master: &Self) {
        let port = master.process.address().port().to_string();
        self.command(&["REPLICAOF", "127.0.0.1", &port]);
        let began = Instant::now();
        loop {
            let (here, there) = (self.command(&["ROLE"]), master.command(&["ROLE"]));
            // A replica says whether it is connected, and both say how many bytes of changes there were.
            let (mut here, mut there) = (here.lines().skip(3), there.lines().skip(1));
            if here.next() == Some("connected") && here.next() == there.next() {
                return;
            }
            assert!(began.elapsed() < TIMEOUT, "the replica does not follow");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns how many channels have subscribers.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.command(&["PUBSUB", "CHANNELS"]).lines().count()
    }

    /// Returns how many connections listen to channels.
    #[must_use]
    pub fn listeners(&self) -> usize {
        let list = self.command(&["CLIENT", "LIST", "TYPE", "pubsub"]);
        list.lines().filter(|line| !line.is_empty()).count()
    }
}

/// Sends a command to a server, as the user `default`, and returns its reply: one line for each value.
pub(crate) fn command_at<W: AsRef<OsStr>>(address: SocketAddr, words: &[W]) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        let word = word.as_ref().to_str().expect("text");
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(command.as_bytes())?;
    let mut reply = String::new();
    read_reply(&mut BufReader::new(stream), &mut reply)?;
    Ok(reply)
}

/// Adds the values of a reply, each with a line break.
fn read_reply(stream: &mut impl BufRead, reply: &mut String) -> io::Result<()> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    let number = || line[1..].parse::<usize>();
    match line.as_bytes().first() {
        Some(b'*') => {
            for _ in 0..number().expect("a count") {
                read_reply(stream, reply)?;
            }
        }
        Some(b'$') => {
            let mut text = vec![0; number().expect("a length") + 2];
            stream.read_exact(&mut text)?;
            reply.push_str(&String::from_utf8_lossy(&text[..text.len() - 2]));
            reply.push('\n');
        }
        Some(_) => {
            reply.push_str(line);
            reply.push('\n');
        }
        None => return Err(io::ErrorKind::UnexpectedEof.into()),
    }
    Ok(())
}
