//! Which function does which job: by its exact kind (and version), else by the longest prefix, else any.
//!
//! Invariant: a worker claims only kinds that have a function here; what cannot be told apart (two functions for
//! one kind and version, a prefix twice) is refused before it starts. Limit: one function of a kind gets every
//! version of it; only where there are several does the version decide.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::ctx::{Call, Ctx, FromRef};
use super::verdict::{IntoOutcome, JobError, Outcome};
use super::{Handler, RawJob, decode};
use crate::job::Job;

/// A handler with its types forgotten.
type Run<S> = Arc<dyn Fn(RawJob, Arc<Call>, &S) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// One entry of the [`Handlers`].
pub(crate) struct Entry<S> {
    pub(crate) run: Run<S>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) queue: &'static str,
    version: u16,
}

impl<S> Entry<S> {
    fn raw<T, F, Fut, R>(handler: F) -> Self
    where
        T: FromRef<S> + Send + Sync + 'static,
        F: Fn(RawJob, Ctx<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoOutcome + 'static,
    {
        let run: Run<S> = Arc::new(move |raw, call, state| {
            handler(raw, Ctx::new(call, T::from_ref(state))).map(IntoOutcome::into_outcome).boxed()
        });
        Self { run, timeout: None, queue: "default", version: 0 }
    }
}

/// Which function does which kind.
pub(crate) struct Handlers<S> {
    /// A kind's functions, one for each version.
    exact: HashMap<&'static str, Vec<Entry<S>>>,
    /// The longest first.
    prefixes: Vec<(String, Entry<S>)>,
    any: Option<Entry<S>>,
    /// The first thing that made no sense, to be told when the worker starts.
    mistake: Option<String>,
}

impl<S: 'static> Handlers<S> {
    pub(crate) fn new() -> Self {
        Self { exact: HashMap::new(), prefixes: Vec::new(), any: None, mistake: None }
    }

    pub(crate) fn add<M, H: Handler<S, M>>(&mut self, handler: H) {
        let (kind, version) = (H::Job::KIND, H::Job::VERSION);
        let run: Run<S> = Arc::new(move |raw, call, state| match decode::<H::Job>(&raw) {
            Ok(job) => handler.call(job, call, state),
            Err(error) => std::future::ready(Outcome::Failed(error)).boxed(),
        });
        let entries = self.exact.entry(kind).or_default();
        if entries.iter().any(|e| e.version == version) {
            let of = if version == 1 && entries.len() == 1 { String::new() } else { format!(" in version {version}") };
            self.mistake
                .get_or_insert_with(|| format!("two handlers do jobs of the kind {kind:?}{of}: which one should?"));
        }
        entries.push(Entry { run, timeout: H::Job::TIMEOUT, queue: H::Job::QUEUE, version });
    }

    pub(crate) fn add_prefix<T, F, Fut, R>(&mut self, prefix: String, handler: F)
    where
        T: FromRef<S> + Send + Sync + 'static,
        F: Fn(RawJob, Ctx<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoOutcome + 'static,
    {
        if prefix.is_empty() {
            let text = "an empty prefix is every kind: call `.handle_any(your_function)` if that is what you mean";
            self.mistake.get_or_insert_with(|| text.to_owned());
        }
        if self.prefixes.iter().any(|(other, _)| *other == prefix) {
            self.mistake
                .get_or_insert_with(|| format!("two handlers do kinds that begin with {prefix:?}: which one should?"));
        }
        self.prefixes.push((prefix, Entry::raw(handler)));
        self.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    }

    pub(crate) fn add_any<T, F, Fut, R>(&mut self, handler: F)
    where
        T: FromRef<S> + Send + Sync + 'static,
        F: Fn(RawJob, Ctx<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoOutcome + 'static,
    {
        if self.any.replace(Entry::raw(handler)).is_some() {
            self.mistake.get_or_insert_with(|| "two handlers do any kind: which one should?".to_owned());
        }
    }

    /// The function that does such a job; `None`: nobody here does. An error: somebody does the kind, but not in
    /// this version.
    pub(crate) fn find(&self, kind: &str, version: u16) -> Option<Result<&Entry<S>, JobError>> {
        match self.candidates(kind) {
            [] => None,
            [only] => Some(Ok(only)),
            several => {
                let entry = several.iter().find(|entry| entry.version == version);
                Some(entry.ok_or_else(|| unknown_version(kind, version, several)))
            }
        }
    }

    /// The functions of a kind: one for each version, or the only one.
    fn candidates(&self, kind: &str) -> &[Entry<S>] {
        if let Some(entries) = self.exact.get(kind) {
            return entries;
        }
        let prefix = self.prefixes.iter().find(|(prefix, _)| kind.starts_with(prefix.as_str()));
        prefix.map(|(_, entry)| entry).or(self.any.as_ref()).map_or(&[], std::slice::from_ref)
    }

    /// What makes no sense about them.
    pub(crate) fn mistake(&self) -> Option<&str> {
        self.mistake.as_deref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty() && self.any.is_none()
    }

    /// The queues that the handlers' jobs declare, each once.
    pub(crate) fn queues(&self) -> Vec<&'static str> {
        let typed = self.exact.values().flatten();
        let raw = self.prefixes.iter().map(|(_, entry)| entry).chain(&self.any);
        let mut queues: Vec<_> = typed.chain(raw).map(|entry| entry.queue).collect();
        queues.sort_unstable();
        queues.dedup();
        queues
    }

    /// The queues that jobs of one kind are for, as its handlers declare; none: no handler does it.
    pub(crate) fn queues_of(&self, kind: &str) -> Vec<&'static str> {
        let mut queues: Vec<_> = self.candidates(kind).iter().map(|entry| entry.queue).collect();
        queues.dedup();
        queues
    }

    /// The kinds that have a function of their own.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<_> = self.exact.keys().map(|kind| (*kind).to_owned()).collect();
        kinds.sort();
        kinds
    }

    /// The prefixes, in the order of the alphabet.
    pub(crate) fn prefixes(&self) -> Vec<String> {
        let mut prefixes: Vec<_> = self.prefixes.iter().map(|(prefix, _)| prefix.clone()).collect();
        prefixes.sort();
        prefixes
    }

    /// Whether there is a function for what has none else.
    pub(crate) fn takes_any(&self) -> bool {
        self.any.is_some()
    }

    /// What people see of it: kinds, and prefixes as `mail.*`; `None`: any.
    pub(crate) fn shown(&self) -> Option<Vec<String>> {
        let prefixes = self.prefixes().into_iter().map(|prefix| format!("{prefix}*"));
        self.any.is_none().then(|| self.kinds().into_iter().chain(prefixes).collect())
    }
}

fn unknown_version<S>(kind: &str, version: u16, known: &[Entry<S>]) -> JobError {
    let mut known: Vec<u16> = known.iter().map(|entry| entry.version).collect();
    known.sort_unstable();
    let known: Vec<String> = known.iter().map(ToString::to_string).collect();
    let known = known.join(", ");
    let text =
        format!("the job is of version {version} of its kind {kind:?}, and this worker knows the versions {known}");
    JobError::retry(text).kind("version")
}
