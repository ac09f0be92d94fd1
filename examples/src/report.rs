//! What the programs print: text for people or one JSON object a line for scripts, through one
//! locked writer.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// Where a program's output goes, shared by all of its tasks.
///
/// ```
/// use linkspan_examples::{Report, Style};
///
/// let report = Report::stdout(Style::Text);
/// report.text("a line for people");
/// report.json(&serde_json::json!({"event": "left out in this style"}));
/// ```
#[derive(Clone)]
pub struct Report {
    style: Style,
    out: Arc<Mutex<Box<dyn Write + Send>>>,
}

impl core::fmt::Debug for Report {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Report").field("style", &self.style).finish_non_exhaustive()
    }
}

impl Report {
    /// A report on standard output.
    pub fn stdout(style: Style) -> Self {
        Self::new(style, Box::new(io::stdout()))
    }

    /// A report into any writer.
    pub fn new(style: Style, out: Box<dyn Write + Send>) -> Self {
        Self { style, out: Arc::new(Mutex::new(out)) }
    }

    /// Which of the two styles is printed.
    pub fn style(&self) -> Style {
        self.style
    }

    /// One line in the style for people.
    pub fn text(&self, line: impl AsRef<str>) {
        if self.style == Style::Text {
            self.line(line.as_ref());
        }
    }

    /// One line in the style for scripts.
    pub fn json(&self, value: &Value) {
        if self.style == Style::Json {
            self.line(&value.to_string());
        }
    }

    fn line(&self, line: &str) {
        // A reader that went away (`| head`) is no reason to stop a call.
        if let Ok(mut out) = self.out.lock() {
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }
}

/// Text for people or JSON lines for scripts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Style {
    /// What `--json` on a command line chooses.
    pub fn from_flag(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// Columns of text, as wide as their widest cell.
///
/// ```
/// use linkspan_examples::Table;
///
/// let mut table = Table::new(&["codec", "packets"]);
/// table.row(["PCMU".into(), "160".into()]);
/// assert_eq!(table.lines(), ["codec  packets", "PCMU   160"]);
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a heading.
    pub fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table, line by line.
    pub fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}
