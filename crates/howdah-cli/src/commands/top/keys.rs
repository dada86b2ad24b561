//! What keys do.
//!
//! Invariant: nothing is changed in the database without a question that was answered with y. Limit: keys that mean nothing do nothing.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{Mode, State, Wish};

/// How much is typed into a filter at most.
const LONGEST: usize = 100;

/// What a key does, and what is to be done because of it.
pub(super) fn press(key: KeyEvent, state: &mut State) -> Option<Wish> {
    state.said.clear();
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Wish::Interrupt),
            KeyCode::Char('z') => Some(Wish::Stop),
            KeyCode::Char('l') => Some(Wish::Redraw),
            _ => None,
        };
    }
    match state.mode.clone() {
        Mode::Look => look(key.code, state),
        Mode::Filter => {
            filter(key.code, state);
            None
        }
        Mode::Ask(queue, pause) => {
            state.mode = Mode::Look;
            matches!(key.code, KeyCode::Char('y' | 'Y')).then_some(Wish::Pause(queue, pause))
        }
        Mode::Help => {
            state.mode = Mode::Look;
            None
        }
    }
}

fn look(key: KeyCode, state: &mut State) -> Option<Wish> {
    const PAGE: isize = 10;
    match key {
        KeyCode::Char('q') => return Some(Wish::Quit),
        KeyCode::Esc if state.filter.is_empty() => return Some(Wish::Quit),
        KeyCode::Esc => state.filter.clear(),
        KeyCode::Char('?' | 'h') => state.mode = Mode::Help,
        KeyCode::Char('/') => state.mode = Mode::Filter,
        KeyCode::Char('j') | KeyCode::Down => state.go(1),
        KeyCode::Char('k') | KeyCode::Up => state.go(-1),
        KeyCode::PageDown => state.go(PAGE),
        KeyCode::PageUp => state.go(-PAGE),
        KeyCode::Char('g') | KeyCode::Home => state.go(isize::MIN),
        KeyCode::Char('G') | KeyCode::End => state.go(isize::MAX),
        KeyCode::Tab | KeyCode::BackTab => state.other_pane(),
        KeyCode::Char('s') => state.next_sort(),
        KeyCode::Char('S') => state.reverse(),
        KeyCode::Char(' ') => state.hold(),
        KeyCode::Char('p') => match state.selected_queue() {
            Some(queue) => state.mode = Mode::Ask(queue.name.clone(), !queue.paused),
            None => state.say("select a queue to pause it".to_owned()),
        },
        _ => {}
    }
    None
}

fn filter(key: KeyCode, state: &mut State) {
    match key {
        KeyCode::Enter => state.mode = Mode::Look,
        KeyCode::Esc => {
            state.filter.clear();
            state.mode = Mode::Look;
        }
        KeyCode::Backspace => {
            state.filter.pop();
        }
        KeyCode::Char(c) if state.filter.chars().count() < LONGEST => state.filter.push(c),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use howdah_admin::Overview;
    use serde_json::json;

    use super::*;

    fn with_queues() -> State {
        let queue = |name: &str, paused: bool| {
            json!({ "name": name, "ready": 1, "running": 0, "scheduled": 0, "blocked": 0, "dead": 0, "oldest_ready_at": null,
                    "paused": paused, "paused_by": null, "pause_reason": null, "completed": 0, "failed": 0 })
        };
        let overview =
            json!({ "at": 0, "queues": [queue("a", false), queue("b", true), queue("c", false)], "workers": [] });
        let mut state = State::new(false);
        state.see(Ok(serde_json::from_value::<Overview>(overview).unwrap()));
        state
    }

    /// What the keys ask for, one after the other.
    fn typed(state: &mut State, keys: &str) -> Vec<Wish> {
        let key = |c: char| match c {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\u{1b}' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        keys.chars().filter_map(|c| press(KeyEvent::new(key(c), KeyModifiers::NONE), state)).collect()
    }

    #[test]
    fn nothing_is_changed_without_a_yes() {
        let mut state = with_queues();
        for keys in ["pn", "p\n", "p\u{1b}", "pp", "p ", "\tp\t", "/y\n\u{1b}", "yY"] {
            assert_eq!(typed(&mut state, keys), Vec::<Wish>::new(), "{keys:?}");
        }
        assert_eq!(typed(&mut state, "py"), [Wish::Pause("a".to_owned(), true)]);
        assert_eq!(typed(&mut state, "jpy"), [Wish::Pause("b".to_owned(), false)]);
    }

    #[test]
    fn the_selection_stays_with_its_queue_and_on_the_list() {
        let mut state = with_queues();
        typed(&mut state, "jjjj");
        assert_eq!(state.selected_queue().unwrap().name, "c");
        typed(&mut state, "S");
        assert_eq!((state.selected(), state.selected_queue().unwrap().name.as_str()), (Some(0), "c"));
        typed(&mut state, "/b\n");
        assert_eq!(state.selected_queue().unwrap().name, "b", "c is not on the list");
        typed(&mut state, "\u{1b}g");
        assert_eq!(state.selected_queue().unwrap().name, "c");
        assert_eq!(typed(&mut state, "/zzz\njkp"), Vec::<Wish>::new());
        assert_eq!(state.selected(), None);
    }

    #[test]
    fn q_and_escape_quit_but_not_out_of_a_filter() {
        assert_eq!(typed(&mut with_queues(), "q"), [Wish::Quit]);
        assert_eq!(typed(&mut with_queues(), "\u{1b}"), [Wish::Quit]);
        assert_eq!(typed(&mut with_queues(), "/q\n?q"), Vec::<Wish>::new());
        assert_eq!(typed(&mut with_queues(), "/q\n\u{1b}\u{1b}"), [Wish::Quit]);
    }
}
