//! What is live: top, tail and --watch, in a real terminal.

use nix::sys::signal::{Signal, kill};

use crate::support::Desk;
use crate::terminal::Terminal;

/// A name that would clear the screen, paint it, set its title and turn the reading direction if it were printed as it is.
const HOSTILE: &str = "a\u{1b}[2J\u{1b}[31mb\u{1b}]0;owned\u{7}c\u{9b}2J\u{202e}d";
/// A kind has no control characters, whoever enqueues.
const TURNING: &str = "x\u{202e}y\u{2066}";
const HARMLESS: &str = "a\\u{1b}[2J\\u{1b}[31mb";

/// What the terminal must never be told: by a program that does not colour, anything of these comes from a name.
const ORDERS: [&str; 4] = ["\u{1b}]0;owned", "\u{9b}2J", "\u{202e}", "\u{1b}[31m"];

const NORMAL: (u16, u16) = (24, 80);

fn steered(terminal: &Terminal) -> Option<&'static str> {
    let raw = terminal.raw();
    ORDERS.into_iter().find(|order| raw.contains(order))
}

/// A worker of the name, as SQL knows it, that has taken every ready job.
async fn claim(desk: &Desk, name: &str) -> Vec<(i64, i64)> {
    let howdah = desk.howdah().await;
    let worker: i64 =
        sqlx::query_scalar("SELECT howdah.start_worker($1)").bind(name).fetch_one(howdah.pool()).await.unwrap();
    let claim = "SELECT c.lease_id, c.id FROM howdah.claim($1, 'default', 100) c";
    sqlx::query_as(claim).bind(worker).fetch_all(howdah.pool()).await.unwrap()
}

async fn sql(desk: &Desk, statement: &'static str, lease: i64, job: i64) {
    let howdah = desk.howdah().await;
    sqlx::query(statement).bind(lease).bind(job).execute(howdah.pool()).await.unwrap();
}

const COMPLETE: &str = "SELECT howdah.complete($1, ARRAY[$2], '{42}')";
const FAIL: &str = "SELECT howdah.fail($1, ARRAY[$2], '{retry}', '{Bad}', ARRAY[E'no\\x1b[31m paper'])";

#[tokio::test]
async fn top_shows_queues_and_ends_with_the_terminal_as_it_was() {
    let desk = Desk::with_queue().await;
    desk.ok(&["queues", "create", "mail"]).await;
    desk.ok(&["enqueue", "letter", "--queue", "mail"]).await;
    let mut top = Terminal::open(&desk, &["top"], NORMAL, &[]);
    top.until("mail has one job ready", |screen| line(screen, "mail").is_some_and(|l| l.contains(" 1 "))).await;
    assert!(top.screen(vt100::Screen::alternate_screen));
    top.shows("no workers").await;
    // What happens is seen without a key.
    desk.ok(&["enqueue", "letter", "--queue", "mail"]).await;
    top.until("mail has two jobs ready", |screen| line(screen, "mail").is_some_and(|l| l.contains(" 2 "))).await;
    claim(&desk, "ann's worker").await;
    top.shows("ann's worker").await;
    top.press("q").await;
    assert_eq!(top.end().await, 0);
    top.until("the first screen", |screen| !screen.alternate_screen() && !screen.hide_cursor()).await;
}

#[tokio::test]
async fn top_gives_the_terminal_back_whatever_ends_it() {
    let desk = Desk::with_queue().await;
    for signal in [None, Some(Signal::SIGINT), Some(Signal::SIGTERM), Some(Signal::SIGHUP)] {
        let mut top = Terminal::open(&desk, &["top"], NORMAL, &[]);
        top.shows("default").await;
        match signal {
            None => top.press("\u{3}").await,
            Some(signal) => kill(top.pid(), signal).unwrap(),
        }
        assert_eq!(top.end().await, 130, "{signal:?}");
        top.until("the first screen", |screen| !screen.alternate_screen() && !screen.hide_cursor()).await;
    }
}

#[tokio::test]
async fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_up_again() {
    let desk = Desk::with_queue().await;
    desk.ok(&["queues", "create", "mail"]).await;
    let mut shell = Terminal::shell(&desk, NORMAL);
    shell.press("$howdah top\n").await;
    shell.shows("mail").await;
    shell.press("\u{1a}").await;
    shell.until("the shell", |screen| !screen.alternate_screen() && !screen.hide_cursor()).await;
    shell.shows("Stopped").await;
    // What is typed is seen, and a line is a line.
    shell.press("echo it is $((40 + 2))\n").await;
    shell.shows("it is 42").await;
    desk.ok(&["queues", "create", "video"]).await;
    shell.press("fg\n").await;
    shell.until("the live screen", vt100::Screen::alternate_screen).await;
    shell.shows("video").await;
    shell.press("q").await;
    shell.until("the shell again", |screen| !screen.alternate_screen() && !screen.hide_cursor()).await;
    // Who types before the program has ended types for the program.
    shell.until("the prompt", |screen| screen.contents().trim_end().lines().last().map(str::trim) == Some("$")).await;
    shell.press("exit\n").await;
    assert_eq!(shell.end().await, 0);
}

#[tokio::test]
async fn a_queue_is_paused_and_resumed_from_top_when_the_question_is_answered() {
    let desk = Desk::with_queue().await;
    desk.ok(&["queues", "create", "mail"]).await;
    let mut top = Terminal::open(&desk, &["top"], NORMAL, &[]);
    top.shows("mail").await;
    top.press("jp").await;
    top.shows("pause mail? y").await;
    top.press("n").await;
    top.hides("pause mail?").await;
    let paused = async || desk.run(&["queues", "show", "mail", "--json"]).await.json();
    assert_eq!(paused().await["paused"], false);
    top.press("p").await;
    top.shows("pause mail? y").await;
    top.press("y").await;
    top.until("it says so", |screen| line(screen, "mail").is_some_and(|l| l.contains("paused"))).await;
    assert_eq!((&paused().await["paused"], &paused().await["paused_by"]), (&true.into(), &"ann".into()));
    top.press("p").await;
    top.shows("resume mail? y").await;
    top.press("y").await;
    top.until("it goes on", |screen| line(screen, "mail").is_some_and(|l| !l.contains("paused"))).await;
    assert_eq!(paused().await["paused"], false);
}

#[tokio::test]
async fn top_filters_sorts_helps_and_holds() {
    let desk = Desk::with_queue().await;
    for queue in ["mail", "video"] {
        desk.ok(&["queues", "create", queue]).await;
    }
    desk.ok(&["enqueue", "cut", "--queue", "video"]).await;
    let mut top = Terminal::open(&desk, &["top"], NORMAL, &[("NO_COLOR", "1")]);
    top.shows("video").await;
    top.press("/MAI\r").await;
    top.hides("video").await;
    top.shows("filter: MAI").await;
    top.press("\u{1b}").await;
    top.shows("video").await;
    top.press("s").await;
    top.shows("sort: ready").await;
    top.until("video is first", |screen| row(screen, "video") < row(screen, "default")).await;
    top.press("?").await;
    top.shows("pause or resume the queue").await;
    top.press("x").await;
    top.shows("video").await;
    top.press(" ").await;
    top.shows("OLD (held)").await;
    top.press(" ").await;
    top.hides("OLD (held)").await;
    assert!(!top.raw().contains("\u{1b}[33m") && !top.raw().contains("\u{1b}[38;5;"), "colours, and NO_COLOR is set");
}

#[tokio::test]
async fn top_fits_into_any_terminal() {
    let desk = Desk::with_queue().await;
    claim(&desk, "w").await;
    let mut top = Terminal::open(&desk, &["top"], NORMAL, &[]);
    top.shows("default").await;
    for (rows, columns) in [(1, 1), (2, 3), (3, 20), (5, 200), (24, 80)] {
        top.resize(rows, columns);
        // Help, a filter and its end, a question and its answer, the workers, held and not.
        for keys in ["?", "x", "/a\r", "/\u{7f}\r", "p", "n", "\t", "jk", "\t", " ", " "] {
            top.press(keys).await;
        }
        // Of three lines none is left for a queue, once the question about one is answered.
        if columns >= 20 {
            top.shows(if rows > 3 { "default" } else { "QUEUE" }).await;
        }
    }
    top.shows("? help").await;
    top.press("q").await;
    assert_eq!(top.end().await, 0, "{}", top.text());
}

#[tokio::test]
async fn a_key_that_is_pressed_while_the_size_changes_is_heard() {
    let desk = Desk::with_queue().await;
    let mut top = Terminal::open(&desk, &["top"], NORMAL, &[]);
    top.shows("? help").await;
    // Both come in one look of the program's at what is new, or one after the other: that is for the machine to choose, so often.
    for columns in (60..80).cycle().take(400) {
        top.resize(24, columns);
        top.press("?").await;
        top.hides("? help").await;
        top.press("x").await;
        top.shows("? help").await;
    }
}

#[tokio::test]
async fn a_hostile_name_steers_neither_top_nor_tail_nor_watch() {
    let desk = Desk::with_queue().await;
    let howdah = desk.howdah().await;
    let enqueue = "SELECT howdah.enqueue($1)";
    sqlx::query(enqueue).bind(TURNING).execute(howdah.pool()).await.unwrap();
    desk.ok(&["queues", "pause", "default", "--reason", HOSTILE]).await;
    let plain = [("NO_COLOR", "1")];
    let watch = Terminal::open(&desk, &["queues", "ls", "--watch=1"], (40, 300), &plain);
    let jobs = Terminal::open(&desk, &["jobs", "ls", "--watch=1"], (40, 300), &plain);
    let json = Terminal::open(&desk, &["jobs", "ls", "--json"], (40, 300), &plain);
    let tail = Terminal::open(&desk, &["tail"], (40, 300), &plain);
    watch.shows(HARMLESS).await;
    jobs.shows("x\\u{202e}y").await;
    json.shows("x\\u202ey").await;
    tail.shows("following").await;
    desk.ok(&["queues", "resume", "default"]).await;
    let claimed = claim(&desk, HOSTILE).await;
    let top = Terminal::open(&desk, &["top"], (40, 300), &plain);
    top.shows(HARMLESS).await;
    tail.shows("began").await;
    sql(&desk, FAIL, claimed[0].0, claimed[0].1).await;
    tail.shows("Bad: no\\u{1b}[31m paper").await;
    assert!(tail.text().contains("x\\u{202e}y"), "{}", tail.text());
    for terminal in [&watch, &jobs, &json, &tail, &top] {
        assert_eq!(steered(terminal), None, "{:?}", terminal.raw());
    }
}

#[tokio::test]
async fn watch_draws_in_place_on_a_terminal_and_prints_anew_elsewhere() {
    let desk = Desk::with_queue().await;
    let mut watch = Terminal::open(&desk, &["queues", "ls", "--watch=1"], NORMAL, &[]);
    watch.shows("default").await;
    desk.ok(&["enqueue", "letter"]).await;
    watch.until("the count", |screen| line(screen, "default").is_some_and(|l| l.contains(" 1 "))).await;
    assert_eq!(watch.text().matches("default").count(), 1, "{}", watch.text());
    // A terminal with fewer lines than there is to show.
    for queue in ["a", "b", "c", "d", "e", "f"] {
        desk.ok(&["queues", "create", queue]).await;
    }
    watch.resize(5, 80);
    watch.shows("more lines").await;
    watch.press("\u{3}").await;
    assert_eq!(watch.end().await, 130);

    let mut pipe = desk.command(&["queues", "ls", "--watch=1", "--json"]).spawn().unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(pipe.stdout.take().unwrap()));
    for _ in 0..2 {
        let line = lines.next_line().await.unwrap().unwrap();
        let rows: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), 7, "{rows}");
    }
    let wrong = desk.run(&["queues", "ls", "--watch=0"]).await;
    assert!(wrong.code == 2 && wrong.err.contains("--watch"), "{wrong:?}");
    assert_eq!(desk.run(&["queues", "show", "nope", "--watch"]).await.code, 1);
}

#[tokio::test]
async fn tail_tells_every_event_once_as_lines_and_as_json() {
    let desk = Desk::with_queue().await;
    let mut tail = desk.command(&["tail", "--json", "--count", "4"]).spawn().unwrap();
    let mails = desk.command(&["tail", "kind:mail", "--event", "completed", "--count", "1"]).spawn().unwrap();
    // Whoever follows has begun to when it has asked once.
    let howdah = desk.howdah().await;
    let asked = "SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'howdah' AND query LIKE '%COMMIT%'";
    loop {
        if sqlx::query_scalar::<_, bool>(asked).fetch_one(howdah.pool()).await.unwrap() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let letter = desk.ok(&["enqueue", "letter"]).await;
    let mail = desk.ok(&["enqueue", "mail"]).await;
    let claimed = claim(&desk, "w").await;
    assert_eq!(claimed.len(), 2);
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(tail.stdout.take().unwrap()));
    let mut told = Vec::new();
    for _ in 0..2 {
        let line = lines.next_line().await.unwrap().unwrap();
        told.push(serde_json::from_str::<serde_json::Value>(&line).unwrap());
    }
    let told: Vec<_> = told.iter().map(|e| (e["event"].as_str().unwrap(), e["id"].to_string())).collect();
    assert_eq!(told, [("began", letter.trim().to_owned()), ("began", mail.trim().to_owned())]);
    sql(&desk, FAIL, claimed[0].0, claimed[0].1).await;
    sql(&desk, COMPLETE, claimed[1].0, claimed[1].1).await;
    let failed: serde_json::Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(
        (&failed["event"], &failed["kind"], &failed["error_kind"]),
        (&"failed".into(), &"letter".into(), &"Bad".into())
    );
    let done: serde_json::Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!((&done["event"], &done["run_ms"], &done["queue"]), (&"completed".into(), &42.into(), &"default".into()));
    assert!(tail.wait().await.unwrap().success());
    assert_eq!(lines.next_line().await.unwrap(), None);
    let said = String::from_utf8(mails.wait_with_output().await.unwrap().stdout).unwrap();
    let cells: Vec<&str> = said.trim_end().split('\t').collect();
    assert_eq!(cells[1..], ["completed", mail.trim(), "default", "mail", "1", "42"], "{said:?}");
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_asked_with_a_count_and_shows_how_far_it_is() {
    let desk = Desk::with_queue().await;
    for _ in 0..3 {
        let id = desk.ok(&["enqueue", "k"]).await;
        desk.ok(&["jobs", "cancel", id.trim()]).await;
    }
    let purge = ["purge", "cancelled", "--older-than", "0s"];
    let dry = desk.ok(&[&purge[..], &["--dry-run"]].concat()).await;
    assert_eq!(dry, "3 jobs would be removed\n");
    let refused = desk.run(&purge).await;
    assert!(refused.code == 2 && refused.err.contains("--yes"), "{refused:?}");
    let mut no = Terminal::open(&desk, &purge, NORMAL, &[]);
    no.shows("3 cancelled jobs will be removed for good. Go on? [y/N]").await;
    no.press("\r").await;
    assert_eq!(no.end().await, 1);
    assert_eq!(desk.ok(&["jobs", "ls"]).await.lines().count(), 3);
    let mut yes = Terminal::open(&desk, &purge, NORMAL, &[]);
    yes.shows("[y/N]").await;
    yes.press("y\r").await;
    assert_eq!(yes.end().await, 0);
    assert_eq!(desk.ok(&["jobs", "ls"]).await, "");

    for _ in 0..3 {
        desk.ok(&["enqueue", "k"]).await;
    }
    let cancel = ["operations", "start", "cancel", "kind:k"];
    let mut yes = Terminal::open(&desk, &cancel, NORMAL, &[]);
    yes.shows("3 jobs are meant: cancel. Go on? [y/N]").await;
    yes.press("y\r").await;
    assert_eq!(yes.end().await, 0);
    yes.shows("3 of 3 jobs: cancel").await;
    assert!(yes.raw().contains(" of 3 jobs done, "), "no progress: {:?}", yes.raw());
    desk.ok(&["enqueue", "k"]).await;
    let piped = desk.run(&[&cancel[..], &["--yes"]].concat()).await;
    assert!(piped.code == 0 && piped.err.is_empty(), "{piped:?}");
}

#[tokio::test]
async fn a_mistyped_name_is_told_what_was_meant() {
    let desk = Desk::with_queue().await;
    desk.ok(&["queues", "create", "newsletters"]).await;
    for command in [
        &["queues", "pause", "newsleters"][..],
        &["queues", "show", "Newsletters"],
        &["enqueue", "k", "--queue", "newsltters"],
    ] {
        let said = desk.run(command).await;
        assert!(said.code == 1 && said.err.contains("hint: did you mean newsletters?"), "{command:?}: {said:?}");
    }
    let far = desk.run(&["queues", "pause", "x"]).await;
    assert!(far.err.contains("hint: create it"), "{far:?}");
    desk.ok(&["enqueue", "send_mail"]).await;
    let mut jobs = Terminal::open(&desk, &["jobs", "ls", "--kind", "send_mial"], NORMAL, &[]);
    jobs.shows("no such jobs; did you mean --kind send_mail?").await;
    assert_eq!(jobs.end().await, 0);
}

/// The line of the screen that begins with a text.
fn line(screen: &vt100::Screen, begins: &str) -> Option<String> {
    let contents = screen.contents();
    contents.lines().find(|line| line.trim_start().starts_with(begins)).map(str::to_owned)
}

fn row(screen: &vt100::Screen, begins: &str) -> Option<usize> {
    screen.contents().lines().position(|line| line.trim_start().starts_with(begins))
}
