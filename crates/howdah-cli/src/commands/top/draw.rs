//! The picture: a head, queues, workers, and a line of what can be done.
//!
//! Invariant: every text that comes from the database is made harmless first; what a colour says, a word says too; any size will
//! do. Limit: where there is little room, columns go, the least important first.

use std::time::{Duration, SystemTime};

use howdah_admin::{Overview, QueueLine, WorkerLine};
use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Clear, Paragraph, Row, Table, TableState};

use super::state::{Mode, Pane, State};
use crate::duration::told;
use crate::output::escaped;

/// What can be pressed.
const HELP: [&str; 10] = [
    "up down, j k    select",
    "tab             queues or workers",
    "s, S            sort by the next column, the other way round",
    "/               show only names with a text in them; esc: all",
    "p               pause or resume the queue (asks)",
    "space           hold the screen, and ask the database nothing",
    "g, G            to the first, the last",
    "ctrl-z          stop, until fg",
    "q, esc          quit",
    "any key         end this help",
];

/// A column: what is over it, how wide it is, and how important: 0 is always there.
struct Column {
    title: &'static str,
    width: u16,
    rank: u8,
}

const QUEUES: [Column; 10] = [
    Column { title: "QUEUE", width: 14, rank: 0 },
    Column { title: "READY", width: 7, rank: 0 },
    Column { title: "OLDEST", width: 7, rank: 1 },
    Column { title: "RUNNING", width: 7, rank: 1 },
    Column { title: "DONE/S", width: 7, rank: 3 },
    Column { title: "FAIL/S", width: 7, rank: 2 },
    Column { title: "LATER", width: 7, rank: 4 },
    Column { title: "BLOCKED", width: 7, rank: 6 },
    Column { title: "DEAD", width: 7, rank: 5 },
    Column { title: "STATE", width: 7, rank: 1 },
];

const WORKERS: [Column; 7] = [
    Column { title: "WORKER", width: 14, rank: 0 },
    Column { title: "ID", width: 7, rank: 3 },
    Column { title: "RUNNING", width: 7, rank: 0 },
    Column { title: "HEARD", width: 7, rank: 1 },
    Column { title: "UP", width: 7, rank: 4 },
    Column { title: "STATE", width: 16, rank: 2 },
    Column { title: "QUEUES", width: 10, rank: 5 },
];

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    let workers = u16::try_from(state.workers().len()).unwrap_or(u16::MAX).saturating_add(1);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Max(workers.min(area.height / 3)),
        Constraint::Length(1),
    ]);
    let [head, queues, below, foot] = rows.areas(area);
    frame.render_widget(Paragraph::new(head_line(state)), head);
    draw_queues(frame, queues, state);
    draw_workers(frame, below, state);
    frame.render_widget(Paragraph::new(foot_line(state)), foot);
    if state.mode == Mode::Help {
        draw_help(frame, area);
    }
}

/// What there is in all, and how old it is.
fn head_line(state: &State) -> Line<'static> {
    let Some(overview) = state.overview() else { return Line::from("howdah top") };
    let sum = |count: fn(&QueueLine) -> i64| overview.queues.iter().map(count).sum::<i64>();
    let at = Timestamp::try_from(overview.at).map(|at| at.strftime("%H:%M:%S").to_string()).unwrap_or_default();
    let mut spans = Vec::new();
    if let Some((age, why)) = state.staleness() {
        let text = format!("{} OLD ({}) ", told(age), escaped(why));
        spans.push(Span::styled(text, style(state, Color::Yellow).add_modifier(Modifier::BOLD)));
    }
    spans.push(Span::raw(format!(
        "howdah {at} UTC  {} ready, {} running, {} dead, {}/s done, {}/s failed, {} workers",
        number(sum(|q| q.ready)),
        number(sum(|q| q.running)),
        number(sum(|q| q.dead)),
        rate(sum(|q| q.completed)),
        rate(sum(|q| q.failed)),
        overview.workers.len(),
    )));
    Line::from(spans)
}

/// What was said, what is asked, or what can be pressed.
fn foot_line(state: &State) -> Line<'static> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    match &state.mode {
        Mode::Filter => Line::styled(format!("filter: {}_  (enter, esc)", escaped(&state.filter)), bold),
        Mode::Ask(queue, true) => Line::styled(format!("pause {}? y: yes, any other key: no", escaped(queue)), bold),
        Mode::Ask(queue, false) => Line::styled(format!("resume {}? y: yes, any other key: no", escaped(queue)), bold),
        _ if !state.said.is_empty() => Line::styled(escaped(&state.said), bold),
        _ => {
            let way = if state.is_reversed() { ", reversed" } else { "" };
            let filter =
                if state.filter.is_empty() { String::new() } else { format!("  filter: {}", escaped(&state.filter)) };
            Line::from(format!("? help  q quit  p pause  / filter  s sort: {}{way}{filter}", state.sort.name()))
        }
    }
}

fn draw_queues(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let now = state.overview().map_or_else(SystemTime::now, |overview: &Overview| overview.at);
    let queues = state.queues();
    if queues.is_empty() {
        let text = if state.filter.is_empty() { "no queues" } else { "no queue has this text in its name" };
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    let rows = queues.iter().map(|queue| queue_cells(queue, now, state)).collect();
    let selected = (state.pane == Pane::Queues).then(|| state.selected()).flatten();
    table(frame, area, &QUEUES, rows, selected);
}

fn queue_cells(queue: &QueueLine, now: SystemTime, state: &State) -> Vec<(String, Style)> {
    let plain = Style::new();
    let age = queue.oldest_ready_at.map(|at| since(at, now)).unwrap_or_default();
    let (word, color) = if queue.paused { ("paused", Color::Yellow) } else { ("", Color::Reset) };
    let failed = if queue.failed > 0 { style(state, Color::Red) } else { plain };
    vec![
        (escaped(&queue.name), plain),
        (number(queue.ready), plain),
        (age, plain),
        (number(queue.running), plain),
        (rate(queue.completed), plain),
        (rate(queue.failed), failed),
        (number(queue.scheduled), plain),
        (number(queue.blocked), plain),
        (number(queue.dead), plain),
        (word.to_owned(), style(state, color)),
    ]
}

fn draw_workers(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let now = state.overview().map_or_else(SystemTime::now, |overview| overview.at);
    let workers = state.workers();
    if workers.is_empty() {
        frame.render_widget(Paragraph::new("no workers"), area);
        return;
    }
    let rows = workers.iter().map(|worker| worker_cells(worker, now)).collect();
    let selected = (state.pane == Pane::Workers).then(|| state.selected()).flatten();
    table(frame, area, &WORKERS, rows, selected);
}

fn worker_cells(worker: &WorkerLine, now: SystemTime) -> Vec<(String, Style)> {
    let words = [(worker.keeper, "keeper"), (worker.asleep, "asleep"), (worker.stopping, "stopping")];
    let words: Vec<&str> = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    let texts = [
        escaped(&worker.name),
        worker.id.to_string(),
        number(worker.running),
        since(worker.heartbeat_at, now),
        since(worker.started_at, now),
        words.join(", "),
        escaped(&worker.queues.join(", ")),
    ];
    texts.into_iter().map(|text| (text, Style::new())).collect()
}

/// A table with as many columns as there is room for; the first and the last one take what is left.
fn table(
    frame: &mut Frame<'_>,
    area: Rect,
    columns: &[Column],
    rows: Vec<Vec<(String, Style)>>,
    selected: Option<usize>,
) {
    let room = |most: u8| columns.iter().filter(|c| c.rank <= most).map(|c| c.width + 1).sum::<u16>();
    let most = (0..=9).rev().find(|most| room(*most) <= area.width.saturating_add(1)).unwrap_or(0);
    let shown = |at: &usize| columns[*at].rank <= most;
    let indexes: Vec<usize> = (0..columns.len()).filter(shown).collect();
    let widths = indexes.iter().map(|at| match *at {
        0 => Constraint::Fill(2),
        at if columns[at].title == "QUEUES" => Constraint::Fill(1),
        at => Constraint::Length(columns[at].width),
    });
    let is_text = |at: usize| matches!(columns[at].title, "QUEUE" | "WORKER" | "STATE" | "QUEUES");
    let aligned = |at: usize, text: String| {
        Line::from(text).alignment(if is_text(at) { Alignment::Left } else { Alignment::Right })
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let head = Row::new(indexes.iter().map(|at| aligned(*at, columns[*at].title.to_owned()))).style(bold);
    let rows = rows.into_iter().map(|cells| {
        let kept = cells.into_iter().enumerate().filter(|(at, _)| shown(at));
        Row::new(kept.map(|(at, (text, style))| Cell::new(aligned(at, text)).style(style)))
    });
    let table = Table::new(rows, widths)
        .header(head)
        .column_spacing(1)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(selected));
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(HELP.map(Line::from).to_vec()), area);
}

fn style(state: &State, color: Color) -> Style {
    if state.colors { Style::new().fg(color) } else { Style::new() }
}

fn since(at: SystemTime, now: SystemTime) -> String {
    told(now.duration_since(at).unwrap_or(Duration::ZERO))
}

/// A count in at most seven places.
fn number(count: i64) -> String {
    match count {
        ..=0 => "-".to_owned(),
        1..10_000_000 => count.to_string(),
        10_000_000..10_000_000_000 => format!("{}M", count / 1_000_000),
        _ => format!("{}G", count / 1_000_000_000),
    }
}

/// How many a second, of what has happened in the last [`Overview::SPAN`].
fn rate(count: i64) -> String {
    let tenths = count.saturating_mul(10) / i64::try_from(Overview::SPAN.as_secs().max(1)).unwrap_or(1);
    match tenths {
        ..=0 => "-".to_owned(),
        1..100 => format!("{}.{}", tenths / 10, tenths % 10),
        _ => number(tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;

    fn drawn(state: &State, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        terminal.backend().to_string()
    }

    fn full() -> State {
        let queue = json!({ "name": "mail", "ready": 12_345_678, "running": 3, "scheduled": 0, "blocked": 0, "dead": 7,
            "oldest_ready_at": 0, "paused": true, "paused_by": "ann", "pause_reason": null, "completed": 25, "failed": 1 });
        let worker = json!({ "id": 1, "name": "w\u{1b}[2J", "version": null, "queues": ["mail"], "running": 3, "started_at": 0,
            "heartbeat_at": 60_000_000, "keeper": true, "asleep": false, "stopping": true });
        let overview = json!({ "at": 62_000_000, "queues": [queue], "workers": [worker] });
        let mut state = State::new(true);
        state.see(Ok(serde_json::from_value::<Overview>(overview).unwrap()));
        state
    }

    #[test]
    fn every_size_can_be_drawn() {
        let mut state = full();
        for mode in [Mode::Look, Mode::Filter, Mode::Ask("mail".to_owned(), true), Mode::Help] {
            state.mode = mode;
            for width in [1, 2, 3, 7, 15, 20, 33, 80, 300] {
                for height in [1, 2, 3, 4, 6, 11] {
                    drawn(&state, width, height);
                }
            }
        }
    }

    #[test]
    fn a_screen_of_eighty_columns_says_what_matters() {
        let text = drawn(&full(), 80, 24);
        for told in ["12M", "62 s", "2.5", "0.1", "paused", "keeper, stopping", "w\\u{1b}[2J", "2 s"] {
            assert!(text.contains(told), "{told} is not in\n{text}");
        }
        let narrow = drawn(&full(), 24, 10);
        assert!(narrow.contains("mail") && narrow.contains("12M"), "{narrow}");
    }

    #[test]
    fn numbers_fit_into_their_columns() {
        for count in [0, 9_999_999, 10_000_000, 9_999_999_999, 10_000_000_000, 999_999_000_000_000] {
            assert!(number(count).len() <= 7, "{}", number(count));
        }
        assert_eq!(
            (rate(0).as_str(), rate(1).as_str(), rate(99).as_str(), rate(100).as_str()),
            ("-", "0.1", "9.9", "10")
        );
    }
}
