//! Whatever words are typed, they are a command or a refusal with exit status 2 (0 for help), in bounded time.
//!
//! `HOWDAH_FUZZ_SEED` types the same words again, `HOWDAH_FUZZ_CALLS` says how many lines. Limit: what the words do is not
//! tried here.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Command, CommandFactory, Parser};

use super::Cli;

/// Values that are strange for some option or other.
const VALUES: [&str; 44] = [
    "",
    " ",
    "-",
    "--",
    "-1",
    "0",
    "1",
    "10",
    "1000000000000000000000",
    "1e3",
    "0.5",
    "5m",
    "1h30m",
    "9999999999999999w",
    "-5m",
    "m5",
    "5µs",
    "2026-01-31T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0000-00-00",
    "state:dead",
    "stat:dead",
    "kind:",
    "args.a.b:1..2",
    "\"",
    "'",
    "((((",
    "$.a == 1",
    "$.a == \"",
    "[",
    "{\"a\": [1, 2]}",
    "{\"a\":",
    "a=b",
    "=",
    "a=",
    "=b",
    "linear:5s",
    "exponential:",
    "cancel",
    "é\u{301}💥",
    "\u{0}",
    "\u{1b}[31m",
    "%s",
    "@file",
];

/// splitmix64: see `tests/seed.rs`.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((n ^ (n >> 31)) % end as u64).unwrap()
    }

    fn value(&mut self) -> String {
        match self.below(20) {
            0 => "x".repeat(self.below(100_000)),
            1 => "(".repeat(self.below(5_000)),
            _ => VALUES[self.below(VALUES.len())].to_owned(),
        }
    }

    /// A command, and then its options and others' words, with values.
    fn line(&mut self, root: &Command) -> Vec<String> {
        let (mut words, mut command) = (vec!["howdah".to_owned()], root);
        while command.has_subcommands() && self.below(20) > 0 {
            let inner: Vec<&Command> = command.get_subcommands().collect();
            command = inner[self.below(inner.len())];
            words.push(command.get_name().to_owned());
        }
        let options: Vec<String> =
            command.get_arguments().filter_map(|a| a.get_long()).map(|l| format!("--{l}")).collect();
        for _ in 0..self.below(6) {
            match self.below(4) {
                0 => words.push(self.value()),
                1 if !options.is_empty() => {
                    words.push(format!("{}={}", options[self.below(options.len())], self.value()));
                }
                _ if !options.is_empty() => {
                    words.push(options[self.below(options.len())].clone());
                    words.push(self.value());
                }
                _ => words.push(self.value()),
            }
        }
        words
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |number| number.parse().unwrap())
}

#[test]
fn no_words_make_it_stumble() {
    let any = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let seed = number("HOWDAH_FUZZ_SEED", u64::from(any));
    println!("HOWDAH_FUZZ_SEED={seed}");
    let (mut draw, mut root) = (Draw(seed), Cli::command());
    root.build();
    for _ in 0..number("HOWDAH_FUZZ_CALLS", 300) {
        let words = draw.line(&root);
        if let Err(error) = Cli::try_parse_from(&words) {
            let said = error.render().to_string();
            assert!(!said.is_empty() && matches!(error.exit_code(), 0 | 2), "{words:?}: {said}");
        }
    }
}
