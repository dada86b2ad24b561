//! What goes to standard output: tables for a person, tab-separated lines for a pipe, JSON for a program.
//!
//! Invariant: a value reaches a terminal without control characters, and JSON leaves as the server wrote it.
//! Limit: rows are held in memory; lists are limited by their commands.

mod cell;
mod color;
mod fields;
mod json;

use std::io::{self, IsTerminal, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

pub(crate) use cell::{cut, escaped, printable};
pub(crate) use color::{Paint, allowed as colors_are_allowed};
use fields::Fields;
pub(crate) use fields::UnknownField;
pub(crate) use json::{Row, listed, member, parsed, with};

/// Below this many columns, lines run over the edge rather than being broken.
const NARROW: u16 = 60;

/// How the values of a column are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// As it is.
    Text,
    /// To the right.
    Number,
    /// As a distance from now, on a terminal.
    Time,
}

/// A column of a table, named as in the SQL view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column(pub(crate) &'static str, pub(crate) Show);

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// None: tables.
    json: Option<Fields>,
    terminal: bool,
    kept: Option<&'static Kept>,
}

/// What is kept to be drawn, in place of being printed at once.
pub(crate) type Kept = std::sync::Mutex<String>;

impl Output {
    /// To standard output, as JSON if its fields are named: none of them is all.
    pub(crate) fn new(json: Option<&str>) -> Self {
        Self { json: json.map(Fields::named), terminal: io::stdout().is_terminal(), kept: None }
    }

    /// As this one, but nothing is printed: it is kept there.
    pub(crate) fn keeping(self, kept: &'static Kept) -> Self {
        Self { kept: Some(kept), ..self }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(self) -> bool {
        self.json.is_some()
    }

    /// Whether a person reads it, and as tables.
    pub(crate) fn is_terminal(self) -> bool {
        self.terminal && !self.is_json()
    }

    /// One line of text.
    pub(crate) fn line(self, text: impl std::fmt::Display) -> io::Result<()> {
        let mut text = text.to_string();
        if let Some(fields) = self.json {
            text = fields.of(text)?;
            if self.terminal {
                // A terminal obeys some of what JSON lets through.
                text = cell::printable_json(&text);
            }
        }
        match self.kept {
            Some(kept) => keep(kept, &text),
            None => writeln!(io::stdout().lock(), "{text}")?,
        }
        Ok(())
    }

    /// What there is to say beside the data.
    pub(crate) fn aside(self, text: &str) {
        match self.kept {
            // It would be drawn over.
            Some(kept) if self.is_terminal() => keep(kept, text),
            _ => say(text),
        }
    }

    /// One JSON value on a line.
    pub(crate) fn value(self, value: &Value) -> io::Result<()> {
        self.line(value)
    }

    /// The one thing that was asked for, as text or as JSON.
    pub(crate) fn answer(self, json: &Value, text: impl std::fmt::Display) -> io::Result<()> {
        if self.is_json() { self.value(json) } else { self.line(text) }
    }

    /// Rows: the texts of JSON objects.
    pub(crate) fn rows(self, columns: &[Column], rows: &[String]) -> io::Result<()> {
        if self.is_json() {
            return self.line(listed(rows));
        }
        let rows: Vec<Row> = rows.iter().map(|text| parsed(text)).collect::<io::Result<_>>()?;
        if self.terminal { self.table(columns, &rows) } else { self.tabbed(columns, &rows) }
    }

    /// Tab-separated, without a header, as other programs read it.
    fn tabbed(self, columns: &[Column], rows: &[Row]) -> io::Result<()> {
        let lines: Vec<String> = rows
            .iter()
            .map(|row| columns.iter().map(|c| cell::plain(row.get(c.0))).collect::<Vec<_>>().join("\t"))
            .collect();
        if lines.is_empty() { Ok(()) } else { self.line(lines.join("\n")) }
    }

    fn table(self, columns: &[Column], rows: &[Row]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        // Some terminals say that they are no wider than nothing.
        if table.width().is_some_and(|width| width >= NARROW) {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        // A column in which nothing is takes the room of others.
        let is_there = |c: &Column| rows.iter().any(|row| !cell::shown(*c, row.get(c.0)).is_empty());
        let columns: Vec<Column> =
            columns.iter().enumerate().filter(|(at, c)| *at == 0 || is_there(c)).map(|(_, c)| *c).collect();
        table.set_header(columns.iter().map(|c| c.0.to_uppercase()));
        for row in rows {
            table.add_row(columns.iter().map(|c| cell::shown(*c, row.get(c.0))));
        }
        for (column, of) in table.column_iter_mut().zip(&columns) {
            if of.1 == Show::Number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.line(table.trim_fmt())
    }

    /// One row, a line for each of its columns that has a value.
    pub(crate) fn fields(self, columns: &[Column], row: &Row) -> io::Result<()> {
        let width = columns.iter().map(|c| c.0.len()).max().unwrap_or(0);
        for column in columns {
            let value = row.get(column.0).filter(|v| !v.is_null());
            match (value, self.terminal) {
                (None, _) => {}
                (Some(v), true) => self.line(format_args!("{:width$}  {}", column.0, cell::shown(*column, Some(v))))?,
                (Some(v), false) => self.line(format_args!("{}\t{}", column.0, cell::plain(Some(v))))?,
            }
        }
        Ok(())
    }

    /// A heading between two tables of a person.
    pub(crate) fn heading(self, text: &str) -> io::Result<()> {
        if self.is_terminal() { self.line(format_args!("\n{text}")) } else { Ok(()) }
    }

    /// What there is to say to a person who looks at nothing.
    pub(crate) fn nothing(self, text: &str) {
        match self.kept {
            _ if !self.is_terminal() => {}
            Some(kept) => keep(kept, text),
            None => drop(writeln!(io::stderr(), "{text}")),
        }
    }
}

/// Says something to whoever started this, who may have gone: that is no reason to leave what runs, as `eprintln!` would.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "howdah: {text}");
}

fn keep(kept: &Kept, text: &str) {
    let mut kept = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    kept.push_str(text);
    kept.push('\n');
}
