//! The terminal while the live screen has it.
//!
//! Invariant: raw mode and the second screen end with this value, with a panic, and while the process is stopped. Limit: one at a
//! time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{self, Event};
use nix::sys::signal::{Signal, raise};
use ratatui::layout::Rect;
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The terminal, taken.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    events: UnboundedReceiver<Event>,
    ended: Arc<AtomicBool>,
}

impl Screen {
    /// Takes it; a panic gives it back before it is told.
    pub(super) fn take() -> io::Result<Self> {
        let terminal = ratatui::try_init()?;
        let (tell, events) = unbounded_channel();
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        std::thread::Builder::new().name("keys".to_owned()).spawn(move || listen(&tell, &end))?;
        Ok(Self { terminal, events, ended })
    }

    /// What is pressed next, or that the size is another one; `None`: nothing will come any more.
    pub(super) async fn event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw)?;
        Ok(())
    }

    /// Forgets what was drawn, so that all of it is drawn again.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        // Not `Terminal::clear`: it asks the terminal where the cursor is, and the thread that reads keys gets the answer.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }

    /// Gives the terminal back, stops the process as Ctrl-Z does, and takes the terminal again when it goes on.
    pub(super) fn stop(&mut self) -> io::Result<()> {
        // A cursor that drawing has hidden would be missing in the shell.
        self.terminal.show_cursor()?;
        ratatui::try_restore()?;
        raise(Signal::SIGTSTP).map_err(io::Error::from)?;
        self.terminal = ratatui::try_init()?;
        self.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        ratatui::restore();
    }
}

/// Reads keys, in a thread of its own since that waits.
fn listen(tell: &UnboundedSender<Event>, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        let event = match event::poll(Duration::from_millis(100)) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        // Nobody listens any more, or nothing can be read.
        if event.map_or(true, |event| tell.send(event).is_err()) {
            return;
        }
    }
}
