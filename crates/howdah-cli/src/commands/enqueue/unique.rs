//! One job where one is wanted, from what was typed.
//!
//! Invariant: says what `howdah::Unique` says. Limit: for one job, not for a stream.

use std::time::Duration;

use clap::{Args, ValueEnum};
use howdah::Unique;

use crate::duration;

/// Whether there may be another job like it.
#[derive(Debug, Args)]
pub(super) struct UniqueArgs {
    /// Only if no other job of this kind has this key
    #[arg(long, value_name = "KEY")]
    unique_key: Option<String>,
    /// Only if no other job of this kind has the same payload
    #[arg(long, conflicts_with = "unique_key")]
    unique: bool,
    /// For this long, whatever becomes of the job; until it has ended, if left out
    #[arg(long, value_parser = duration::parse, allow_hyphen_values = true)]
    unique_for: Option<Duration>,
    /// For good
    #[arg(long, conflicts_with = "unique_for")]
    unique_forever: bool,
    /// What to do if there is another
    #[arg(long, value_enum, default_value_t = OnHit::Keep)]
    on_hit: OnHit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnHit {
    /// Print its number
    Keep,
    /// Give it the new payload, time and options, if it waits
    Replace,
    /// Give it the new payload, if it waits
    ReplacePayload,
    /// Give it the new time, if it waits
    ReplaceTime,
    /// Fail
    Error,
}

impl UniqueArgs {
    /// What was asked for; `None`: nothing.
    ///
    /// # Errors
    /// A period or a behaviour without a key.
    pub(super) fn read(&self) -> Result<Option<Unique>, &'static str> {
        let unique = match (&self.unique_key, self.unique) {
            (Some(key), _) => Unique::key(key),
            (None, true) => Unique::by_payload(),
            (None, false) if self.unique_for.is_some() || self.unique_forever || self.on_hit != OnHit::Keep => {
                return Err("--unique-for, --unique-forever and --on-hit need --unique-key or --unique");
            }
            (None, false) => return Ok(None),
        };
        let unique = match self.unique_for {
            Some(period) => unique.within(period),
            None if self.unique_forever => unique.forever(),
            None => unique,
        };
        Ok(Some(match self.on_hit {
            OnHit::Keep => unique,
            OnHit::Replace => unique.replace(),
            OnHit::ReplacePayload => unique.replace_payload(),
            OnHit::ReplaceTime => unique.replace_time(),
            OnHit::Error => unique.or_error(),
        }))
    }
}
