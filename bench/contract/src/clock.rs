//! The clock that two processes of one machine have in common.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of the machine's monotonic clock: the same in every process, unlike a start of one's own.
#[must_use]
pub fn now_ns() -> u64 {
    // It fails for clocks that a system lacks only, and every one has this.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |t| u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap_or(0))
}
