//! Measures Nym's crate `sphinx-packet` for the table in which our library stands beside others, and prints each
//! measurement as a line of JSON (see the README one folder up).

mod nym;

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use cpu_time::ProcessTime;

/// What a program may fail with.
pub type Failure = Box<dyn Error>;

/// One thing that a peer does, again and again.
pub struct Operation<'a> {
    pub name: &'static str,
    /// What is compared, and how the format differs. Stands in JSON as it is: no quotes, no backslashes.
    pub note: &'static str,
    /// Does it once, and fails where the outcome is wrong.
    pub run: Box<dyn FnMut() -> Result<(), Failure> + 'a>,
    /// How many runs make one measurement.
    count: u64,
}

impl<'a> Operation<'a> {
    pub fn new(name: &'static str, note: &'static str, run: impl FnMut() -> Result<(), Failure> + 'a) -> Self {
        Operation { name, note, run: Box::new(run), count: 1 }
    }

    /// Returns the nanoseconds of one run in processor time, the mean over `count` of them.
    fn measure(&mut self) -> Result<f64, Failure> {
        let start = ProcessTime::try_now()?;
        for _ in 0..self.count {
            (self.run)()?;
        }
        Ok(start.try_elapsed()?.as_nanos() as f64 / self.count as f64)
    }

    /// Repeats the operation for the given length, and sets how many times a measurement of that length has to.
    fn warm_up(&mut self, length: Duration) -> Result<(), Failure> {
        let wanted = length.as_nanos() as f64;
        loop {
            let ns = self.measure()?;
            if ns * self.count as f64 >= wanted / 2.0 {
                self.count = ((wanted / ns) as u64).max(1);
                return Ok(());
            }
            self.count *= 2;
        }
    }
}

/// How often and for how long to measure.
struct Options {
    rounds: u64,
    length: Duration,
}

const USAGE: &str = "usage: peers [--rounds N] [--round-ms MILLISECONDS]";

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut options = Options { rounds: 11, length: Duration::from_millis(100) };
        while let Some(name) = arguments.next() {
            let value = arguments.next().and_then(|text| text.parse::<u64>().ok()).filter(|&value| value > 0);
            match (name.as_str(), value) {
                ("--rounds", Some(value)) => options.rounds = value,
                ("--round-ms", Some(value)) => options.length = Duration::from_millis(value),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

/// Returns the version of a crate that this program is built with, by its lock file.
fn version_of(name: &str) -> &'static str {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let lock = include_str!("../Cargo.lock");
    lock.split_once(&entry).and_then(|(_, rest)| rest.split('"').next()).unwrap_or("unknown")
}

/// Returns text that has no quotes, backslashes and control characters as a string of JSON.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn measure_all(options: &Options) -> Result<(), Failure> {
    let path = nym::Path::new()?;
    let packet_size = path.packet_size();
    let mut operations = path.operations()?;
    for operation in &mut operations {
        operation.warm_up(options.length)?;
    }
    let mut out = std::io::stdout().lock();
    for round in 1..=options.rounds {
        for operation in &mut operations {
            let ns = operation.measure()?;
            let values = [
                ("peer", quoted("nym")),
                ("version", quoted(version_of("sphinx-packet"))),
                ("operation", quoted(operation.name)),
                ("hops", nym::HOPS.to_string()),
                ("payload", nym::PAYLOAD_SIZE.to_string()),
                ("packet", packet_size.to_string()),
                ("round", round.to_string()),
                ("ns", format!("{ns:.1}")),
                ("note", quoted(operation.note)),
            ];
            let members: Vec<String> = values.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            writeln!(out, "{{{}}}", members.join(","))?;
        }
    }
    Ok(())
}

fn main() {
    let result = Options::parse(std::env::args().skip(1)).and_then(|options| measure_all(&options));
    if let Err(failure) = result {
        eprintln!("peers: {failure}");
        std::process::exit(1);
    }
}
