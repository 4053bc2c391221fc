//! Two inventories side by side: which rows are on one side only, and which columns differ.
//! It owns the walk; it leaves to the drill what a difference means.
//! Invariant: one row of each side is in memory at a time, and a difference is never lost: what cannot be read is an error.

use super::{CATALOGUES, Rule, VERSION, damaged, fields, unescape};
use crate::error::Result;
use crate::raw;
use std::cmp::Ordering;
use std::io::BufRead;

/// A row of a catalogue that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The catalogue, or what stands in place of one.
    pub catalogue: &'static str,
    /// What names the row, in the order of the catalogue's keys.
    pub keys: Vec<String>,
    /// Whose row it is in the source; in the restored database where only that has it.
    pub owner: Owner,
    /// How it differs.
    pub how: How,
}

/// Whose a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The database's own.
    User,
    /// It lies in one of the system's schemas.
    System,
    /// It belongs to this extension.
    Extension(String),
}

/// How a row differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// The restored database lacks it. These are the source's columns and values.
    Missing(Vec<(&'static str, Option<Vec<u8>>)>),
    /// Only the restored database has it, with these.
    Added(Vec<(&'static str, Option<Vec<u8>>)>),
    /// These columns differ.
    Changed(Vec<Change>),
}

/// A column that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The column.
    pub column: &'static str,
    /// Whether it is an expression, which a restore may word in another way.
    pub expression: bool,
    /// The source's value. As bytes: a name may be no UTF-8.
    pub source: Option<Vec<u8>>,
    /// The restored database's.
    pub restored: Option<Vec<u8>>,
}

impl Difference {
    /// The column's change, if it is among those that differ.
    pub fn change(&self, column: &str) -> Option<&Change> {
        match &self.how {
            How::Changed(changes) => changes.iter().find(|change| change.column == column),
            _ => None,
        }
    }

    /// The value of a column, in a row that is on one side only.
    pub fn value(&self, column: &str) -> Option<&[u8]> {
        match &self.how {
            How::Missing(values) | How::Added(values) => values.iter().find(|(name, _)| *name == column)?.1.as_deref(),
            How::Changed(_) => None,
        }
    }
}

/// The rows of one side, read one after the other.
struct Side<R> {
    lines: R,
    line: Vec<u8>,
}

impl<R: BufRead> Side<R> {
    fn next(&mut self) -> Result<bool> {
        self.line.clear();
        let read = self.lines.read_until(b'\n', &mut self.line);
        read.map(|length| length > 0).map_err(|error| damaged().because(error))
    }

    fn is_row(&self) -> bool {
        !self.line.is_empty() && !self.line.starts_with(b"@\t")
    }
}

/// A catalogue's header, understood.
struct Header {
    catalogue: &'static super::Catalogue,
    keys: usize,
    columns: Vec<&'static str>,
}

fn header(line: &[u8]) -> Result<Header> {
    let text = std::str::from_utf8(line).map_err(|_| damaged())?;
    let mut words = text.trim_end_matches('\n').split('\t').skip(1);
    let name = words.next().ok_or_else(damaged)?;
    let catalogue = CATALOGUES.iter().find(|catalogue| catalogue.name == name).ok_or_else(damaged)?;
    let keys = words.next().and_then(|word| word.parse().ok()).ok_or_else(damaged)?;
    let known = |word: &str| catalogue.columns.iter().find(|(column, _)| *column == word).map(|(column, _)| *column);
    let columns = words.map(|word| known(word).ok_or_else(damaged)).collect::<Result<Vec<_>>>()?;
    Ok(Header { catalogue, keys, columns })
}

/// Whether an inventory is of this version. Reads its first line.
fn of_this_version(side: &mut Side<impl BufRead>) -> Result<bool> {
    side.next()?;
    Ok(side.line == format!("kluis-inventory\t{VERSION}\n").as_bytes())
}

/// Compares two inventories of the same major, and hands over each difference. False where they are of another version than this program's: then
/// nothing was compared.
pub fn compare(source: impl BufRead, restored: impl BufRead, mut each: impl FnMut(Difference) -> Result<()>) -> Result<bool> {
    let (mut source, mut restored) = (Side { lines: source, line: Vec::new() }, Side { lines: restored, line: Vec::new() });
    if !of_this_version(&mut source)? || !of_this_version(&mut restored)? {
        return Ok(false);
    }
    let (mut ours, mut theirs) = (source.next()?, restored.next()?);
    while ours || theirs {
        // Both walk the same catalogues in the same order; of the same major they have the same columns.
        if source.line != restored.line {
            return Err(damaged());
        }
        let header = header(&source.line)?;
        (ours, theirs) = (source.next()?, restored.next()?);
        while source.is_row() || restored.is_row() {
            let (left, right) = (source.is_row().then(|| fields(&source.line)), restored.is_row().then(|| fields(&restored.line)));
            let order = match (&left, &right) {
                (Some(left), Some(right)) => keys(left, &header)?.cmp(&keys(right, &header)?),
                (Some(_), None) => Ordering::Less,
                _ => Ordering::Greater,
            };
            match (order, &left, &right) {
                (Ordering::Equal, Some(left), Some(right)) => {
                    if left[1..] != right[1..] {
                        each(difference(&header, left, How::Changed(changes(&header, left, right)?))?)?;
                    }
                }
                (Ordering::Less, Some(left), _) => each(difference(&header, left, How::Missing(values(&header, left)))?)?,
                (_, _, Some(right)) => each(difference(&header, right, How::Added(values(&header, right)))?)?,
                _ => return Err(damaged()),
            }
            if order != Ordering::Greater {
                ours = source.next()?;
            }
            if order != Ordering::Less {
                theirs = restored.next()?;
            }
        }
    }
    Ok(true)
}

/// The keys' bytes, by which the server sorted the rows.
fn keys(row: &[&[u8]], header: &Header) -> Result<Vec<Vec<u8>>> {
    let keys = row.get(1..=header.keys).filter(|_| row.len() == header.columns.len() + 1).ok_or_else(damaged)?;
    Ok(keys.iter().map(|key| unescape(key).unwrap_or_default()).collect())
}

fn values(header: &Header, row: &[&[u8]]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    header.columns.iter().zip(&row[1..]).skip(header.keys).map(|(column, value)| (*column, unescape(value))).collect()
}

fn changes(header: &Header, left: &[&[u8]], right: &[&[u8]]) -> Result<Vec<Change>> {
    if right.len() != header.columns.len() + 1 {
        return Err(damaged());
    }
    let values = header.columns.iter().zip(left[1..].iter().zip(&right[1..])).skip(header.keys);
    let changed = values.filter(|(_, (source, restored))| source != restored).map(|(column, (source, restored))| Change {
        column,
        expression: header.catalogue.columns.iter().any(|(name, rule)| name == column && matches!(rule, Rule::Expression(_))),
        source: unescape(source),
        restored: unescape(restored),
    });
    Ok(changed.collect())
}

fn difference(header: &Header, row: &[&[u8]], how: How) -> Result<Difference> {
    let owner = match row[0] {
        b"" => Owner::User,
        b"s" => Owner::System,
        owner => Owner::Extension(owner.strip_prefix(b"e:").and_then(unescape).map(|name| raw::text(&name)).ok_or_else(damaged)?),
    };
    let keys = keys(row, header)?.iter().map(|key| raw::text(key)).collect();
    Ok(Difference { catalogue: header.catalogue.name, keys, owner, how })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "kluis-inventory\t3\n@\tpg_am\t1\tamname\tamhandler\tamtype\n";

    fn found(source: &str, restored: &str) -> Vec<Difference> {
        let mut found = Vec::new();
        let text = |rows: &str| format!("{HEAD}{rows}@\tpg_cast\t2\tcastsource\tcasttarget\tcastfunc\tcastcontext\tcastmethod\n");
        let compared = compare(text(source).as_bytes(), text(restored).as_bytes(), |difference| {
            found.push(difference);
            Ok(())
        });
        assert!(compared.unwrap());
        found
    }

    #[test]
    fn rows_are_matched_by_their_keys() {
        assert_eq!(found("\ta\tx\tt\n\tb\ty\tt\n", "\ta\tx\tt\n\tb\ty\tt\n"), []);
        let missing = found("\ta\tx\tt\n\tb\ty\tt\n", "\tb\ty\tt\n");
        assert_eq!((missing.len(), &missing[0].keys), (1, &vec!["a".to_owned()]));
        assert!(matches!(missing[0].how, How::Missing(_)) && missing[0].value("amhandler") == Some(b"x"));
        let added = found("s\tb\ty\tt\n", "\ta\tx\tt\ns\tb\ty\tt\ne:cron\tc\tz\tt\n");
        assert!(added.iter().all(|one| matches!(one.how, How::Added(_))));
        assert_eq!(added.iter().map(|one| one.owner.clone()).collect::<Vec<_>>(), [Owner::User, Owner::Extension("cron".to_owned())]);
        let changed = found("\ta\t\\N\tt\n", "\ta\tx\\t\tt\n");
        let expected = Change { column: "amhandler", expression: false, source: None, restored: Some(b"x\t".to_vec()) };
        assert_eq!(changed[0].how, How::Changed(vec![expected]));
        assert_eq!(changed[0].change("amhandler").unwrap().source, None);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let never = |_| panic!("nothing can be compared");
        assert!(!compare("kluis-inventory\t9\n".as_bytes(), HEAD.as_bytes(), never).unwrap());
        for text in ["kluis-inventory\t3\n@\tno_such\t1\ta\n", "kluis-inventory\t3\n@\tpg_am\t1\tno_such\n", "kluis-inventory\t3\nrow\n"] {
            assert!(compare(text.as_bytes(), text.as_bytes(), never).is_err(), "{text}");
        }
        let cut = format!("{HEAD}\ta\n");
        assert!(compare(cut.as_bytes(), cut.as_bytes(), never).is_err());
    }
}
