//! The settings that few jobs have, from what was typed.
//!
//! Invariant: the same for one job and for a stream of them. Limit: what the server has to judge (sizes, ranges) it
//! judges; only the form is looked at here.

use std::time::{Duration, SystemTime};

use clap::{ArgGroup, Args};
use howdah::{JobId, OnParentFailure, Retry, WorkflowId};
use serde_json::Value;

use super::payload;
use super::time;
use crate::duration;
use crate::failure::Result;

/// What few jobs have.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("parents").multiple(true)))]
pub(super) struct Settings {
    /// Something to find and to filter the job by: NAME=TEXT, or NAME:=JSON
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// Do not start it later than this from now, like 30m
    #[arg(long, value_parser = duration::parse, allow_hyphen_values = true, conflicts_with = "expires_at")]
    ttl: Option<Duration>,
    /// Do not start it after this time, like 2030-01-31T08:00:00Z
    #[arg(long, value_name = "RFC3339", value_parser = time)]
    expires_at: Option<SystemTime>,
    /// How long one attempt may take, like 30s
    #[arg(long, value_parser = duration::parse, allow_hyphen_values = true)]
    timeout: Option<Duration>,
    /// When it is tried again: constant:30s, linear:10s or exponential:2s
    #[arg(long, value_name = "POLICY:TIME", value_parser = retry)]
    retry: Option<Retry>,
    /// Count it against the limit of this key; may be given again
    #[arg(long = "limit-key", value_name = "KEY")]
    limit_keys: Vec<String>,
    /// Run it one at a time and in order with the other jobs of this key
    #[arg(long, value_name = "KEY")]
    order_key: Option<String>,
    /// While it waits for its next attempt, the next jobs of its order key go first
    #[arg(long, requires = "order_key")]
    let_others_pass: bool,
    /// Share the queue in turns among the values of this, such as tenants
    #[arg(long, value_name = "KEY")]
    fair_key: Option<String>,
    /// How many tokens of a rate it takes to start
    #[arg(long, value_name = "TOKENS")]
    weight: Option<u32>,
    /// Wait until these jobs have ended
    #[arg(long, value_name = "ID", value_delimiter = ',', group = "parents")]
    after: Vec<i64>,
    /// Wait until all jobs of these workflows have ended
    #[arg(long, value_name = "WORKFLOW", value_delimiter = ',', group = "parents")]
    after_workflow: Vec<i64>,
    /// When one of them does not complete: cancel this one, run it all the same, or hold it until that one is sent again
    #[arg(long, value_name = "cancel|run|hold", value_parser = then, requires = "parents")]
    on_parent_failure: Option<OnParentFailure>,
    /// Do not run it by itself: it waits until it is retried
    #[arg(long, conflicts_with_all = ["delay", "run_at"])]
    parked: bool,
}

pub(in crate::commands) fn retry(text: &str) -> Result<Retry, String> {
    let (policy, base) = text.split_once(':').ok_or("write it like exponential:2s")?;
    let base = duration::parse(base)?;
    match policy {
        "constant" => Ok(Retry::constant(base)),
        "linear" => Ok(Retry::linear(base)),
        "exponential" => Ok(Retry::exponential(base)),
        _ => Err("the policy is constant, linear or exponential".to_owned()),
    }
}

fn then(text: &str) -> Result<OnParentFailure, String> {
    match text {
        "cancel" => Ok(OnParentFailure::Cancel),
        "run" => Ok(OnParentFailure::Run),
        "hold" => Ok(OnParentFailure::Hold),
        _ => Err("it is cancel, run or hold".to_owned()),
    }
}

/// The builders of one job and of many have the same methods, and no trait in common.
macro_rules! apply {
    ($settings:expr, $job:expr) => {{
        let mut job = $job;
        for (name, value) in $settings.attributes()? {
            job = job.attribute(name, value);
        }
        if let Some(ttl) = $settings.ttl {
            job = job.ttl(ttl);
        }
        if let Some(at) = $settings.expires_at {
            job = job.expires_at(at);
        }
        if let Some(timeout) = $settings.timeout {
            job = job.timeout(timeout);
        }
        if let Some(retry) = $settings.retry {
            job = job.retry(retry);
        }
        for key in &$settings.limit_keys {
            job = job.limit_key(key);
        }
        if let Some(key) = &$settings.order_key {
            job = job.order_key(key);
        }
        if $settings.let_others_pass {
            job = job.let_others_pass();
        }
        if let Some(key) = &$settings.fair_key {
            job = job.fair_key(key);
        }
        if let Some(tokens) = $settings.weight {
            job = job.weight(tokens);
        }
        if !$settings.after.is_empty() {
            job = job.after($settings.after.iter().copied().map(JobId));
        }
        for workflow in &$settings.after_workflow {
            job = job.after_workflow(WorkflowId(*workflow));
        }
        if let Some(then) = $settings.on_parent_failure {
            job = job.on_parent_failure(then);
        }
        if $settings.parked {
            job = job.parked();
        }
        Ok(job)
    }};
}

impl Settings {
    fn attributes(&self) -> Result<Vec<(String, Value)>> {
        self.attributes
            .iter()
            .map(|text| payload::field("--attribute", text).map(|(name, value)| (name.to_owned(), value)))
            .collect()
    }

    pub(super) fn of_one<'e, O>(&self, job: howdah::Enqueue<'e, O>) -> Result<howdah::Enqueue<'e, O>> {
        apply!(self, job)
    }

    pub(super) fn of_many<'e>(&self, jobs: howdah::EnqueueMany<'e>) -> Result<howdah::EnqueueMany<'e>> {
        apply!(self, jobs)
    }
}
