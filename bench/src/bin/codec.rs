//! Prints what each library's protocol code costs, in nanoseconds per message.
//!
//! `codec [--tsv] [ROUNDS]` prints a table of medians and half the distance between the quartiles, or,
//! with `--tsv`, lines with item, library, median and both quartiles.

use prism_bench::{
    Spread,
    codec::{Row, measure, settle, table},
};

fn main() -> std::io::Result<()> {
    settle()?;
    let mut rounds = 25;
    let mut tsv = false;
    for argument in std::env::args().skip(1) {
        match argument.parse() {
            Ok(number) => rounds = number,
            Err(_) if argument == "--tsv" => tsv = true,
            Err(_) => {
                eprintln!("usage: codec [--tsv] [ROUNDS]");
                std::process::exit(1);
            }
        }
    }
    let rows = measure(rounds);
    if tsv {
        print_tsv(&rows)
    } else {
        print_table(&rows)
    }
    Ok(())
}

fn print_tsv(rows: &[Row]) {
    println!("item\tlibrary\tmedian_ns\tlow_ns\thigh_ns");
    for row in rows {
        for cell in &row.cells {
            let Spread { low, median, high } = cell.spread;
            println!("{}\t{}\t{median:.2}\t{low:.2}\t{high:.2}", row.item, cell.library);
        }
    }
}

fn print_table(rows: &[Row]) {
    let figure = |item: &str, library: &str| {
        let row = rows.iter().find(|row| row.item == item)?;
        let cell = row.cells.iter().find(|cell| cell.library == library)?;
        let Spread { low, median, high } = cell.spread;
        Some(format!("{median:.1} ±{:.1}", (high - low) / 2.0))
    };
    print!("{}", table("ns per message", figure));
}
