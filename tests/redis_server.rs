//! [`RedisServer`]: a Redis or Valkey server of a scenario's own, on a free port of 127.0.0.1, which keeps nothing.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::subprocess::Subprocess;

/// How long the server may take to reply.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Where servers listen: not where the system takes the ports of clients from. A client that tries to connect to such a
/// port while nobody listens there may be given the same port, and so be connected to itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Which program a scenario runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `redis-server`: on the path, or where `.ci/install` puts it.
    Redis,
    /// `valkey-server`, likewise.
    Valkey,
}

/// A server. It is killed when this is dropped.
pub struct RedisServer {
    program: PathBuf,
    arguments: Vec<String>,
    port: u16,
    /// Used if the arguments have a certificate.
    tls_port: u16,
    folder: PathBuf,
    process: Option<Subprocess>,
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
        let folder = create_folder();
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut server = Self { program, arguments, port: 0, tls_port: 0, folder, process: None };
        for _ in 0..20 {
            (server.port, server.tls_port) = (free_port(), free_port());
            if server.port != server.tls_port && server.try_start() {
                return server;
            }
        }
        panic!("the server does not start");
    }

    fn try_start(&mut self) -> bool {
        let mut command = Command::new(&self.program);
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
        command.args(["--repl-diskless-sync-delay", "0", "--dir"]);
        command.arg(&self.folder).args(&self.arguments);
        if self.arguments.iter().any(|argument| argument == "--tls-cert-file") {
            command.args(["--tls-port", &self.tls_port.to_string()]);
        }
        let process = Subprocess::start(&mut command);
        while let Ok(line) = process.next_line() {
            if line.contains("Ready to accept connections") {
                self.process = Some(process);
                return true;
            }
        }
        false // such as when somebody else has taken the port meanwhile
    }

    /// Starts the server again after [`kill`](Self::kill), on the same port, with nothing in it.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&mut self) {
        assert!(self.try_start(), "the server does not start again");
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops the server as SIGSTOP does: its connections stay open, and nothing moves.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("a server that runs").signal(signal);
    }

    /// Returns the server's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Returns the server's URL, with this user and password, such as `ann:secret@`.
    #[must_use]
    pub fn url(&self, login: &str) -> String {
        format!("redis://{login}{}/", self.address())
    }

    /// Returns the server's URL for TLS, if its arguments have a certificate.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("rediss://{}/", self.tls_address())
    }

    /// Returns the server's address for TLS, if its arguments have a certificate.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.tls_port).into()
    }

    /// Sends a command to the server, as the user `default`, and returns its reply: one line for each value.
    ///
    /// # Panics
    /// If the server does not reply.
    pub fn command<W: AsRef<OsStr>>(&self, words: &[W]) -> String {
        command_at(self.address(), words).expect("a server that replies")
    }

    /// Returns the commands that the server carries out from now on, a line each, those of scripts, too.
    ///
    /// # Panics
    /// If the server does not reply.
    pub fn monitor(&self) -> impl Iterator<Item = String> {
        let mut stream = TcpStream::connect(self.address()).expect("a server that listens");
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
        command_at(self.address(), &["ROLE"]).is_ok_and(|role| role.starts_with("master\n"))
    }

    /// Makes the server a replica, and waits until it has what its master has now.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn follow(&self, master: &Self) {
        let port = master.port.to_string();
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

/// Creates a folder of a server's own.
pub(crate) fn create_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Relaxed);
    let folder = env::temp_dir().join(format!("prism-broker-{}-{number}", process::id()));
    fs::create_dir(&folder).expect("a folder of its own");
    folder
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

/// Returns a program that `.ci/install` installs. If it is missing, says so.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let program = env::current_exe().expect("the path of this program");
    let installed = program.ancestors().map(|folder| folder.join("ci"));
    let found = env::split_paths(&path).chain(installed).map(|folder| folder.join(name));
    let found = found.into_iter().find(|program| program.is_file());
    if found.is_none() {
        assert!(env::var_os("PRISM_TESTS_ALL").is_none(), "{name} is missing: see .ci/install");
        eprintln!("NOT TESTED: {name} is missing");
    }
    found
}

pub(crate) fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.process = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}
