//! Runs one of the servers: `server NAME ADDR [--threads N] [--broadcast]`.

use std::error::Error;

use prism_bench::servers;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut plain, mut threads, mut broadcast) = (Vec::new(), 1, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--threads" => threads = words.next().ok_or("--threads needs a number")?.parse()?,
            "--broadcast" => broadcast = true,
            _ => plain.push(word),
        }
    }
    let [name, address] = plain.as_slice() else {
        let names: Vec<_> = servers::SERVERS.iter().map(|server| server.name).collect();
        return Err(format!("server NAME ADDR [--threads N] [--broadcast]; {names:?}").into());
    };
    Ok(servers::run(name, address, threads, broadcast)?)
}
