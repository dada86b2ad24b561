//! Gives back the slots of handlers that go on beyond the end of their time: those that block their thread, and those
//! whose own transaction completes their job.
//!
//! A handler runs inside its runner's task, so one that blocks its thread blocks the runner too, and nothing of
//! [`guard`](super::guard) is reached. From outside, it is told to end like any other, which one that looks at
//! [`Ctx::cancelled`](crate::Ctx::cancelled) between two steps will hear. If it does not, its job is failed, another runner
//! takes its slot, and when the thread is free again whatever the handler says is dropped.
//!
//! It is a thread and not a task, because a blocked thread may stop every task: the runtime's thread that was woken by
//! a socket goes on to run what was woken, and until it is done no other looks at sockets and timers. A task that
//! comes from outside wakes one that does. So, heartbeats and claims go on beside a handler that blocks.
//!
//! Invariant: who takes a [`Run`] out of the running ones ends it; so a job ends once, here or in its runner. Limit:
//! where all threads of the runtime are blocked, the log is all that still works.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::claimer::Start;
use super::guard::timed_out;
use super::panics::quietly;
use super::runner::finish;
use super::shared::{Run, Shared};

/// How often to look. What is overdue is noticed so much later.
const LOOK: Duration = Duration::from_millis(250);
/// The runner comes first: what it did not end by then is its thread's fault.
const MARGIN: Duration = Duration::from_millis(200);

/// Watches until it is dropped.
pub(super) struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    pub(super) fn new(shared: Arc<Shared>, start: Start) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let eye = Eye { shared, start, runtime: tokio::runtime::Handle::current() };
        let thread =
            std::thread::Builder::new().name("howdah watchdog".to_owned()).spawn(move || eye.watch(&stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Eye {
    shared: Arc<Shared>,
    start: Start,
    runtime: tokio::runtime::Handle,
}

impl Eye {
    fn watch(self, stopped: &Receiver<()>) {
        let _runtime = self.runtime.enter();
        let overdue = self.shared.settings.timeout_grace + MARGIN;
        while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            let overdue = self.shared.take_overdue(Instant::now(), overdue);
            for run in overdue.abandoned {
                self.abandon(run);
            }
            for (call, queue) in overdue.completing {
                (self.start)(&queue, 1);
                // Its own transaction decides on the job, whenever that ends.
                quietly(|| {
                    tracing::error!(job = %call.id, attempt = call.attempt, queue = %call.queue,
                        "handler ignored its cancellation while it completes its job in a transaction; its slot is given back");
                });
            }
            if overdue.any {
                // Some thread of the runtime takes it, and looks at sockets and timers afterwards.
                drop(self.runtime.spawn(async {}));
            }
        }
    }

    fn abandon(&self, run: Run) {
        let call = Arc::clone(&run.call);
        (self.start)(&run.queue, 1);
        quietly(|| {
            tracing::error!(job = %call.id, attempt = call.attempt, queue = %call.queue,
                "handler ignored its cancellation; its slot is given back, its thread is still busy");
        });
        finish(&self.shared, run, timed_out(&call, "; it was abandoned: its handler blocks a thread"), None);
        // From now on, whatever it asks is refused.
        call.lost.store(true, Ordering::Release);
    }
}
