//! What the keeper does with a schedule that is due: which slots it fires, and where it goes on.
//!
//! Invariant: of the same schedule at the same time comes the same plan, whoever makes it. Each slot after the last one
//! that was dealt with is fired if it is at most the grace over; older ones are missed, and go by the schedule's policy.
//! Limit: a thousand slots at a time; the rest follows at once.

use serde::Deserialize;

use super::Missed;
use super::expression::Timing;
use crate::error::{Error, Result};

/// What `howdah.fire_schedule` takes at most.
const MOST: usize = 1000;

/// What `howdah.due_schedules` tells of a schedule. Times are microseconds since 1970.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Due {
    pub(crate) name: String,
    pub(crate) turn: i64,
    pub(crate) expression: String,
    pub(crate) timezone: String,
    pub(crate) every_from: i64,
    pub(crate) after_at: i64,
    pub(crate) missed: Missed,
    pub(crate) max_missed: usize,
    pub(crate) grace_ms: i64,
}

/// What `howdah.fire_schedule` is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) due: Vec<i64>,
    /// How many of the first of them are late.
    pub(crate) missed: usize,
    /// Slots until here are dealt with.
    pub(crate) through: i64,
    pub(crate) next_at: i64,
    /// Slots were missed that are not fired.
    pub(crate) skipped: bool,
}

impl Due {
    /// # Errors
    /// What is wrong with the expression or the zone.
    pub(crate) fn plan(&self, now: i64) -> Result<Plan> {
        let timing = Timing::read(&self.expression, &self.timezone, self.every_from)?;
        // Slots before this are late.
        let late = now - self.grace_ms * 1000;
        let (mut due, mut through, mut skipped) = (Vec::new(), self.after_at, false);
        if let Some(first) = timing.next(self.after_at).filter(|slot| *slot < late) {
            let most = match self.missed {
                Missed::Skip => 0,
                Missed::One => 1,
                Missed::All => self.max_missed.min(MOST),
            };
            due = timing.last(most, self.after_at, late - 1);
            skipped = due.first() != Some(&first);
            through = late - 1;
        }
        let missed = due.len();
        loop {
            let next_at = timing.next(through).ok_or_else(|| Error::invalid("expression", "never comes again"))?;
            if next_at > now || due.len() >= MOST {
                return Ok(Plan { due, missed, through, next_at, skipped });
            }
            due.push(next_at);
            through = next_at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    /// A schedule of every minute on the minute, which was last fired at minute 0.
    fn minutely(missed: Missed) -> Due {
        Due {
            name: "n".to_owned(),
            turn: 1,
            expression: "* * * * *".to_owned(),
            timezone: "UTC".to_owned(),
            every_from: 0,
            after_at: 0,
            missed,
            max_missed: 3,
            grace_ms: 60_000,
        }
    }

    fn minutes(plan: &Plan) -> Vec<i64> {
        plan.due.iter().map(|slot| slot / MINUTE).collect()
    }

    #[test]
    fn a_slot_is_fired_when_it_is_due_and_not_before() {
        let due = minutely(Missed::Skip);
        let early = due.plan(MINUTE - 1).unwrap();
        assert_eq!((early.due, early.next_at, early.through), (vec![], MINUTE, 0));
        let on_time = due.plan(MINUTE).unwrap();
        assert_eq!((on_time.due, on_time.next_at, on_time.through), (vec![MINUTE], 2 * MINUTE, MINUTE));
    }

    #[test]
    fn what_is_within_the_grace_is_fired_whatever_the_policy() {
        for missed in [Missed::Skip, Missed::One, Missed::All] {
            let plan = minutely(missed).plan(2 * MINUTE).unwrap();
            assert_eq!((minutes(&plan), plan.missed, plan.skipped), (vec![1, 2], 0, false), "{missed:?}");
        }
    }

    #[test]
    fn what_was_missed_goes_by_the_policy() {
        let now = 10 * MINUTE + 30_000_000;
        let plan = |missed| minutely(missed).plan(now).unwrap();
        assert_eq!((minutes(&plan(Missed::Skip)), plan(Missed::Skip).missed), (vec![10], 0));
        assert_eq!((minutes(&plan(Missed::One)), plan(Missed::One).missed), (vec![9, 10], 1));
        assert_eq!((minutes(&plan(Missed::All)), plan(Missed::All).missed), (vec![7, 8, 9, 10], 3));
        for missed in [Missed::Skip, Missed::One, Missed::All] {
            assert!(plan(missed).skipped && plan(missed).next_at == 11 * MINUTE, "{missed:?}");
        }
        let all = Due { max_missed: 100, ..minutely(Missed::All) }.plan(now).unwrap();
        assert_eq!((all.due.len(), all.missed, all.skipped), (10, 9, false));
    }

    #[test]
    fn years_of_missed_seconds_are_no_work() {
        let due = Due { expression: "* * * * * *".to_owned(), max_missed: 1000, ..minutely(Missed::All) };
        let now = 40 * 365 * 24 * 60 * MINUTE;
        let plan = due.plan(now).unwrap();
        assert_eq!((plan.due.len(), plan.missed), (1000, 1000));
        assert_eq!(plan.due[999] + 1_000_000, now - MINUTE);
        assert!(plan.next_at <= now, "the minute of grace follows at once");
    }
}
