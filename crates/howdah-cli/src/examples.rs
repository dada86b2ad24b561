//! Examples for the help of every command, by the words that are typed for it.
//!
//! Invariant: every command has some, and each of them can be parsed: tests hold that. Limit: commands whose help says more
//! than examples have them in their own text.

use clap::{Command, CommandFactory};

use crate::args::Cli;
use crate::watch;

/// Everything that can be typed, with examples: what is parsed, completed and printed as man pages.
pub(crate) fn tree() -> Command {
    with_examples(Cli::command(), "")
}

fn with_examples(command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let command = names.into_iter().fold(command, |command, name| {
        let below = format!("{path} {name}").trim_start().to_owned();
        command.mut_subcommand(name, |command| with_examples(command, &below))
    });
    let command = if watch::is_for(path) { command.arg(watch::option()) } else { command };
    match EXAMPLES.iter().find(|(of, _)| *of == path) {
        Some((_, lines)) => command.after_help(text(lines)),
        None => command,
    }
}

fn text(lines: &[&str]) -> String {
    let mut text = "Examples:".to_owned();
    for line in lines {
        text.push_str("\n  howdah ");
        text.push_str(line);
    }
    text
}

/// The words of a command, and what may follow `howdah`.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("migrate", &["migrate up", "migrate status"]),
    ("migrate up", &["migrate up", "migrate up --roles", "migrate up --schema jobs_eu"]),
    ("migrate status", &["migrate status", "migrate status --json"]),
    ("migrate sql", &["migrate sql > howdah.sql", "migrate sql --schema jobs_eu | psql"]),
    ("jobs", &["jobs ls 'state:dead age:>1h'", "jobs show 1280", "jobs why 1280"]),
    (
        "jobs ls",
        &[
            "jobs ls",
            "jobs ls --state running --watch",
            "jobs ls 'kind:send_* state:dead error:\"timed out\" age:>1h'",
            "jobs ls 'args.user.id:42' --json=id,state,kind",
        ],
    ),
    ("jobs show", &["jobs show 1280", "jobs show 1280 --logs", "jobs show 1280 --json | jq .payload"]),
    ("jobs why", &["jobs why 1280"]),
    (
        "jobs cancel",
        &[
            "jobs cancel 1280 1281",
            "jobs cancel --queue mail --dry-run",
            "jobs cancel --search 'kind:send_* age:>1d' --yes",
        ],
    ),
    ("jobs wait", &["jobs wait 1280 1281", "jobs wait 1280 --json"]),
    (
        "jobs retry",
        &[
            "jobs retry 1280",
            "jobs retry 1280 --from-step charge",
            "jobs retry --search 'error:\"timed out\"' --dry-run",
        ],
    ),
    ("jobs unhold", &["jobs unhold 1280"]),
    ("dead", &["dead ls", "dead retry --queue mail --yes"]),
    ("dead ls", &["dead ls", "dead ls --kind send_mail --limit 100", "dead ls --watch"]),
    ("dead show", &["dead show 1280"]),
    ("dead retry", &["dead retry 1280", "dead retry --kind send_mail --dry-run", "dead retry --all --yes"]),
    ("dead purge", &["dead purge 1280", "dead purge --kind send_mail --dry-run", "dead purge --all --yes"]),
    ("errors", &["errors", "errors --since 1h", "errors -4711", "errors --since 10m --watch=5"]),
    ("operations", &["operations start retry 'state:dead kind:bill' --dry-run", "operations ls --watch"]),
    ("operations ls", &["operations ls", "operations ls --watch"]),
    (
        "operations start",
        &[
            "operations start retry 'kind:bill error:\"no paper\"' --reason 'the printer is back'",
            "operations start move 'queue:mail attr.tenant:42 state:ready' --to slow --dry-run",
            "operations start reschedule 'kind:report state:scheduled' --to 10m --yes",
        ],
    ),
    ("operations resume", &["operations resume 7"]),
    ("operations cancel", &["operations cancel 7"]),
    ("operations audit", &["operations audit", "operations audit --limit 100 --json"]),
    ("queues", &["queues ls", "queues pause mail --reason 'the server moves'", "queues resume mail"]),
    ("queues ls", &["queues ls", "queues ls --watch", "queues ls --json | jq '.[] | select(.paused)'"]),
    ("queues show", &["queues show mail", "queues show mail --watch=1"]),
    ("queues create", &["queues create mail", "queues create mail max_jobs=1000 lease_ms=1m"]),
    ("queues set", &["queues set mail max_attempts=5 timeout_ms=30s", "queues set mail max_jobs="]),
    ("queues rm", &["queues rm mail", "queues rm mail --force"]),
    (
        "queues pause",
        &["queues pause mail --for 1h --reason 'the server moves'", "queues pause mail --wait --timeout 5m"],
    ),
    ("queues drain", &["queues drain mail", "queues drain import --all --timeout 1h"]),
    ("queues resume", &["queues resume mail"]),
    ("config", &["config show", "config set completed_retention=2h"]),
    ("config show", &["config show", "config show --json | jq .settings"]),
    ("config set", &["config set completed_retention=2h dead_retention=90d", "config set completed_retention=default"]),
    ("cron", &["cron ls", "cron set nightly '0 3 * * *' report", "cron pause nightly"]),
    ("cron ls", &["cron ls", "cron ls --watch"]),
    ("cron show", &["cron show nightly"]),
    ("cron next", &["cron next nightly", "cron next '0 3 * * 1-5' --timezone Europe/Berlin --count 10"]),
    ("cron pause", &["cron pause nightly --reason 'stocktaking'"]),
    ("cron resume", &["cron resume nightly"]),
    ("cron run", &["cron run nightly"]),
    ("cron rm", &["cron rm nightly"]),
    ("purge", &["purge completed --older-than 30d", "purge dead --older-than 90d --queue mail --dry-run"]),
    ("kinds", &["kinds ls", "kinds set report lease_ms=10m"]),
    ("kinds ls", &["kinds ls"]),
    ("kinds set", &["kinds set report lease_ms=10m retry_policy=linear", "kinds set report lease_ms="]),
    ("limits", &["limits ls", "limits set kind report max_running=2"]),
    ("limits ls", &["limits ls", "limits ls --watch"]),
    (
        "limits set",
        &[
            "limits set kind report max_running=2",
            "limits set key 'tenant:*' rate=10 rate_period_ms=1m",
            "limits set share vip weight=3",
        ],
    ),
    ("limits rm", &["limits rm kind report"]),
    ("signal", &["signal 'order 42 paid' '{\"cents\": 900}'", "signal 'order 42 paid' --withdraw"]),
    ("signals", &["signals", "signals --watch"]),
    ("workflows", &["workflows ls", "workflows show 5"]),
    ("workflows ls", &["workflows ls", "workflows ls --watch"]),
    ("workflows show", &["workflows show 5", "workflows show 5 --watch=1"]),
    ("workflows cancel", &["workflows cancel 5"]),
    ("workflows retry", &["workflows retry 5"]),
    ("workers", &["workers ls", "workers show 3", "workers quiet 3"]),
    ("workers ls", &["workers ls", "workers ls --watch", "workers ls --json | jq '.[].name'"]),
    ("workers show", &["workers show 3"]),
    ("workers quiet", &["workers quiet 3 4"]),
    ("workers resume", &["workers resume 3"]),
    ("workers stop", &["workers stop 3"]),
    ("stats", &["stats", "stats --watch", "stats --since 1d --queue mail"]),
    (
        "dashboard",
        &[
            "dashboard",
            "dashboard --listen 127.0.0.1:9000 --read-only",
            "dashboard --listen 0.0.0.0:8080 --host jobs.example.org",
        ],
    ),
    ("demo", &["demo", "demo /usr/share/doc --workers 5"]),
    (
        "completions",
        &[
            "completions bash > ~/.local/share/bash-completion/completions/howdah",
            "completions zsh > ~/.zfunc/_howdah",
            "completions fish > ~/.config/fish/completions/howdah.fish",
        ],
    ),
    ("man", &["man | man -l -", "man ~/.local/share/man/man1"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command that is not hidden, with its words.
    fn all(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
        for below in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
            let path = format!("{path} {}", below.get_name()).trim_start().to_owned();
            found.push((path.clone(), below.clone()));
            all(below, &path, found);
        }
    }

    fn commands() -> Vec<(String, Command)> {
        let mut found = Vec::new();
        all(&tree(), "", &mut found);
        found
    }

    /// The words of a line as a shell would take them apart, up to a pipe or a redirection.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for c in line.chars() {
            match (quote, c) {
                (None, '|' | '>') => break,
                (None, ' ') => words.extend(word.take()),
                (None, '\'') => (quote, word) = (Some(c), Some(word.unwrap_or_default())),
                (Some(q), c) if q == c => quote = None,
                (_, c) => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        words
    }

    #[test]
    fn every_command_has_examples() {
        for (path, command) in commands() {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(text.contains("Examples:\n  ") && text.contains(&format!("howdah {path}")), "{path}: {text}");
        }
    }

    #[test]
    fn every_example_is_of_a_command_and_can_be_typed() {
        let commands = commands();
        for (path, lines) in EXAMPLES {
            assert!(commands.iter().any(|(of, _)| of == path), "there is no command {path}");
            for line in *lines {
                let typed = [vec!["howdah".to_owned()], words(line)].concat();
                if let Err(error) = tree().try_get_matches_from(typed) {
                    panic!("{line}: {error}");
                }
            }
        }
    }

    #[test]
    fn the_tree_is_sound() {
        tree().debug_assert();
    }
}
