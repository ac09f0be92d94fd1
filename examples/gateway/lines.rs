//! Where in a file its mistakes are: all of them, each with its line.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, Error};

/// A mistake, and where it is.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// The field, where the mistake is in one.
    pub(crate) field: String,
    pub(crate) reason: String,
}

impl Problem {
    /// As compilers write it.
    pub(crate) fn at(&self, path: &Path) -> String {
        let Self { line, column, field, reason } = self;
        let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
        format!("{}:{line}:{column}: {field}{reason}", path.display())
    }
}

/// One line a problem.
pub(crate) fn list(path: &Path, problems: &[Problem]) -> String {
    problems.iter().map(|problem| problem.at(path)).collect::<Vec<_>>().join("\n")
}

/// A file in TOML that is read part by part.
///
/// A value that cannot be read is taken out and the rest is read again: so that each mistake is
/// found, not only the first.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    text: &'a str,
    table: Spanned<DeTable<'a>>,
    /// The tables that were taken, for their places.
    taken: Vec<String>,
    whole: Spanned<DeTable<'a>>,
    /// The names that lead to what was taken out, and where that was.
    removed: Vec<(Vec<String>, usize)>,
    problems: Vec<Problem>,
}

/// Mistakes that are looked for.
const MOST: usize = 100;

impl<'a> Document<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let whole = table.clone();
        let mut document = Self {
            text,
            table,
            taken: Vec::new(),
            whole,
            removed: Vec::new(),
            problems: Vec::new(),
        };
        for error in errors.iter().take(MOST) {
            document.failed(error);
        }
        document
    }

    /// Whether there is a table of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.whole.get_ref().contains_key(name)
    }

    /// Takes a table of the top level; `None` where there is none, or none that can be read.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.table.get_mut().remove(name)?;
        self.taken.push(name.to_owned());
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else {
            self.problem(span.start, name.to_owned(), "expected a table".to_owned());
            return None;
        };
        self.read(&mut Spanned::new(span, table))
    }

    /// Reads what has not been taken.
    pub(crate) fn rest<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut table = self.table.clone();
        let read = self.read(&mut table);
        // Positions in lists are now those of what was read.
        self.table = table;
        read
    }

    /// Reports what is wrong with a field, given as a path: `routes[2].next-hops`. What only
    /// follows from a value that was taken out is not told.
    pub(crate) fn report(&mut self, field: String, reason: String) {
        let table = if self.taken.contains(&field) { &self.whole } else { &self.table };
        let (at, end) = place(table, &field);
        let names = field.split('.').map(|part| part.split('[').next().unwrap_or(part));
        let names: Vec<&str> = names.collect();
        let follows = |(path, place): &(Vec<String>, usize)| {
            let same = path.len() >= names.len() && path.iter().zip(&names).all(|(a, b)| a == b);
            same && (at..end).contains(place)
        };
        if self.removed.iter().any(follows) {
            return;
        }
        self.problem(at, field, reason);
    }

    /// Every problem, in the order of the lines.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems
    }

    fn read<T: DeserializeOwned>(&mut self, table: &mut Spanned<DeTable<'a>>) -> Option<T> {
        let mut gone: Option<String> = None;
        for _ in 0..MOST {
            let error = match T::deserialize(Deserializer::from(table.clone())) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            // What was taken out is missed next: that is no mistake of its own.
            let missed = gone.as_ref().map(|name| format!("missing field `{name}`"));
            if missed.as_deref() != Some(error.message().trim_end()) {
                self.failed(&error);
            }
            let at = error.span().map_or(0, |span| span.start);
            let mut path = Vec::new();
            if !remove(table.get_mut(), at, &mut path) {
                return None;
            }
            gone = path.last().cloned();
            self.removed.push((path, at));
        }
        None
    }

    fn failed(&mut self, error: &Error) {
        let at = error.span().map_or(0, |span| span.start);
        self.problem(at, String::new(), error.message().trim_end().replace('\n', " "));
    }

    fn problem(&mut self, at: usize, field: String, reason: String) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.problems.push(Problem { line, column, field, reason });
    }
}

/// Takes out the innermost entry that the offset is in, and gives the names that led there. False
/// when it is in none.
fn remove(table: &mut DeTable<'_>, at: usize, path: &mut Vec<String>) -> bool {
    let covers = |key: &Spanned<_>, value: &Spanned<DeValue<'_>>| {
        key.span().contains(&at) || within(value, at)
    };
    let found = table.iter().find(|(key, value)| covers(key, value));
    let Some(name) = found.map(|(key, _)| key.get_ref().to_string()) else { return false };
    path.push(name.clone());
    let key_itself =
        table.get_key_value(name.as_str()).is_some_and(|(key, _)| key.span().contains(&at));
    let inside = !key_itself
        && table.get_mut(name.as_str()).is_some_and(|value| remove_from(value.get_mut(), at, path));
    inside || table.remove(name.as_str()).is_some()
}

fn remove_from(value: &mut DeValue<'_>, at: usize, path: &mut Vec<String>) -> bool {
    match value {
        DeValue::Table(table) => remove(table, at, path),
        DeValue::Array(list) => {
            let Some(index) = list.iter().position(|item| within(item, at)) else { return false };
            let inside =
                list.get_mut(index).is_some_and(|item| remove_from(item.get_mut(), at, path));
            if !inside {
                let items = core::mem::replace(list, core::iter::empty().collect());
                let kept = items.into_iter().enumerate().filter(|(at, _)| *at != index);
                *list = kept.map(|(_, item)| item).collect();
            }
            true
        }
        _ => false,
    }
}

/// Whether a value, or anything in it, is at the offset: tables of several headers are in several
/// places.
fn within(value: &Spanned<DeValue<'_>>, at: usize) -> bool {
    let inside = match value.get_ref() {
        DeValue::Table(table) => {
            table.iter().any(|(key, value)| key.span().contains(&at) || within(value, at))
        }
        DeValue::Array(list) => list.iter().any(|item| within(item, at)),
        _ => false,
    };
    inside || value.span().contains(&at)
}

/// Where a field begins and ends, or the nearest table around it that there is.
fn place(table: &Spanned<DeTable<'_>>, field: &str) -> (usize, usize) {
    let (mut at, mut end) = (0, usize::MAX);
    let mut table = Some(table.get_ref());
    for part in field.split('.') {
        let (name, index) = match part.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        let Some((key, mut value)) = table.and_then(|table| table.get_key_value(name)) else {
            return (at, end);
        };
        at = key.span().start;
        let list = value.get_ref().as_array();
        if let Some((list, index)) = list.zip(index)
            && let Some(item) = list.get(index)
        {
            at = item.span().start;
            end = list.get(index + 1).map_or(usize::MAX, |next| next.span().start);
            value = item;
        } else if !value.get_ref().is_table() {
            end = value.span().end;
        }
        table = value.get_ref().as_table();
    }
    (at, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use linkspan_gateway::Config;

    const FILE: &str = r#"name = "gw.example.test"
max-video-kbits = 2

[lync]
media-address = "192.0.2.80"
encryption = "maybe"
first-port = 50001
last-port = 50001

[[routes]]
domain = "*example.test"
to = "standard"

[[routes]]
domain = "example.test"
to = "lync"
next-hops = ["tls:fe01.example.test", "fe02"]

[[routes]]
domain = "other.example.test"
to = "lync"
"#;

    #[test]
    fn every_mistake_has_its_line() {
        let mut document = Document::parse(FILE);
        let config: Config = document.rest().unwrap();
        for problem in config.check().unwrap_err().problems {
            document.report(problem.field, problem.reason.to_owned());
        }
        let lines: Vec<_> = document
            .into_problems()
            .into_iter()
            .map(|problem| (problem.line, problem.field))
            .collect();
        let found: Vec<_> = lines.iter().map(|(line, field)| (*line, field.as_str())).collect();
        let expected = [
            (2, ""),
            (6, ""),
            (7, "lync.first-port"),
            (11, ""),
            (17, ""),
            (19, "routes[1].next-hops"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn mistakes_of_the_grammar_are_found_together() {
        let text = "name = \nproduct = \"a\"\nproduct = \"b\"\n[lync\nvideo = true\n";
        let problems = Document::parse(text).into_problems();
        assert!(problems.len() >= 2, "{problems:?}");
        assert_eq!(problems[0].line, 1);
    }
}
