//! `--watch`: what a command lists, again and again.
//!
//! Invariant: on a terminal it is drawn over what was drawn before, and never beyond the screen; elsewhere it is printed anew each
//! time, JSON in one line. A look that fails leaves the last one there, with its age. Limit: one look after the other, and the next one
//! only some time after the last has come back, so that a slow database is not asked more than a fast one.

use std::io::{self, Write};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, FromArgMatches, value_parser};

use crate::args::Cli;
use crate::commands::Answer;
use crate::duration;
use crate::failure::{Failure, Result};
use crate::output::{Kept, Output, cut, printable, say};

/// The commands that list something.
const LISTS: [&str; 21] = [
    "jobs ls",
    "jobs show",
    "jobs why",
    "dead ls",
    "errors",
    "operations ls",
    "operations audit",
    "queues ls",
    "queues show",
    "config show",
    "cron ls",
    "cron show",
    "kinds ls",
    "limits ls",
    "signals",
    "workflows ls",
    "workflows show",
    "workers ls",
    "workers show",
    "stats",
    "doctor",
];

const NAME: &str = "watch";
const USUAL: &str = "2";

/// The words of the command that was typed.
pub(crate) fn path(typed: &ArgMatches) -> String {
    match typed.subcommand() {
        Some((name, below)) => format!("{name} {}", path(below)).trim_end().to_owned(),
        None => String::new(),
    }
}

/// Whether the command with these words can be watched.
pub(crate) fn is_for(path: &str) -> bool {
    LISTS.contains(&path)
}

/// The option.
pub(crate) fn option() -> Arg {
    Arg::new(NAME)
        .long(NAME)
        .value_name("SECONDS")
        // With an equals sign only: what follows it may be what is looked for.
        .require_equals(true)
        .num_args(0..=1)
        .default_missing_value(USUAL)
        .value_parser(value_parser!(u16).range(1..=3600))
        .help("Look again every 2 seconds, or --watch=SECONDS, until Ctrl-C")
}

/// How many seconds are between two looks, if that was typed.
pub(crate) fn seconds(typed: &ArgMatches) -> Option<u16> {
    match typed.subcommand() {
        Some((_, below)) => seconds(below),
        None => typed.try_get_one::<u16>(NAME).ok().flatten().copied(),
    }
}

/// Runs it again and again.
///
/// # Errors
/// What the first run says. Later ones are told.
pub(crate) async fn again_and_again(
    seconds: u16,
    typed: &ArgMatches,
    out: Output,
    run: impl AsyncFn(Cli, Output) -> Result<Answer>,
) -> Result<Answer> {
    let kept: &'static Kept = Box::leak(Box::default());
    let mut screen = Screen::default();
    let mut last: Option<(String, Instant)> = None;
    loop {
        let cli = Cli::from_arg_matches(typed).map_err(|error| Failure::usage(error.to_string()))?;
        let ended = run(cli, out.keeping(kept)).await;
        let text = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
        let stale = match ended {
            Ok(_) => {
                last = Some((text, Instant::now()));
                String::new()
            }
            Err(failure) => {
                let Some((_, at)) = &last else { return Err(failure) };
                format!("{failure}; this is {} old", duration::told(at.elapsed()))
            }
        };
        let text = last.as_ref().map_or("", |(text, _)| text);
        if out.is_terminal() {
            screen.draw(&head(seconds, &stale), text)?;
        } else if stale.is_empty() {
            print(out, text)?;
        } else {
            say(&printable(&stale));
        }
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    }
}

fn head(seconds: u16, stale: &str) -> String {
    let now = jiff::Timestamp::now().strftime("%H:%M:%S UTC");
    let head = format!("{now}, every {seconds} s, Ctrl-C ends it");
    if stale.is_empty() { head } else { format!("{now}, STALE: {}", printable(stale).replace('\n', " ")) }
}

/// For a pipe.
fn print(out: Output, text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if out.is_json() {
        // The server writes a JSON text into one line; what is between them is ours.
        writeln!(stdout, "{}", text.lines().map(str::trim_start).collect::<String>())?;
    } else {
        write!(stdout, "{text}")?;
    }
    stdout.flush()
}

/// What is drawn on the terminal now.
#[derive(Debug, Default)]
struct Screen {
    lines: u16,
    size: Option<(u16, u16)>,
}

impl Screen {
    /// Draws a text in the place of the last one.
    fn draw(&mut self, head: &str, text: &str) -> io::Result<()> {
        let (width, height) = crossterm::terminal::size().map_or((80, 24), |(w, h)| (w.max(2), h.max(2)));
        let lines = lines_of(head, text, width, height);
        let mut drawing = String::new();
        if self.size.is_some_and(|size| size != (width, height)) {
            // Nobody knows where the lines are now.
            drawing.push_str("\x1b[2J\x1b[H");
        } else if self.lines > 0 {
            drawing.push_str(&format!("\x1b[{}A\r", self.lines));
        }
        for line in &lines {
            drawing.push_str(line);
            drawing.push_str("\x1b[K\n");
        }
        drawing.push_str("\x1b[J");
        (self.lines, self.size) = (u16::try_from(lines.len()).unwrap_or(u16::MAX), Some((width, height)));
        let mut stdout = io::stdout().lock();
        stdout.write_all(drawing.as_bytes())?;
        stdout.flush()
    }
}

/// As many lines as there is room for, each as long as there is room for; the last line stays free for the cursor.
fn lines_of(head: &str, text: &str, width: u16, height: u16) -> Vec<String> {
    let room = usize::from(height) - 1;
    let mut lines: Vec<String> =
        std::iter::once(head).chain(text.lines()).map(|line| cut(line, width.into())).collect();
    if lines.len() > room {
        let left = lines.len() - room + 1;
        lines.truncate(room);
        if let Some(last) = lines.last_mut() {
            *last = cut(&format!("... and {left} more lines"), width.into());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_never_leaves_the_screen() {
        let lines = lines_of("head", "a\nb\nc\nd", 10, 4);
        assert_eq!(lines, ["head", "a", "... and 3>"]);
        assert_eq!(lines_of("head", "a\nb", 10, 4), ["head", "a", "b"]);
    }
}
