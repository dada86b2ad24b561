//! What is measured: names, units, and which way is better.
//!
//! Invariant: every figure of a run has its entry here. Limit: a figure is a number for each round.

use serde::Serialize;

/// A thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Metric {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    /// More.
    Higher,
    /// Less.
    Lower,
}

macro_rules! metrics {
    ($($name:ident $key:literal $better:ident $unit:literal $title:literal;)*) => {
        $(#[doc = $title] pub(crate) const $name: Metric =
            Metric { key: $key, title: $title, unit: $unit, better: Better::$better };)*
        /// All, in the order in which they are shown.
        pub(crate) const ALL: &[Metric] = &[$($name),*];
    };
}

metrics! {
    BULK_RATE "bulk_rate" Higher "jobs/s" "bulk enqueue";
    DRAIN_RATE "drain_rate" Higher "jobs/s" "no-op drain";
    SERVER_CPU "server_cpu" Lower "ms/1000 jobs" "server CPU, bulk enqueue and drain";
    CLIENT_CPU "client_cpu" Lower "ms/1000 jobs" "client CPU, bulk enqueue and drain";
    WAL "wal" Lower "bytes/job" "WAL, bulk enqueue and drain";
    STATEMENTS "statements" Lower "a job" "statements, bulk enqueue and drain";
    DEAD "dead_tuples" Lower "a job" "dead tuples, bulk enqueue and drain";
    SINGLE_IDLE "single_idle" Higher "commits/s" "single enqueue, 16 connections, an idle worker";
    SINGLE_BUSY "single_busy" Higher "commits/s" "single enqueue, 16 connections, a busy worker";
    CAPACITY "capacity" Higher "jobs/s" "single enqueue and run, until all are done";
    PICKUP_P50 "pickup_p50" Lower "ms" "idle pickup p50";
    PICKUP_P99 "pickup_p99" Lower "ms" "idle pickup p99";
    LOAD_RATE "load_rate" Higher "jobs/s" "steady load: half of its own capacity";
    LOAD_P50 "load_p50" Lower "ms" "pickup at half capacity p50";
    LOAD_P99 "load_p99" Lower "ms" "pickup at half capacity p99";
    LOAD_P999 "load_p999" Lower "ms" "pickup at half capacity p99.9";
    SAME_P50 "same_p50" Lower "ms" "pickup at 200 jobs/s p50";
    SAME_P99 "same_p99" Lower "ms" "pickup at 200 jobs/s p99";
    SAME_P999 "same_p999" Lower "ms" "pickup at 200 jobs/s p99.9";
    MEMORY "memory" Lower "MB" "memory of a worker at 1,000 running jobs";
    IDLE_STATEMENTS "idle_statements" Lower "a second" "statements of an idle worker";
}
