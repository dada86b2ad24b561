//! `howdah top`: a live screen of queues and workers.
//!
//! Invariant: one look a second at most, none while it is held, stopped or not answered yet; whatever ends it, the terminal is as it was before.
//! Limit: it shows counts; jobs are for `howdah jobs` and `howdah tail`.

mod draw;
mod keys;
mod screen;
mod state;

use std::pin::Pin;
use std::time::Duration;

use clap::Args;
use crossterm::event::Event;
use howdah::Howdah;
use howdah_admin::{Admin, Overview};
use tokio::time::MissedTickBehavior;

use self::screen::Screen;
use self::state::{State, Wish};
use super::{Answer, told_to_stop};
use crate::args::Global;
use crate::connect;
use crate::failure::{Failure, Result};
use crate::output::{Output, colors_are_allowed};

const EXAMPLES: &str = "\
Keys: arrows or j k to select, tab for workers, s to sort, / to filter, p to pause or resume, space to hold
the screen, ? for help, q to quit.

Examples:
  howdah top
  howdah top --every 5
  NO_COLOR=1 howdah top";

/// How to look.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Top {
    /// Look every so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=3600))]
    every: u16,
}

/// What was asked of the database, until it has come back.
type Asked<'a, T> = Option<Pin<Box<dyn Future<Output = T> + 'a>>>;

/// The answer, when it has come; never, if nothing was asked.
async fn answer<T>(asked: &mut Asked<'_, T>) -> T {
    let told = match asked {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    };
    *asked = None;
    told
}

pub(crate) async fn run(global: &Global, out: Output, how: Top) -> Result<Answer> {
    if !out.is_terminal() {
        return Err(Failure::usage("top needs a terminal").hint("`howdah stats --watch --json` is for programs"));
    }
    let howdah = connect::to_queue(global).await?;
    // The first look before the screen is taken: what is wrong then is said as usual.
    let overview = Admin::new(howdah.clone()).overview().await?;
    let mut state = State::new(colors_are_allowed());
    state.see(Ok(overview));
    // Asked once before the screen is taken, since signals are caught from then on.
    let mut ended = Box::pin(told_to_stop());
    tokio::select! {
        biased;
        () = &mut ended => return Err(Failure::interrupted("")),
        () = std::future::ready(()) => {}
    }
    let mut screen = Screen::take()?;
    let answer = tokio::select! {
        () = ended => Err(Failure::interrupted("")),
        answer = follow(&howdah, &mut screen, &mut state, how.every) => answer,
    };
    drop(screen);
    answer
}

async fn follow(howdah: &Howdah, screen: &mut Screen, state: &mut State, every: u16) -> Result<Answer> {
    let admin = Admin::new(howdah.clone());
    let mut look: Asked<'_, Result<Overview, howdah_admin::Error>> = None;
    let mut doing: Asked<'_, String> = None;
    let mut time = tokio::time::interval(Duration::from_secs(every.into()));
    // After a stop (Ctrl-Z) there is one look, not all that were missed.
    time.set_missed_tick_behavior(MissedTickBehavior::Delay);
    time.tick().await;
    loop {
        screen.draw(|frame| draw::draw(frame, state))?;
        let may_look = look.is_none() && !state.is_held();
        tokio::select! {
            event = screen.event() => {
                let Some(event) = event else { return Err(Failure::no("the terminal is gone")) };
                match handle(&event, state) {
                    Some(Wish::Quit) => return Ok(Answer::Yes),
                    Some(Wish::Interrupt) => return Err(Failure::interrupted("")),
                    Some(Wish::Stop) => screen.stop()?,
                    // Whatever the terminal has made of the picture: even if it is as large as before.
                    Some(Wish::Redraw) => screen.clear()?,
                    Some(Wish::Pause(..)) if doing.is_some() => state.say("not yet: something is being done".to_owned()),
                    Some(Wish::Pause(queue, pause)) => {
                        doing = Some(Box::pin(async move { pause_or_resume(howdah, &queue, pause).await }));
                    }
                    None => {}
                }
            }
            _ = time.tick(), if may_look => look = Some(Box::pin(admin.overview())),
            overview = answer(&mut look) => state.see(overview),
            text = answer(&mut doing) => {
                state.say(text);
                // What was done is seen at once.
                time.reset_immediately();
            }
        }
    }
}

fn handle(event: &Event, state: &mut State) -> Option<Wish> {
    match event {
        Event::Key(key) if key.is_press() => keys::press(*key, state),
        Event::Resize(..) => Some(Wish::Redraw),
        _ => None,
    }
}

async fn pause_or_resume(howdah: &Howdah, queue: &str, pause: bool) -> String {
    let by = std::env::var("USER").ok().filter(|user| !user.is_empty());
    let done = if pause {
        howdah.pause_queue(queue, by.as_deref(), Some("howdah top")).await
    } else {
        howdah.resume_queue(queue).await
    };
    match done {
        Ok(_) if pause => format!("{queue} is paused"),
        Ok(_) => format!("{queue} goes on"),
        Err(error) => format!("{queue}: {error}"),
    }
}
