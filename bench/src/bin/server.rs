//! Runs one of the servers: `server NAME ADDR [--threads N] [MODE]`. Without a mode, it echoes. The others are
//! `--broadcast`, `--deflate`, `--takeover`, `--deflate-broadcast` and `--tls`.

use std::error::Error;

use prism_bench::servers::{self, Mode};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut plain, mut threads, mut mode) = (Vec::new(), 1, Mode::Echo);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--threads" => threads = words.next().ok_or("--threads needs a number")?.parse()?,
            _ => match Mode::named(&word) {
                Some(named) => mode = named,
                None => plain.push(word),
            },
        }
    }
    let [name, address] = plain.as_slice() else {
        let names: Vec<_> = servers::SERVERS.iter().map(|server| server.name).collect();
        return Err(format!("server NAME ADDR [--threads N] [MODE]; {names:?}").into());
    };
    Ok(servers::run(name, address, threads, mode)?)
}
