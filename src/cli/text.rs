//! Text for a terminal: escaping, aligned tables, times. Pure.
//! It owns the look of single values; it leaves where and in which colours they are printed to `output`.
//! Invariant: what `clean` returns is one line that moves no cursor.

use crate::manifest::Sandbox;
use clap::builder::styling::Style;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Text with everything escaped that could move a cursor, end a line or turn the direction of writing, or is a byte of no text (`\xE9`).
pub fn clean(text: &str) -> String {
    escape(text, false)
}

/// The same for text of our own that may have several lines.
pub fn clean_lines(text: &str) -> String {
    escape(text, true)
}

fn escape(text: &str, lines: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if let Some(byte) = crate::raw::byte_of(c) {
            shown.push_str(&format!("\\x{byte:02X}"));
            continue;
        }
        match c {
            '\n' if lines => shown.push(c),
            c if turns(c) => shown.extend(c.escape_unicode()),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Characters that change the direction of writing, or that cannot be seen.
pub fn turns(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A time as people read it, in the configured zone: `2026-01-25 04:00:00 CET`.
pub fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// `1 table`, `2 tables`, `1,000 tables`.
pub fn count(number: u64, what: &str) -> String {
    let plural = match what.strip_suffix('y') {
        _ if number == 1 => what.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None => format!("{what}s"),
    };
    format!("{} {plural}", crate::units::format_count(number))
}

/// How many times smaller: `5.3 : 1`.
pub fn ratio(plain: u64, packed: u64) -> Option<String> {
    let tenths = (u128::from(plain) * 10).checked_div(u128::from(packed))?;
    Some(format!("{}.{} : 1", tenths / 10, tenths % 10))
}

/// Text in lines of at most so many characters, broken at spaces, and within words that are longer.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line, mut length) = (Vec::new(), String::new(), 0);
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if length > 0 && length + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        while word.len() > width {
            lines.push(word.drain(..width).collect());
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        length += word.len();
        line.extend(word);
    }
    lines.push(line);
    lines
}

/// A cell of a table.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    style: Option<Style>,
    right: bool,
}

impl Cell {
    /// In a style, where styles are shown.
    #[must_use]
    pub fn styled(mut self, style: Style) -> Cell {
        self.style = Some(style);
        self
    }

    /// Leaning to the right, as numbers do.
    #[must_use]
    pub fn right(mut self) -> Cell {
        self.right = true;
        self
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: clean(text.as_ref()), style: None, right: false }
    }
}

/// A table with aligned columns, each line after `indent`.
pub fn table(indent: &str, rows: &[Vec<Cell>], paint: impl Fn(Style, &str) -> String) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = indent.to_owned();
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width - cell.text.chars().count());
            let shown = cell.style.map_or_else(|| cell.text.clone(), |style| paint(style, &cell.text));
            let gap = if index == 0 { "" } else { "  " };
            line.push_str(&if cell.right { format!("{gap}{space}{shown}") } else { format!("{gap}{shown}{space}") });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What is to be said of a drill whose server was not kept from the rest of the machine, to stand behind what is said of the drill.
pub fn unconfined(sandbox: Sandbox) -> &'static str {
    match sandbox {
        Sandbox::Full => "",
        Sandbox::Partial => "; its server was only partly in a sandbox",
        Sandbox::None => "; its server was in no sandbox",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_is_shown() {
        for (text, shown) in
            [("één", "één"), ("a\nb", "a\\nb"), ("\u{1b}[2J", "\\u{1b}[2J"), ("\u{9b}1m", "\\u{9b}1m"), ("\u{202e}x", "\\u{202e}x"), ("\0\r\t", "\\u{0}\\r\\t")]
        {
            assert_eq!(clean(text), shown);
        }
        assert_eq!(clean_lines("a\nb\u{1b}"), "a\nb\\u{1b}");
    }

    #[test]
    fn numbers() {
        for (number, what, shown) in [(1, "table", "1 table"), (0, "row", "0 rows"), (1000, "large object", "1,000 large objects"), (2, "entry", "2 entries")] {
            assert_eq!(count(number, what), shown);
        }
        assert_eq!(ratio(53, 10).as_deref(), Some("5.3 : 1"));
        assert_eq!(ratio(1, 0), None);
        assert_eq!(ratio(u64::MAX, 1).as_deref(), Some("18446744073709551615.0 : 1"));
    }

    #[test]
    fn long_text_is_broken_and_loses_nothing() {
        assert_eq!(wrap("a bb ccc dddd", 5), ["a bb", "ccc", "dddd"]);
        assert_eq!(wrap("aéaéaéa b", 3), ["aéa", "éaé", "a b"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("short", 120), ["short"]);
    }

    #[test]
    fn columns_are_aligned_and_no_line_ends_in_a_space() {
        let rows = [vec![Cell::from("a"), Cell::from("b").right()], vec![Cell::from("één"), Cell::from("100").right()], vec![Cell::from("x"), Cell::from("")]];
        assert_eq!(table("  ", &rows, |_, text| text.to_owned()), "  a      b\n  één  100\n  x\n");
    }
}
