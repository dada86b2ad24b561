//! Numbers that follow from the first one, so that what was drawn by chance can be drawn again.
//!
//! Invariant: the same number gives the same sequence on every machine (splitmix64). Limit: for tests, not for secrets.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

/// A sequence of numbers.
#[derive(Debug, Clone)]
pub struct Seed(u64);

impl Seed {
    /// That of this number.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// That of the number in this variable, or of another number each time; prints which one.
    ///
    /// # Errors
    /// When the variable holds no number.
    pub fn from_env(variable: &str) -> Result<Self> {
        let number = number_from_env(variable)?;
        println!("{variable}={number}");
        Ok(Self(number))
    }

    /// Any number.
    pub fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        n ^ (n >> 31)
    }

    /// Less than this.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next_number() % end as u64).unwrap_or(0)
    }

    /// True so many times out of a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Puts things into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// The number in this variable, or another one each time.
///
/// # Errors
/// When the variable holds no number.
pub fn number_from_env(variable: &str) -> Result<u64> {
    match std::env::var(variable) {
        Ok(number) => Ok(number.parse()?),
        Err(_) => Ok(u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos())),
    }
}
