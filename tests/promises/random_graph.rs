//! Random graphs, and how they end: the model that `dependency_model` holds the queue against.
//!
//! Invariant: a node waits only for nodes before it, so that one pass over them tells how all end. Limit: what depends on who is
//! quicker is not in it.

use howdah::{JobState, OnParentFailure};
use howdah_tests::Fate;

/// What a node is in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Job,
    OnComplete,
    OnEnd,
    /// The end of the workflow, which no handler runs.
    End,
    /// A job outside that waits for the workflow.
    Waiter,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) role: Role,
    pub(crate) fate: Fate,
    pub(crate) parents: Vec<usize>,
    pub(crate) policy: OnParentFailure,
    /// Of a workflow: the group that it is in.
    pub(crate) group: Option<usize>,
}

impl Node {
    /// How often it runs if it ends so; what was cancelled may have run or not, if it cancels itself.
    pub(crate) fn runs(&self, end: JobState, runs: usize) -> usize {
        match (end, self.fate) {
            _ if self.role == Role::End => 0,
            (JobState::Completed, Fate::FailOnce) => 2,
            (JobState::Completed | JobState::Dead, _) => 1,
            (JobState::Cancelled, Fate::CancelItself) => runs.min(1),
            _ => 0,
        }
    }
}

/// How a graph comes into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Workflow,
    Together,
    OneByOne,
    Added,
}

/// What is done when it has come to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    Cancel,
    RunAgain,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<Node>,
    pub(crate) way: Way,
    pub(crate) then: Then,
    /// Its end is asked for when it is enqueued, and not later.
    pub(crate) with_end: bool,
    /// The nodes from here on are added while it runs.
    pub(crate) added_from: Option<usize>,
}

/// `splitmix64`: as random as this needs it, and the same everywhere.
pub(crate) struct Random(pub(crate) u64);

const POLICIES: [OnParentFailure; 3] = [OnParentFailure::Cancel, OnParentFailure::Run, OnParentFailure::Hold];

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap_or(0) % most
    }

    fn jobs(&mut self) -> Vec<Node> {
        let (nodes, dense) = (1 + self.below(20), 1 + self.below(6));
        (0..nodes)
            .map(|n| {
                let parents: Vec<_> = (0..n).filter(|_| self.below(12) < dense).collect();
                let fate = match self.below(12) {
                    0 => Fate::Die,
                    1 => Fate::CancelItself,
                    2 if parents.is_empty() => Fate::BeCancelled,
                    3 => Fate::FailOnce,
                    _ => Fate::Complete,
                };
                Node { role: Role::Job, fate, parents, policy: POLICIES[self.below(3)], group: None }
            })
            .collect()
    }

    /// A graph and what is done with it.
    pub(crate) fn plan(&mut self) -> Plan {
        let mut nodes = self.jobs();
        let way = [Way::Workflow, Way::Workflow, Way::Together, Way::OneByOne, Way::Added][self.below(5)];
        let then = [Then::Nothing, Then::Cancel, Then::RunAgain, Then::RunAgain][self.below(4)];
        let mut plan = Plan { nodes: Vec::new(), way, then, with_end: self.below(2) == 0, added_from: None };
        if way == Way::Workflow {
            let jobs = nodes.len();
            let group = self.below(jobs + 1);
            for node in &mut nodes[group.min(jobs)..(group + self.below(6)).min(jobs)] {
                node.group = Some(0);
            }
            if jobs > 2 && self.below(2) == 0 {
                // While this one waits, the workflow takes more. A group is not added to by parts.
                let cut = 1 + self.below(jobs - 1);
                nodes[0].fate = Fate::Wait;
                if nodes[cut - 1].group.is_none() || nodes[cut].group.is_none() {
                    plan.added_from = Some(cut);
                }
            }
            self.callbacks(&mut nodes);
            if let (Some(cut), true) = (plan.added_from, nodes.iter().any(|node| node.role == Role::OnComplete)) {
                // A workflow whose on_complete was cancelled, because something has failed, takes no more.
                for node in nodes[..cut].iter_mut().filter(|node| !matches!(node.fate, Fate::Wait | Fate::FailOnce)) {
                    node.fate = Fate::Complete;
                }
            }
        }
        plan.nodes = nodes;
        plan
    }

    /// What waits for all of a workflow.
    fn callbacks(&mut self, nodes: &mut Vec<Node>) {
        let jobs: Vec<usize> = (0..nodes.len()).collect();
        let all = |nodes: &mut Vec<Node>, role, parents: &[usize], policy| {
            let parents = parents.to_vec();
            nodes.push(Node { role, fate: Fate::Complete, parents, policy, group: None });
        };
        if self.below(2) == 0 {
            all(nodes, Role::OnComplete, &jobs, OnParentFailure::Cancel);
        }
        if self.below(2) == 0 {
            all(nodes, Role::OnEnd, &jobs, OnParentFailure::Run);
        }
        if self.below(2) == 0 {
            let members: Vec<usize> = (0..nodes.len()).collect();
            all(nodes, Role::End, &members, OnParentFailure::Run);
            let end = [nodes.len() - 1];
            all(nodes, Role::Waiter, &end, POLICIES[self.below(3)]);
        }
    }
}

/// How a node ends, or stays, if its parents are in these states and its fate is this.
fn end_of(node: &Node, fate: Fate, ends: &[JobState]) -> JobState {
    let is = |state| node.parents.iter().any(|p| ends[*p] == state);
    let failed = is(JobState::Dead) || is(JobState::Cancelled);
    match (node.policy, failed, is(JobState::Blocked), fate) {
        (OnParentFailure::Cancel, true, ..) => JobState::Cancelled,
        (_, _, true, _) | (OnParentFailure::Hold, true, ..) => JobState::Blocked,
        _ if node.role == Role::End => {
            if failed {
                JobState::Cancelled
            } else {
                JobState::Completed
            }
        }
        (.., Fate::Die) => JobState::Dead,
        (.., Fate::CancelItself | Fate::BeCancelled) => JobState::Cancelled,
        _ => JobState::Completed,
    }
}

/// How the nodes end, or stay.
pub(crate) fn model(nodes: &[Node]) -> Vec<JobState> {
    let mut ends = Vec::new();
    for node in nodes {
        ends.push(end_of(node, node.fate, &ends));
    }
    ends
}

/// And when the workflow is cancelled then.
pub(crate) fn cancelled(nodes: &[Node], before: &[JobState]) -> Vec<JobState> {
    let mut ends: Vec<JobState> = Vec::new();
    for (node, state) in nodes.iter().zip(before) {
        ends.push(match (state, node.role) {
            (JobState::Blocked, Role::End | Role::Waiter) => end_of(node, node.fate, &ends),
            (JobState::Blocked, _) => JobState::Cancelled,
            _ => *state,
        });
    }
    ends
}

/// And when nothing fails any more and the workflow is run again.
pub(crate) fn healed(nodes: &[Node], before: &[JobState]) -> Vec<JobState> {
    let mut ends: Vec<JobState> = Vec::new();
    for (node, state) in nodes.iter().zip(before) {
        ends.push(match (state, node.role) {
            (JobState::Blocked, Role::Waiter) => end_of(node, Fate::Complete, &ends),
            (_, Role::Waiter) => *state,
            _ => JobState::Completed,
        });
    }
    ends
}

/// And when nothing fails any more and each dead job is run again by itself.
pub(crate) fn after_retry(nodes: &[Node], before: &[JobState]) -> Vec<JobState> {
    let mut ends: Vec<JobState> = Vec::new();
    for (node, state) in nodes.iter().zip(before) {
        ends.push(match state {
            JobState::Dead => JobState::Completed,
            JobState::Blocked => end_of(node, Fate::Complete, &ends),
            state => *state,
        });
    }
    ends
}
