//! Tests of expressions: what they mean across changes of the clock, and what is refused.

use std::time::{Duration, Instant};

use super::*;

fn micros(time: &str) -> i64 {
    time.parse::<Timestamp>().unwrap().as_microsecond()
}

/// The next slots after a time, as local times with their offsets.
fn after(time: &str, expression: &str, zone: &str, most: usize) -> Vec<String> {
    let timing = Timing::read(expression, zone, micros(time)).unwrap();
    let zone = TimeZone::get(zone).unwrap();
    let local = |slot: i64| Timestamp::from_microsecond(slot).unwrap().to_zoned(zone.clone());
    timing.upcoming(micros(time), most).into_iter().map(|s| local(s).strftime("%d %H:%M:%S%:z").to_string()).collect()
}

fn refused(expression: &str) -> String {
    let start = Instant::now();
    let error = match Timing::read(expression, "Europe/Berlin", micros("2026-01-01T00:00:00Z")) {
        Err(Error::Invalid { field, message, .. }) if field == "expression" => message,
        other => panic!("{expression:.80}: {other:?}"),
    };
    assert!(start.elapsed() < Duration::from_secs(60), "{expression:.80} took {:?}", start.elapsed());
    error
}

#[test]
fn fields_are_minute_hour_day_month_weekday_and_maybe_seconds_first() {
    let start = "2026-01-01T00:00:00Z";
    assert_eq!(after(start, "30 4 * * *", "UTC", 1), ["01 04:30:00+00:00"]);
    assert_eq!(after(start, "*/20 30 4 * * *", "UTC", 2), ["01 04:30:00+00:00", "01 04:30:20+00:00"]);
    assert_eq!(after(start, "0 0 * * MON-tue", "UTC", 2), ["05 00:00:00+00:00", "06 00:00:00+00:00"]);
    assert_eq!(after(start, "0 0 13 * 5", "UTC", 3), ["02 00:00:00+00:00", "09 00:00:00+00:00", "13 00:00:00+00:00"]);
    assert_eq!(after(start, "0 0 L jan,FEB *", "UTC", 2), ["31 00:00:00+00:00", "28 00:00:00+00:00"]);
    assert_eq!(after(start, "0 0 29 2 *", "UTC", 1), ["29 00:00:00+00:00"]);
    assert_eq!(after(start, " @Hourly ", "UTC", 1), ["01 01:00:00+00:00"]);
    assert_eq!(after("2026-01-01T00:00:00.5Z", "* * * * * *", "UTC", 1), ["01 00:00:01+00:00"]);
    for (nickname, _) in NICKNAMES {
        assert_eq!(after(start, nickname, "UTC", 1).len(), 1, "{nickname}");
    }
}

#[test]
fn every_counts_from_its_start() {
    let (start, day) = (micros("2026-03-28T10:00:07.5Z"), 86_400_000_000);
    let timing = Timing::read("@every 24h", "Europe/Berlin", start).unwrap();
    assert_eq!(timing.next(start), Some(start + day), "also over the change of the clock");
    assert_eq!(timing.next(start + day - 1), Some(start + day));
    assert_eq!(timing.next(start + day), Some(start + 2 * day));
    assert_eq!(timing.next(start - 50 * day), Some(start + day));
    assert_eq!(timing.last(5, start, start + 3 * day - 1), [start + day, start + 2 * day]);
    assert_eq!(timing.last(1, start, start + 3 * day), [start + 3 * day]);
    assert!(timing.last(9, start - day, start + day - 1).is_empty());
}

#[test]
fn a_time_in_the_gap_comes_once_at_its_end() {
    let berlin = after("2026-03-28T12:00:00Z", "30 2 * * *", "Europe/Berlin", 2);
    assert_eq!(berlin, ["29 03:00:00+02:00", "30 02:30:00+02:00"]);
    let new_york = after("2026-03-07T12:00:00Z", "30 2 * * *", "America/New_York", 2);
    assert_eq!(new_york, ["08 03:00:00-04:00", "09 02:30:00-04:00"]);
    // Half an hour: from 2:00 to 2:30.
    let lord_howe = after("2026-10-03T10:00:00Z", "15 2 * * *", "Australia/Lord_Howe", 2);
    assert_eq!(lord_howe, ["04 02:30:00+11:00", "05 02:15:00+11:00"]);
    let four = after("2026-03-28T23:30:00Z", "0,30 2,3 * * *", "Europe/Berlin", 3);
    assert_eq!(
        four,
        ["29 03:00:00+02:00", "29 03:30:00+02:00", "30 02:00:00+02:00"],
        "what falls together is one slot"
    );
    let twice = after("2026-03-28T23:30:00Z", "30 2,14 * * *", "Europe/Berlin", 3);
    assert_eq!(twice, ["29 03:00:00+02:00", "29 14:30:00+02:00", "30 02:30:00+02:00"]);
    // In Santiago clocks change at midnight.
    let midnight = after("2026-09-05T12:00:00Z", "@daily", "America/Santiago", 2);
    assert_eq!(midnight, ["06 01:00:00-03:00", "07 00:00:00-03:00"]);
    let before = after("2026-03-28T23:30:00Z", "0 1 * * *", "Europe/Berlin", 2);
    assert_eq!(before, ["29 01:00:00+01:00", "30 01:00:00+02:00"], "what is not in the gap is not moved");
}

#[test]
fn a_time_in_the_overlap_comes_once() {
    let berlin = after("2026-10-24T12:00:00Z", "30 2 * * *", "Europe/Berlin", 2);
    assert_eq!(berlin, ["25 02:30:00+02:00", "26 02:30:00+01:00"]);
    let new_york = after("2026-10-31T12:00:00Z", "30 1 * * *", "America/New_York", 2);
    assert_eq!(new_york, ["01 01:30:00-04:00", "02 01:30:00-05:00"]);
    let lord_howe = after("2026-04-04T10:00:00Z", "45 1 * * *", "Australia/Lord_Howe", 2);
    assert_eq!(lord_howe, ["05 01:45:00+11:00", "06 01:45:00+10:30"]);
    let twice = after("2026-10-24T12:30:00Z", "30 2,14 * * *", "Europe/Berlin", 3);
    assert_eq!(twice, ["25 02:30:00+02:00", "25 14:30:00+01:00", "26 02:30:00+01:00"]);
    // From the middle of it.
    assert_eq!(after("2026-10-25T00:30:00Z", "30 2 * * *", "Europe/Berlin", 1), ["26 02:30:00+01:00"]);
}

#[test]
fn what_runs_all_the_time_runs_through_gap_and_overlap() {
    let gap = after("2026-03-29T00:30:00Z", "*/30 * * * *", "Europe/Berlin", 3);
    assert_eq!(gap, ["29 03:00:00+02:00", "29 03:30:00+02:00", "29 04:00:00+02:00"]);
    let overlap = after("2026-10-25T00:00:00Z", "*/30 * * * *", "Europe/Berlin", 4);
    assert_eq!(overlap, ["25 02:30:00+02:00", "25 02:00:00+01:00", "25 02:30:00+01:00", "25 03:00:00+01:00"]);
    let half = after("2026-04-04T14:30:00Z", "*/15 * * * *", "Australia/Lord_Howe", 4);
    assert_eq!(half, ["05 01:45:00+11:00", "05 01:30:00+10:30", "05 01:45:00+10:30", "05 02:00:00+10:30"]);
}

#[test]
fn going_back_finds_what_going_forth_finds() {
    let expressions = [
        "*/30 * * * *",
        "30 2 * * *",
        "15,45 1-3 * * *",
        "0 0,2 * * *",
        "*/20 2 * * *",
        "0 */7 * * *",
        "0 0 1 * 5",
        "0 12 L * *",
        "@every 17h",
    ];
    // Some days round each change of a clock.
    for (zone, starts) in [
        ("UTC", ["2026-02-27", "2026-12-29"]),
        ("Europe/Berlin", ["2026-03-27", "2026-10-23"]),
        ("America/New_York", ["2026-03-06", "2026-10-30"]),
        ("Australia/Lord_Howe", ["2026-04-03", "2026-10-02"]),
    ] {
        for (expression, start) in expressions.iter().flat_map(|e| starts.map(|start| (e, start))) {
            let start = micros(&format!("{start}T00:00:07Z"));
            let end = start + 4 * 86_400_000_000;
            let timing = Timing::read(expression, zone, start).unwrap();
            let forth: Vec<_> = timing.upcoming(start, 1000).into_iter().take_while(|slot| *slot <= end).collect();
            assert_eq!(timing.last(1000, start, end), forth, "{expression} in {zone} from {start}");
            assert!(forth.is_sorted_by(|a, b| a < b), "{expression} in {zone} from {start}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_at_once() {
    let long = "1,".repeat(1 << 20);
    let nasties = [
        "",
        " ",
        "*",
        "* * * *",
        "* * * * * * *",
        "@",
        "@reboot",
        "@every",
        "@every ",
        "@every 5",
        "@every -5s",
        "@daily *",
        "0 0 1--100000000",
        "0 0 1--100000000 * *",
        "0 0 1-100000000 * *",
        "0-4294967296 * * * *",
        "*/0 * * * *",
        "*/-1 * * * *",
        "*/99999999999999999999 * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
        "1-2-3 * * * *",
        "1/2/3 * * * *",
        ", * * * *",
        "1,,2 * * * *",
        "1, * * * *",
        "a * * * *",
        "* * * foo *",
        "* * * * mon#9",
        "* * 40W * *",
        "٣ * * * *",
        "* * * * *\u{0}",
        "*\u{a0}* * * *",
        "L * * * *",
        "* * * L *",
        "+ + + + +",
        "# # # # #",
        "/ / / / /",
        "- - - - -",
        "? ? ? ? ? ? ?",
        "W W W W W",
    ];
    for nasty in
        nasties.iter().copied().chain([long.as_str(), &"*".repeat(256), &"9".repeat(256), &"@every 1s".repeat(9)])
    {
        assert!(!refused(nasty).is_empty(), "{nasty:.80}");
    }
}

#[test]
fn a_day_that_never_comes_is_refused_as_such() {
    for never in ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * * 30 2 *", "0 0 30 feb +mon"] {
        assert!(refused(never).contains("never comes"), "{never}: {}", refused(never));
    }
    assert_eq!(after("2026-01-01T00:00:00Z", "0 0 29 2 +mon", "UTC", 1).len(), 1, "2044 does");
}

#[test]
fn a_step_that_is_larger_than_its_field_is_refused() {
    assert!(refused("*/90 * * * *").contains("@every"));
    assert!(refused("0 */25 * * *").contains("@every"));
    assert_eq!(after("2026-01-01T00:00:00Z", "*/59 * * * *", "UTC", 1), ["01 00:59:00+00:00"]);
}

/// Whatever is made of the characters of an expression, it is answered soon, and what is taken goes forwards.
#[test]
fn no_mixture_of_characters_is_slow_or_breaks_anything() {
    const PARTS: [&str; 24] = [
        "*", "0", "5", "59", "31", "30", "29", "2", "-", "/", ",", "#", "L", "W", "?", "+", "mon", "feb", "1-5", "*/7",
        "0-59/13", "15W", "5L", "7#2",
    ];
    let mut seed: u64 = 42;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let now = micros("2026-03-28T12:34:56Z");
    let mut taken = 0;
    for _ in 0..3000 {
        let mut expression = String::new();
        for field in 0..5 + random(2) {
            if field > 0 {
                expression.push(' ');
            }
            // Often what a field may well be, so that some are taken.
            for _ in 0..=random(5) / 4 {
                let part = if random(2) == 0 { 0 } else { usize::try_from(random(PARTS.len() as u64)).unwrap() };
                expression.push_str(PARTS[part]);
            }
        }
        if let Ok(timing) = Timing::read(&expression, "America/New_York", now) {
            taken += 1;
            let slots = timing.upcoming(now, 3);
            assert!(slots.is_sorted_by(|a, b| a < b) && slots.first().is_none_or(|s| *s > now), "{expression}");
            assert_eq!(timing.last(1, now - 1, slots[0]), [slots[0]], "{expression}");
        }
    }
    assert!(taken > 100, "{taken}");
}
