//! The call ladder in text.

use std::time::Duration;

pub(super) fn heading(parties: &[String]) -> String {
    let mut line = " ".repeat(8);
    for party in parties {
        line.push_str(&format!("  {party:<width$}", width = RUNG + 1 - 2));
    }
    line.trim_end().to_owned()
}

/// One line of the ladder: a bar for each of so many parties and an arrow between two of them.
pub(super) fn rung(
    parties: usize,
    at: Duration,
    (from, to): (usize, usize),
    text: &str,
    note: &str,
) -> String {
    let (left, right) = (from.min(to), from.max(to));
    let mut line = format!("{:8.3}  ", at.as_secs_f64());
    let last = parties.saturating_sub(1);
    let mut column = 0;
    while column < last {
        line.push('|');
        if column == left && right > left {
            let width = RUNG + (RUNG + 1) * (right - left - 1);
            line.push_str(&arrow(text, width, from < to));
            column = right;
        } else {
            line.push_str(&" ".repeat(RUNG));
            column += 1;
        }
    }
    line.push('|');
    format!("{line}  {note}")
}

fn arrow(text: &str, width: usize, rightwards: bool) -> String {
    let text: String = text.chars().take(width.saturating_sub(6)).collect();
    let filling = width.saturating_sub(text.chars().count() + 3);
    let before = "-".repeat(filling / 2);
    let after = "-".repeat(filling - filling / 2);
    if rightwards {
        format!("{before} {text} {after}>")
    } else {
        format!("<{before} {text} {after}")
    }
}

/// What the ladder says about a message.
pub(super) struct Summary {
    pub(super) text: String,
}

impl Summary {
    pub(super) fn of(message: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(message);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.split("\r\n");
        let first = lines.next()?;
        let cseq = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("cseq").then(|| value.trim().to_owned())
        });
        let method = cseq.as_deref().and_then(|cseq| cseq.split_whitespace().last()).unwrap_or("?");
        let mut text = match first.strip_prefix("SIP/2.0 ") {
            Some(status) => format!("{status} ({method})"),
            None => first.split(' ').next().unwrap_or(first).to_owned(),
        };
        if body.contains("m=") {
            text.push_str(" + SDP");
        }
        Some(Self { text })
    }
}

/// Characters between two bars.
const RUNG: usize = 32;
