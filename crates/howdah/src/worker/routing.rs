//! What a worker is told of its routing: prefixes, layers, groups, and how it ends attempts.
//!
//! Invariant: nothing is checked here; what makes no sense is refused when the worker starts. Limit: none of it can
//! be changed while it runs.

use std::future::Future;
use std::time::Duration;

use super::lanes::Group;
use super::{NO_END, Worker};
use crate::handler::{Ctx, Entry, FromRef, IntoOutcome, RawJob};
use crate::layer::JobLayer;

impl<S: Send + Sync + 'static> Worker<S> {
    /// Runs jobs of this kind, whatever their version, as they are: for kinds that have no type here. They are for the
    /// queue `default` as far as the worker knows: name others with [`queue`](Self::queue).
    pub fn handle_raw<T, O, F, Fut, R>(mut self, kind: impl Into<String>, handler: F) -> Self
    where
        O: 'static,
        T: FromRef<S> + Send + Sync + 'static,
        F: Fn(RawJob, Ctx<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoOutcome<O> + 'static,
    {
        self.handlers.add_raw(kind.into(), Entry::raw(handler));
        self
    }

    /// Runs jobs of every kind that begins so, such as `mail.`, and has no function of its own. Of several prefixes the
    /// longest that fits decides. Such jobs are for the queue `default` as far as the worker knows: name others with
    /// [`queue`](Self::queue).
    ///
    /// ```
    /// # use howdah::{Ctx, RawJob, Worker};
    /// async fn mail(job: RawJob, _: Ctx) {
    ///     println!("{}: {}", job.kind, job.payload);
    /// }
    /// # fn example(worker: Worker) -> Worker {
    /// worker.handle_prefix("mail.", mail)
    /// # }
    /// ```
    pub fn handle_prefix<T, O, F, Fut, R>(mut self, prefix: impl Into<String>, handler: F) -> Self
    where
        O: 'static,
        T: FromRef<S> + Send + Sync + 'static,
        F: Fn(RawJob, Ctx<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoOutcome<O> + 'static,
    {
        self.handlers.add_prefix(prefix.into(), Entry::raw(handler));
        self
    }

    /// Puts a layer round every handler: see [`howdah::layer`](crate::layer). The first one that is added is the outermost,
    /// as in `tower::ServiceBuilder`. An error of a layer is a failed attempt, tried again by the policy.
    pub fn layer(mut self, layer: impl JobLayer) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// Sets so many of its queue's slots aside for these kinds: no other kind gets them, and these get no others. The
    /// rest of the slots is for all other kinds. The name is for messages.
    ///
    /// The queue is the one that the kinds declare, or the only one that the worker serves. The worker does not start
    /// with a group that makes no sense: without slots or kinds, with a kind that another group has or that no handler does,
    /// or that leaves no slot to kinds that have a handler too.
    ///
    /// ```
    /// # fn example(worker: howdah::Worker) -> howdah::Worker {
    /// // Of ten slots, at most three resize or transcode, and seven are always there for the rest.
    /// worker.concurrency(10).group("heavy", 3, ["resize", "transcode"])
    /// # }
    /// ```
    pub fn group(
        mut self,
        name: impl Into<String>,
        slots: usize,
        kinds: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let kinds = kinds.into_iter().map(Into::into).collect();
        self.groups.push(Group { name: name.into(), slots, kinds });
        self
    }

    /// How long a handler whose time is over may go on to end by itself, before it is dropped; 1 s. Its time is that of
    /// the job, else that of its kind (`howdah.set_kind`, or else `#[job(timeout = "30s")]`), else that of its queue
    /// (`howdah.set_queue`), else without end.
    pub fn timeout_grace(mut self, at_most: Duration) -> Self {
        self.settings.timeout_grace = at_most.min(NO_END);
        self
    }
}
