//! What the live screen is about: the last look, and what the person wants to see of it.
//!
//! Invariant: the selection is a queue's name, so that it stays with the queue however the list moves. Limit: it knows nothing of
//! terminals and nothing of databases.

use std::cmp::{Ordering, Reverse};
use std::time::{Duration, Instant};

use howdah_admin::{Error, Overview, QueueLine, WorkerLine};

/// What is to be done because of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    Quit,
    /// As with Ctrl-C.
    Interrupt,
    /// As with Ctrl-Z.
    Stop,
    /// Draw everything again.
    Redraw,
    /// Pause this queue, or let it go on.
    Pause(String, bool),
}

/// Which list has the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    Queues,
    Workers,
}

/// What is typed into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// Keys are commands.
    Look,
    /// Keys are letters of the filter.
    Filter,
    /// Whether this queue is to be paused, or to go on.
    Ask(String, bool),
    Help,
}

/// By what queues are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Name,
    Ready,
    Oldest,
    Running,
    Done,
    Failed,
}

impl Sort {
    const ALL: [Self; 6] = [Self::Name, Self::Ready, Self::Oldest, Self::Running, Self::Done, Self::Failed];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Ready => "ready",
            Self::Oldest => "oldest",
            Self::Running => "running",
            Self::Done => "done/s",
            Self::Failed => "fail/s",
        }
    }

    fn compare(self, a: &QueueLine, b: &QueueLine) -> Ordering {
        match self {
            Self::Name => a.name.cmp(&b.name),
            Self::Ready => b.ready.cmp(&a.ready),
            // The oldest first, and last those where nothing waits.
            Self::Oldest => {
                (a.oldest_ready_at.is_none(), a.oldest_ready_at).cmp(&(b.oldest_ready_at.is_none(), b.oldest_ready_at))
            }
            Self::Running => b.running.cmp(&a.running),
            Self::Done => Reverse(a.completed).cmp(&Reverse(b.completed)),
            Self::Failed => Reverse(a.failed).cmp(&Reverse(b.failed)),
        }
    }
}

/// Everything that is drawn.
#[derive(Debug)]
pub(super) struct State {
    pub(super) colors: bool,
    pub(super) pane: Pane,
    pub(super) mode: Mode,
    pub(super) sort: Sort,
    pub(super) filter: String,
    /// What was said last, until the next key.
    pub(super) said: String,
    overview: Option<Overview>,
    seen: Instant,
    stale: Option<String>,
    held: bool,
    reversed: bool,
    queue: Option<String>,
    worker: Option<i64>,
}

impl State {
    pub(super) fn new(colors: bool) -> Self {
        Self {
            colors,
            pane: Pane::Queues,
            mode: Mode::Look,
            sort: Sort::Name,
            filter: String::new(),
            said: String::new(),
            overview: None,
            seen: Instant::now(),
            stale: None,
            held: false,
            reversed: false,
            queue: None,
            worker: None,
        }
    }

    /// A look has come back. One that failed leaves what there was.
    pub(super) fn see(&mut self, look: Result<Overview, Error>) {
        match look {
            Ok(overview) => {
                self.overview = Some(overview);
                self.seen = Instant::now();
                self.stale = None;
            }
            Err(error) => self.stale = Some(error.to_string()),
        }
    }

    pub(super) fn say(&mut self, text: String) {
        self.said = text;
    }

    pub(super) fn overview(&self) -> Option<&Overview> {
        self.overview.as_ref()
    }

    /// How old what is shown is, and why; if it is not of now.
    pub(super) fn staleness(&self) -> Option<(Duration, &str)> {
        let why = if self.held { "held" } else { self.stale.as_deref()? };
        Some((self.seen.elapsed(), why))
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    pub(super) fn hold(&mut self) {
        self.held = !self.held;
    }

    pub(super) fn is_reversed(&self) -> bool {
        self.reversed
    }

    /// The queues that are shown, in their order.
    pub(super) fn queues(&self) -> Vec<&QueueLine> {
        let all = self.overview.as_ref().map_or(&[][..], |overview| &overview.queues);
        let mut queues: Vec<&QueueLine> = all.iter().filter(|queue| self.fits(&queue.name)).collect();
        queues.sort_by(|a, b| {
            let order = self.sort.compare(a, b);
            if self.reversed { order.reverse() } else { order }.then_with(|| a.name.cmp(&b.name))
        });
        queues
    }

    /// The workers that are shown.
    pub(super) fn workers(&self) -> Vec<&WorkerLine> {
        let all = self.overview.as_ref().map_or(&[][..], |overview| &overview.workers);
        all.iter().filter(|w| self.fits(&w.name) || w.queues.iter().any(|queue| self.fits(queue))).collect()
    }

    fn fits(&self, name: &str) -> bool {
        self.filter.is_empty() || name.to_lowercase().contains(&self.filter.to_lowercase())
    }

    /// Which line of the list is selected.
    pub(super) fn selected(&self) -> Option<usize> {
        let (found, lines) = match self.pane {
            Pane::Queues => {
                let queues = self.queues();
                (queues.iter().position(|queue| Some(&queue.name) == self.queue.as_ref()), queues.len())
            }
            Pane::Workers => {
                let workers = self.workers();
                (workers.iter().position(|worker| Some(worker.id) == self.worker), workers.len())
            }
        };
        found.or((lines > 0).then_some(0))
    }

    /// The queue that is selected.
    pub(super) fn selected_queue(&self) -> Option<&QueueLine> {
        if self.pane == Pane::Queues { self.queues().get(self.selected()?).copied() } else { None }
    }

    /// Goes so many lines down, or up.
    pub(super) fn go(&mut self, lines: isize) {
        let Some(at) = self.selected() else { return };
        let to = at.saturating_add_signed(lines);
        match self.pane {
            Pane::Queues => {
                let queues = self.queues();
                self.queue = queues.get(to).or(queues.last()).map(|queue| queue.name.clone());
            }
            Pane::Workers => {
                let workers = self.workers();
                self.worker = workers.get(to).or(workers.last()).map(|worker| worker.id);
            }
        }
    }

    pub(super) fn other_pane(&mut self) {
        self.pane = if self.pane == Pane::Queues { Pane::Workers } else { Pane::Queues };
    }

    pub(super) fn next_sort(&mut self) {
        let at = Sort::ALL.iter().position(|sort| *sort == self.sort).unwrap_or(0);
        self.sort = Sort::ALL[(at + 1) % Sort::ALL.len()];
    }

    pub(super) fn reverse(&mut self) {
        self.reversed = !self.reversed;
    }
}
