//! Colours, where they are wanted.
//!
//! Invariant: a colour repeats what a word says, and never says something itself. Limit: `NO_COLOR` and a terminal that is
//! `dumb` switch them off; nothing switches them on where there is no terminal.

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// It goes well.
    Good,
    /// Somebody should look.
    Bad,
    /// It may go well yet.
    Doubtful,
    /// It goes on.
    Busy,
    /// Less important than the rest.
    Faint,
}

impl Paint {
    /// A text in this colour, if colours are wanted.
    pub(crate) fn on(self, text: &str, wanted: bool) -> String {
        if !wanted {
            return text.to_owned();
        }
        let code = match self {
            Self::Good => 32,
            Self::Bad => 31,
            Self::Doubtful => 33,
            Self::Busy => 36,
            Self::Faint => 2,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Whether the surroundings allow colours; whether there is a terminal is another question.
pub(crate) fn allowed() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
