//! When a failed job is tried again.
//!
//! Invariant: what is not said here is as the job's kind or queue says in the database. Limit: three policies; whoever
//! needs another gives the worker a function, see [`Worker::retry_by`](crate::Worker::retry_by).

use std::time::Duration;

use serde::{Serialize, Serializer};

/// 100 years: no wait is longer.
pub(crate) const LONGEST: Duration = Duration::from_secs(3_155_760_000);

/// How long a job waits between a failed attempt and the next: `Retry::exponential(Duration::from_secs(2))`.
///
/// The wait is made of the base, held between floor and cap, and then spread by the jitter. What is left out is as the
/// kind says (`howdah.set_kind`), or else the queue: exponential from 2 s, doubling, at most 6 h, with a jitter of 0.1.
///
/// ```
/// use howdah::{Job, Retry};
/// use std::time::Duration;
///
/// #[derive(Job, serde::Serialize, serde::Deserialize)]
/// #[job(retry = Retry::linear(Duration::from_secs(10)).cap(Duration::from_secs(300)))]
/// struct Poll { url: String }
/// assert_eq!(Poll::RETRY, Some(Retry::linear(Duration::from_secs(10)).cap(Duration::from_secs(300))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    policy: Policy,
    base: Duration,
    factor: Option<f32>,
    floor: Option<Duration>,
    cap: Option<Duration>,
    jitter: Option<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Policy {
    Constant,
    Linear,
    Exponential,
}

impl Retry {
    const fn new(policy: Policy, base: Duration) -> Self {
        Self { policy, base, factor: None, floor: None, cap: None, jitter: None }
    }

    /// Always the same wait.
    #[must_use]
    pub const fn constant(wait: Duration) -> Self {
        Self::new(Policy::Constant, wait)
    }

    /// The base after the first failure, twice the base after the second, and so on.
    #[must_use]
    pub const fn linear(base: Duration) -> Self {
        Self::new(Policy::Linear, base)
    }

    /// The base after the first failure, and each time so much longer as [`factor`](Self::factor) says.
    #[must_use]
    pub const fn exponential(base: Duration) -> Self {
        Self::new(Policy::Exponential, base)
    }

    /// What an exponential wait is multiplied by each time, 1 to 100.
    #[must_use]
    pub const fn factor(mut self, factor: f32) -> Self {
        self.factor = Some(factor);
        self
    }

    /// The shortest wait.
    #[must_use]
    pub const fn floor(mut self, at_least: Duration) -> Self {
        self.floor = Some(at_least);
        self
    }

    /// The longest wait.
    #[must_use]
    pub const fn cap(mut self, at_most: Duration) -> Self {
        self.cap = Some(at_most);
        self
    }

    /// How far a wait is spread by chance, so that what failed together does not come back together: 0.1 is up to a
    /// tenth more or less; 0 to 1.
    #[must_use]
    pub const fn jitter(mut self, share: f32) -> Self {
        self.jitter = Some(share);
        self
    }

    /// With everything within the bounds that the database has. What a kind declares is a constant, of which nobody can be told
    /// before an attempt has failed; and then it must not be refused.
    pub(crate) fn within_bounds(self) -> Self {
        let held = |number: Option<f32>, least, most| number.filter(|n| !n.is_nan()).map(|n| n.clamp(least, most));
        Self {
            policy: self.policy,
            base: self.base.min(LONGEST),
            factor: held(self.factor, 1.0, 100.0),
            floor: self.floor.map(|floor| floor.min(LONGEST)),
            cap: self.cap.map(|cap| cap.min(LONGEST)),
            jitter: held(self.jitter, 0.0, 1.0),
        }
    }
}

/// As `howdah.check_options` reads it.
impl Serialize for Retry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct InSql {
            policy: Policy,
            base_ms: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            factor: Option<f32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            floor_ms: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            cap_ms: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            jitter: Option<f32>,
        }
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        InSql {
            policy: self.policy,
            base_ms: ms(self.base),
            factor: self.factor,
            floor_ms: self.floor.map(ms),
            cap_ms: self.cap.map(ms),
            jitter: self.jitter,
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_left_to_the_database() {
        let json = serde_json::to_string(&Retry::linear(Duration::from_secs(1)).cap(Duration::from_secs(9))).unwrap();
        assert_eq!(json, r#"{"policy":"linear","base_ms":1000,"cap_ms":9000}"#);
    }

    #[test]
    fn what_is_out_of_bounds_is_held_within_them() {
        let wild = Retry::exponential(Duration::MAX).factor(f32::INFINITY).jitter(-5.0).floor(Duration::MAX);
        assert_eq!(
            serde_json::to_string(&wild.within_bounds()).unwrap(),
            r#"{"policy":"exponential","base_ms":3155760000000,"factor":100.0,"floor_ms":3155760000000,"jitter":0.0}"#
        );
        let none = Retry::constant(Duration::ZERO).factor(f32::NAN).jitter(f32::NAN);
        assert_eq!(serde_json::to_string(&none.within_bounds()).unwrap(), r#"{"policy":"constant","base_ms":0}"#);
    }
}
