//! Times and lengths of time.
//!
//! Invariant: each says the exact moment in UTC beside what it is for people. Limit: "ago" is of when the page was made, by this machine's
//! clock.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use maud::{Markup, html};

/// `3 m ago`, `in 2 h`; the moment itself is its title.
pub(crate) fn ago(at: SystemTime) -> Markup {
    let text = match SystemTime::now().duration_since(at) {
        Ok(past) if past < Duration::from_secs(1) => "just now".to_owned(),
        Ok(past) => format!("{} ago", length(past)),
        Err(ahead) => format!("in {}", length(ahead.duration())),
    };
    html! { time datetime=(exact(at)) title=(exact(at)) { (text) } }
}

/// The same, or a dash.
pub(crate) fn maybe(at: Option<SystemTime>) -> Markup {
    at.map_or_else(|| html! { "–" }, ago)
}

/// The moment itself.
pub(crate) fn moment(at: SystemTime) -> Markup {
    html! { time datetime=(exact(at)) { (exact(at)) } }
}

/// In UTC, with milliseconds.
pub(crate) fn exact(at: SystemTime) -> String {
    Timestamp::try_from(at).map_or_else(|_| "a time that has no date".to_owned(), |at| format!("{at:.3}"))
}

/// Its two largest units: `450 ms`, `12 s`, `3 m 4 s`, `2 h 5 m`, `3 d 1 h`.
pub(crate) fn length(length: Duration) -> String {
    let s = length.as_secs();
    match s {
        0 => format!("{} ms", length.as_millis()),
        1..10 => format!("{}.{} s", s, length.subsec_millis() / 100),
        10..60 => format!("{s} s"),
        60..3600 => two(s, 60, "m", 1, "s"),
        3600..86_400 => two(s, 3600, "h", 60, "m"),
        _ => two(s, 86_400, "d", 3600, "h"),
    }
}

fn two(s: u64, large: u64, large_name: &str, small: u64, small_name: &str) -> String {
    match s % large / small {
        0 => format!("{} {large_name}", s / large),
        rest => format!("{} {large_name} {rest} {small_name}", s / large),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_their_two_largest_units() {
        let told = |ms: u64| length(Duration::from_millis(ms));
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1500, "1.5 s"),
            (59_999, "59 s"),
            (60_000, "1 m"),
            (184_000, "3 m 4 s"),
            (7_500_000, "2 h 5 m"),
            (262_800_000, "3 d 1 h"),
        ];
        for (ms, text) in cases {
            assert_eq!(told(ms), text);
        }
        assert_eq!(exact(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
    }
}
