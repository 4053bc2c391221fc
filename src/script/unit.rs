//! Units: one COPY statement each, and the line of `units.jsonl` that says where it lies.
//! It owns the index's format and its checks; it leaves table names to the manifest (a unit names its table by number).
//! Invariant: the units of an index follow each other without gaps, so an index that lost a line is found out.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where one unit lies in the script, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// The table's place in the manifest's list, from 0.
    pub table: u32,
    /// Where the unit begins in the script, in bytes.
    pub offset: u64,
    /// The length of the header's member (`COPY … FROM stdin;`), in bytes.
    pub header: u32,
    /// The length of the rows' members, in bytes.
    pub body: u64,
    /// The length of the footer's member (`\.`), in bytes.
    pub footer: u32,
    /// The number of members that hold rows. More than one only where a single row is larger than a unit.
    pub members: u32,
    /// The number of rows.
    pub rows: u64,
    /// The plain length of the rows, in bytes.
    pub bytes: u64,
    /// The SHA-256 of the unit's bytes in the script, so that a part of a script can be checked by itself. Indexes of format 1 have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Sum>,
}

/// A SHA-256; in JSON 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sha256Sum(pub [u8; 32]);

impl Serialize for Sha256Sum {
    fn serialize<S: Serializer>(&self, text: S) -> Result<S::Ok, S::Error> {
        text.serialize_str(&self.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for Sha256Sum {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Sha256Sum, D::Error> {
        let (digits, mut bytes) = (<std::borrow::Cow<'de, str>>::deserialize(text)?, [0; 32]);
        let wrong = || de::Error::custom("not a SHA-256");
        let digits = digits.as_bytes();
        if digits.len() != 64 {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
            *byte = (high.ok_or_else(wrong)? * 16 + low.ok_or_else(wrong)?) as u8;
        }
        Ok(Sha256Sum(bytes))
    }
}

impl Unit {
    /// The whole unit's length in the script, in bytes.
    pub fn length(&self) -> u64 {
        u64::from(self.header) + self.body + u64::from(self.footer)
    }

    /// Where the rows begin in the script, in bytes.
    pub fn body_offset(&self) -> u64 {
        self.offset + u64::from(self.header)
    }

    /// The unit's line in the index, line end included.
    pub fn line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("numbers always have a JSON form");
        line.push('\n');
        line
    }
}

/// Reads an index, checking that its units fill `start..end` of the script without a gap and name only tables below `tables`.
/// The error says in one line what is wrong.
pub fn parse_index(text: &str, start: u64, end: u64, tables: usize) -> Result<Vec<Unit>, String> {
    let mut units = Vec::new();
    let (mut next, mut plain) = (start, 0_u64);
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let unit: Unit = serde_json::from_str(line).map_err(|_| format!("line {number} is not a unit"))?;
        let length = u64::from(unit.header).checked_add(unit.body).and_then(|sum| sum.checked_add(u64::from(unit.footer)));
        let after = length.and_then(|length| unit.offset.checked_add(length));
        if unit.offset != next || after.is_none_or(|after| after > end) {
            return Err(format!("line {number}: the unit does not begin where the one before it ends"));
        }
        if unit.table as usize >= tables {
            return Err(format!("line {number} names a table that the manifest does not have"));
        }
        let total = plain.checked_add(unit.bytes);
        if unit.rows > unit.bytes || (unit.members == 0) != (unit.body == 0) || total.is_none() {
            return Err(format!("line {number}: impossible counts"));
        }
        plain = total.unwrap_or(plain);
        next = unit.offset + unit.length();
        units.push(unit);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("it ends in the middle of a line".to_owned());
    }
    if next != end {
        return Err("it does not reach the end of the units: lines are missing".to_owned());
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Unit = Unit { table: 0, offset: 100, header: 10, body: 20, footer: 5, members: 1, rows: 2, bytes: 30, sha256: None };

    #[track_caller]
    fn check(text: &str, end: u64, expected: Result<usize, &str>) {
        match (parse_index(text, 100, end, 1), expected) {
            (Ok(units), Ok(count)) => assert_eq!(units.len(), count),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (got, expected) => panic!("{got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn an_index_is_whole_or_refused() {
        let (first, second) = (UNIT.line(), Unit { offset: 135, ..UNIT }.line());
        check("", 100, Ok(0));
        check(&format!("{first}{second}"), 170, Ok(2));
        check(&first, 170, Err("lines are missing"));
        check(&second, 170, Err("line 1"));
        check(&format!("{first}{first}"), 170, Err("line 2"));
        check(&format!("{second}{first}"), 170, Err("line 1"));
        check(&format!("{first}{second}"), 150, Err("line 2"));
        check(first.trim_end(), 135, Err("middle of a line"));
        check(&first[..20], 135, Err("not a unit"));
        check(&format!("{first}\n"), 135, Err("not a unit"));
        check(&Unit { table: 1, ..UNIT }.line(), 135, Err("does not have"));
        check(&Unit { rows: 31, ..UNIT }.line(), 135, Err("impossible"));
        check(&Unit { members: 0, ..UNIT }.line(), 135, Err("impossible"));
        check(&Unit { body: u64::MAX, ..UNIT }.line(), 135, Err("line 1"));
        let large = Unit { bytes: u64::MAX, ..UNIT };
        check(&format!("{}{}", large.line(), Unit { offset: 135, ..large }.line()), 170, Err("line 2: impossible"));
        check(&first.replace("rows", "row"), 135, Err("not a unit"));
        let hashed = Unit { sha256: Some(Sha256Sum([0xa5; 32])), ..UNIT };
        assert!(hashed.line().ends_with(&format!(",\"sha256\":\"{}\"}}\n", "a5".repeat(32))), "{}", hashed.line());
        assert_eq!(parse_index(&hashed.line(), 100, 135, 1), Ok(vec![hashed]));
        for (old, new) in [("a5a5", "a5"), ("a5a5", "a5+5"), ("a5a5", "é5a")] {
            check(&hashed.line().replacen(old, new, 1), 135, Err("not a unit"));
        }
    }
}
