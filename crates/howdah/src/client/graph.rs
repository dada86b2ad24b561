//! What a workflow is made of: named jobs, what each waits for, and groups of them.
//!
//! Invariant: a value that becomes the JSON of `howdah.enqueue_workflow`; whether it makes sense, circles and unknown names
//! included, is for that to say. Limit: 10,000 nodes in one call.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use super::after::OnParentFailure;
use super::options::Options;
use super::payload::{self, Payload};
use super::workflow::WorkflowId;
use crate::encryption::Keys;
use crate::error::{Error, Result};
use crate::job::{Job, JobId};

/// Somebody that a node waits for: another node by its name, any job by its id, or another workflow by its number.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Parent {
    /// A node of the same workflow, or a group of nodes.
    Node(String),
    /// A job that is there already.
    Job(i64),
    /// All jobs of a workflow that is there already.
    Workflow {
        /// Its number.
        workflow: i64,
    },
}

impl From<&str> for Parent {
    fn from(name: &str) -> Self {
        Self::Node(name.to_owned())
    }
}

impl From<String> for Parent {
    fn from(name: String) -> Self {
        Self::Node(name)
    }
}

impl From<JobId> for Parent {
    fn from(id: JobId) -> Self {
        Self::Job(id.0)
    }
}

impl From<WorkflowId> for Parent {
    fn from(id: WorkflowId) -> Self {
        Self::Workflow { workflow: id.0 }
    }
}

/// A job or a group, as the function takes it.
#[derive(Debug, Default, Serialize)]
struct Node {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u16>,
    #[serde(skip_serializing_if = "Options::is_empty")]
    options: Options,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<Parent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_parent_failure: Option<OnParentFailure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<Vec<Node>>,
}

impl Node {
    /// Takes along the trace of whoever enqueues, and refuses what cannot be sent.
    fn prepare(&mut self) -> Result<()> {
        match &mut self.jobs {
            Some(jobs) => jobs.iter_mut().try_for_each(Self::prepare),
            None => {
                self.options.join_trace();
                self.options.check()
            }
        }
    }

    /// Encrypts its payload, or those of its group.
    fn seal(&mut self, keys: &Keys) -> Result<()> {
        if let (Some(kind), Some(payload)) = (&self.kind, self.payload.take()) {
            self.payload = Some(keys.seal(kind, payload)?);
        }
        self.jobs.iter_mut().flatten().try_for_each(|node| node.seal(keys))
    }
}

/// The jobs of a workflow. What is said after a node is about that node:
///
/// ```
/// # use howdah::{Graph, Job, OnParentFailure};
/// # #[derive(Job, serde::Serialize, serde::Deserialize)] struct Fetch { shop: i32 }
/// # #[derive(Job, serde::Serialize, serde::Deserialize)] struct Merge {}
/// # #[derive(Job, serde::Serialize, serde::Deserialize)] struct Tell {}
/// let graph = Graph::new()
///     .job("fetch 1", Fetch { shop: 1 })
///     .job("fetch 2", Fetch { shop: 2 }).priority(2)
///     .job("merge", Merge {}).after(["fetch 1", "fetch 2"])
///     .on_end(Tell {}); // when all have ended, however
/// # let _ = graph;
/// ```
///
/// Nodes may be named in any order. Give it to [`Howdah::workflow`](crate::Howdah::workflow).
#[derive(Debug, Default)]
#[must_use = "a graph does nothing until it is given to Howdah::workflow"]
pub struct Graph {
    nodes: Vec<Node>,
    on_complete: Option<Node>,
    on_end: Option<Node>,
    /// The queues that the jobs' types declare.
    pub(super) queues: Vec<&'static str>,
    wrong: Option<Error>,
}

impl Graph {
    /// Nothing, so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// A job by this name: 1 to 200 bytes without `/`, unique among its siblings.
    #[allow(clippy::needless_pass_by_value, reason = "a job that is enqueued is given away")]
    pub fn job<J: Job>(mut self, name: impl Into<String>, job: J) -> Self {
        let node = self.node(&job);
        self.nodes.push(Node { name: Some(name.into()), ..node });
        self
    }

    /// A job of a kind that has no type here.
    pub fn job_raw(
        mut self,
        name: impl Into<String>,
        kind: impl Into<String>,
        payload: &(impl Serialize + ?Sized),
    ) -> Self {
        let payload = self.encode(payload);
        let (name, kind) = (Some(name.into()), Some(Cow::Owned(kind.into())));
        self.nodes.push(Node { name, kind, payload, ..Node::default() });
        self
    }

    /// A graph inside of this one. Whoever waits for the group waits for all that is in it, and what the group waits for, all
    /// in it wait for. Its nodes know each other by their names; elsewhere they are called `group/name`. Callbacks of the
    /// inner graph are left out.
    pub fn group(mut self, name: impl Into<String>, graph: Self) -> Self {
        self.queues.extend(graph.queues);
        self.wrong = self.wrong.or(graph.wrong);
        self.nodes.push(Node { name: Some(name.into()), jobs: Some(graph.nodes), ..Node::default() });
        self
    }

    /// The last node waits until these have ended: nodes or groups by their names, any jobs by their ids, or other workflows
    /// by their numbers. Called again, for these too.
    pub fn after<P: Into<Parent>>(self, parents: impl IntoIterator<Item = P>) -> Self {
        self.last(|node| node.depends_on.extend(parents.into_iter().map(Into::into)))
    }

    /// What becomes of the last node, or of all in the last group that say nothing, when something that it waits for does not
    /// complete: it is cancelled unless this says otherwise.
    pub fn on_parent_failure(self, then: OnParentFailure) -> Self {
        self.last(|node| node.on_parent_failure = Some(then))
    }

    /// The queue of the last node, which must exist; instead of what its type says.
    pub fn queue(self, queue: impl Into<String>) -> Self {
        self.last(|node| node.queue = Some(Cow::Owned(queue.into())))
    }

    /// The priority of the last node: 0 runs first, 9 last.
    pub fn priority(self, priority: u8) -> Self {
        self.last(|node| node.priority = Some(priority))
    }

    /// The last node is due this long after the workflow was enqueued, and not before what it waits for has ended.
    pub fn delay(self, delay: Duration) -> Self {
        self.last(|node| node.delay_ms = Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How often the last node is tried before it is dead: 1 to 1000.
    pub fn max_attempts(self, attempts: u16) -> Self {
        self.last(|node| node.max_attempts = Some(attempts))
    }

    /// How long one attempt of the last node may take, 1 ms to a year.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.last(|node| node.options.set_timeout(timeout))
    }

    /// Something to find and to filter the last node by: see [`Enqueue::attribute`](crate::Enqueue::attribute).
    pub fn attribute(self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.last(|node| node.options.set_attribute(name.into(), value))
    }

    /// A job that runs when all nodes have completed. If one fails it is cancelled. It is called `on_complete`.
    #[allow(clippy::needless_pass_by_value, reason = "a job that is enqueued is given away")]
    pub fn on_complete<J: Job>(mut self, job: J) -> Self {
        self.on_complete = Some(self.node(&job));
        self
    }

    /// A job that runs when all nodes have ended, however they did. It is called `on_end`.
    #[allow(clippy::needless_pass_by_value, reason = "a job that is enqueued is given away")]
    pub fn on_end<J: Job>(mut self, job: J) -> Self {
        self.on_end = Some(self.node(&job));
        self
    }

    fn node<J: Job>(&mut self, job: &J) -> Node {
        self.queues.push(J::QUEUE);
        let mut options = Options::default();
        options.version = (J::VERSION != 1).then_some(J::VERSION);
        Node {
            kind: Some(Cow::Borrowed(J::KIND)),
            payload: self.encode(job),
            queue: Some(Cow::Borrowed(J::QUEUE)),
            priority: Some(J::PRIORITY),
            max_attempts: J::MAX_ATTEMPTS,
            options,
            ..Node::default()
        }
    }

    fn encode(&mut self, value: &(impl Serialize + ?Sized)) -> Option<Payload> {
        payload::encode(value).map_err(|error| self.wrong.get_or_insert(error)).ok()
    }

    fn last(mut self, set: impl FnOnce(&mut Node)) -> Self {
        match self.nodes.last_mut() {
            Some(node) => set(node),
            None => self.wrong = Some(Error::invalid("jobs", "there is no node yet that this could be said of")),
        }
        self
    }

    pub(super) fn encoded(&mut self, keys: &Keys) -> Result<Encoded> {
        if let Some(error) = self.wrong.take() {
            return Err(error);
        }
        self.nodes.iter_mut().try_for_each(Node::prepare)?;
        self.nodes
            .iter_mut()
            .chain(&mut self.on_complete)
            .chain(&mut self.on_end)
            .try_for_each(|node| node.seal(keys))?;
        let one = |node: &Option<Node>| node.as_ref().map(whole).transpose();
        Ok(Encoded { jobs: whole(&self.nodes)?, on_complete: one(&self.on_complete)?, on_end: one(&self.on_end)? })
    }
}

/// What is wrong now is wrong with names, kinds and the like, or with all together: each payload was looked at before.
fn whole(nodes: &impl Serialize) -> Result<Payload> {
    payload::encode(nodes).map_err(|error| match error {
        Error::Invalid { message, hint, .. } => Error::Invalid { field: "jobs".to_owned(), message, hint },
        other => other,
    })
}

/// A graph as `howdah.enqueue_workflow` takes it.
pub(super) struct Encoded {
    pub(super) jobs: Payload,
    pub(super) on_complete: Option<Payload>,
    pub(super) on_end: Option<Payload>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_is_the_json_that_the_function_takes() {
        let mut graph = Graph::new()
            .job_raw("a", "fetch", &1)
            .priority(2)
            .group("g", Graph::new().job_raw("b", "parse", &2).after(["a"]))
            .after([JobId(384)])
            .on_parent_failure(OnParentFailure::Hold);
        assert_eq!(
            graph.encoded(&Keys::default()).unwrap().jobs.get(),
            r#"[{"name":"a","kind":"fetch","payload":1,"priority":2},{"name":"g","depends_on":[384],"on_parent_failure":"hold","jobs":[{"name":"b","kind":"parse","payload":2,"depends_on":["a"]}]}]"#
        );
        assert!(Graph::new().after(["a"]).encoded(&Keys::default()).is_err(), "of no node");
        assert!(Graph::new().job_raw("a\0", "k", &1).encoded(&Keys::default()).is_err(), "a NUL");
    }
}
