//! Which function does which job: by its exact kind (and version), else by the longest prefix, else any.
//!
//! Invariant: a worker claims only kinds that have a function here; what cannot be told apart (two functions for
//! one kind and version, a prefix twice) is refused before it starts. Limit: one function of a kind gets every
//! version of it; only where there are several does the version decide.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::ctx::{Call, Ctx, FromRef};
use super::options::FIRST_VERSION;
use super::transaction::Transactions;
use super::verdict::{IntoOutcome, JobError, Outcome};
use super::{Handler, RawJob, decode};
use crate::job::Job;
use crate::retry::Retry;

/// A handler with its types forgotten.
pub(crate) type Run<S> = Arc<dyn Fn(RawJob, Arc<Call>, &S) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// One entry of the [`Handlers`].
pub(crate) struct Entry<S> {
    pub(crate) run: Run<S>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: Option<Retry>,
    /// It runs in a transaction of its own.
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "a worker treats all alike"))]
    pub(crate) in_tx: bool,
    pub(crate) queue: &'static str,
    version: u16,
}

impl<S> Entry<S> {
    fn of_raw(run: Run<S>) -> Self {
        Self { run, timeout: None, retry: None, in_tx: false, queue: "default", version: 0 }
    }

    /// A function that takes jobs as they are, of whatever version.
    pub(crate) fn raw<T, O, F, Fut, R>(handler: F) -> Self
    where
        O: 'static,
        T: FromRef<S> + Send + Sync + 'static,
        F: Fn(RawJob, Ctx<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoOutcome<O> + 'static,
    {
        Self::of_raw(Arc::new(move |raw, call, state| {
            handler(raw, Ctx::new(call, T::from_ref(state))).map(IntoOutcome::into_outcome).boxed()
        }))
    }
}

/// Which function does which kind.
pub(crate) struct Handlers<S> {
    /// A kind's functions, one for each version.
    exact: HashMap<Cow<'static, str>, Vec<Entry<S>>>,
    /// The longest first.
    prefixes: Vec<(String, Entry<S>)>,
    any: Option<Entry<S>>,
    /// The kinds that `any` is for; `None`: all.
    only: Option<Vec<String>>,
    pub(crate) transactions: Transactions,
    /// The first thing that made no sense, to be told when the worker starts.
    mistake: Option<String>,
}

impl<S: 'static> Handlers<S> {
    pub(crate) fn new() -> Self {
        Self {
            exact: HashMap::new(),
            prefixes: Vec::new(),
            any: None,
            only: None,
            transactions: Transactions::default(),
            mistake: None,
        }
    }

    pub(crate) fn add<M, H: Handler<S, M>>(&mut self, handler: H) {
        let run: Run<S> = Arc::new(move |raw, call, state| match decode::<H::Job>(&raw) {
            Ok(job) => handler.call(job, call, state),
            Err(error) => std::future::ready(Outcome::Failed(error)).boxed(),
        });
        self.insert::<H::Job>(run, false);
    }

    pub(super) fn insert<J: Job>(&mut self, run: Run<S>, in_tx: bool) {
        let entry = Entry { run, timeout: J::TIMEOUT, retry: J::RETRY, in_tx, queue: J::QUEUE, version: J::VERSION };
        self.insert_entry(Cow::Borrowed(J::KIND), entry);
    }

    pub(crate) fn add_raw(&mut self, kind: String, entry: Entry<S>) {
        self.insert_entry(Cow::Owned(kind), Entry { version: FIRST_VERSION, ..entry });
    }

    fn insert_entry(&mut self, kind: Cow<'static, str>, entry: Entry<S>) {
        let version = entry.version;
        let name = format!("{kind:?}");
        let entries = self.exact.entry(kind).or_default();
        if entries.iter().any(|e| e.version == version) {
            let of = if version == 1 && entries.len() == 1 { String::new() } else { format!(" in version {version}") };
            self.mistake
                .get_or_insert_with(|| format!("two handlers do jobs of the kind {name}{of}: which one should?"));
        }
        entries.push(entry);
    }

    pub(crate) fn add_prefix(&mut self, prefix: String, entry: Entry<S>) {
        if prefix.is_empty() {
            let text = "an empty prefix is every kind: call `.handle_any(your_function)` if that is what you mean";
            self.mistake.get_or_insert_with(|| text.to_owned());
        }
        if self.prefixes.iter().any(|(other, _)| *other == prefix) {
            self.mistake
                .get_or_insert_with(|| format!("two handlers do kinds that begin with {prefix:?}: which one should?"));
        }
        self.prefixes.push((prefix, entry));
        self.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    }

    pub(crate) fn add_any(&mut self, entry: Entry<S>) {
        if self.any.replace(entry).is_some() {
            self.mistake.get_or_insert_with(|| "two handlers do any kind: which one should?".to_owned());
        }
    }

    /// Takes every job of these kinds (`None`: of any) as it is, with the timeout and the retry that their type declares.
    pub(crate) fn take_all(&mut self, only: Option<Vec<String>>, of: (Option<Duration>, Option<Retry>), run: Run<S>) {
        let entry = Entry { timeout: of.0, retry: of.1, ..Entry::of_raw(run) };
        (self.any, self.only) = (Some(entry), only);
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

    /// Whether a function of this kind has a transaction of its own.
    #[cfg(feature = "testing")]
    pub(crate) fn works_in_tx(&self, kind: &str) -> bool {
        self.candidates(kind).iter().any(|entry| entry.in_tx)
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

    /// The kinds that have a function, but for those that a prefix or the function for any has.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let only = self.only.iter().flatten().cloned();
        let mut kinds: Vec<_> = self.exact.keys().map(|kind| kind.clone().into_owned()).chain(only).collect();
        kinds.sort();
        kinds.dedup();
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
        self.any.is_some() && self.only.is_none()
    }

    /// What people see of it: kinds, and prefixes as `mail.*`; `None`: any.
    pub(crate) fn shown(&self) -> Option<Vec<String>> {
        let prefixes = self.prefixes().into_iter().map(|prefix| format!("{prefix}*"));
        (!self.takes_any()).then(|| self.kinds().into_iter().chain(prefixes).collect())
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
