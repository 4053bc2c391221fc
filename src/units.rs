//! Durations, sizes and counts as people type and read them. It owns the units and the rounding; it leaves limits such as "at least a minute" to the caller.
//! Invariant: what is printed is never more precise than it is true, and no typed number changes its unit silently.

use crate::error::{Error, Result};
use jiff::SignedDuration;
use std::time::Duration;

/// The units that may be typed, the largest first, with their milliseconds.
const UNITS: [(&str, u64); 6] = [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The longest duration that can be typed: adding it to any clock still works.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// Reads a duration such as `26h`, `1h30m`, `7d` or `1500ms`. A bare number is seconds, as it is to PostgreSQL's clients (`connect_timeout`).
///
/// Units are `ms`, `s`, `m` (minutes), `h`, `d` (24 hours) and `w`, in lower case, whole numbers, each unit once and the larger before the smaller;
/// spaces may stand between them. At most 36500 days. Errors are of kind `Usage`; they do not name the key, which the caller knows.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let refused = |reason: String| Error::usage(format!("'{text}' is not a duration: {reason}")).hinted("durations look like 30s, 90m, 26h, 7d or 1h30m");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(refused("it is empty".into()));
    }
    if rest.starts_with('-') {
        return Err(refused("it is negative".into()));
    }
    let mut total = Duration::ZERO;
    let mut allowed = &UNITS[..];
    let mut first = true;
    while !rest.is_empty() {
        let (digits, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after.trim_start(), char::is_alphabetic);
        if digits.is_empty() {
            let found = if unit.is_empty() { rest } else { unit };
            return Err(refused(format!("a whole number is missing before '{found}'")));
        }
        let milliseconds = if unit.is_empty() && after.is_empty() && first {
            1000
        } else if unit.is_empty() {
            return Err(refused(match after.chars().next() {
                Some('.' | ',') => "fractions are not read: 1h30m, not 1.5h".into(),
                _ => format!("the unit is missing after '{digits}'"),
            }));
        } else if let Some(place) = allowed.iter().position(|(name, _)| *name == unit) {
            let (_, milliseconds) = allowed[place];
            allowed = &allowed[place + 1..];
            milliseconds
        } else if UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(refused(format!("'{unit}' has to come earlier, and only once")));
        } else {
            return Err(refused(format!("there is no unit '{unit}' (there are w, d, h, m, s and ms)")));
        };
        let part = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds)).map(Duration::from_millis);
        total =
            part.and_then(|part| total.checked_add(part)).filter(|total| *total <= LONGEST).ok_or_else(|| refused("it is longer than 36500 days".into()))?;
        rest = after.trim_start();
        first = false;
    }
    Ok(total)
}

/// Splits `text` after its leading characters that satisfy `wanted`.
fn split(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !wanted(c)).unwrap_or(text.len()))
}

/// Prints a duration with its two largest units, rounded down: `340 ms`, `5.2 s`, `42 s`, `3 min 05 s`, `1 h 02 min`, `3 d 04 h`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0 if duration.is_zero() => "0 s".into(),
        0 if duration.as_millis() == 0 => "<1 ms".into(),
        0 => format!("{} ms", duration.as_millis()),
        1..10 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {:02} s", seconds % 60),
        3600..86_400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

/// Prints an age, such as a backup's, in its largest unit and rounded down: `just now`, `5 min ago`, `3 h ago`, `2 days ago`.
/// A negative one lies ahead: `in 5 min`.
///
/// Hours are counted up to two days, since a daily backup's age turns on them.
pub fn format_age(age: SignedDuration) -> String {
    let seconds = age.as_secs().unsigned_abs();
    let amount = match seconds {
        0..60 => return "just now".into(),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    };
    if age.is_negative() { format!("in {amount}") } else { format!("{amount} ago") }
}

/// Prints a size in SI units (1 kB is 1000 bytes) with three significant digits, rounded to nearest: `999 B`, `1.02 GB`, `15.3 MB`.
pub fn format_bytes(bytes: u64) -> String {
    const NAMES: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut unit = 1000u128;
    for name in NAMES {
        for decimals in [2u32, 1, 0] {
            // The value in its last printed digit. Whole numbers, so that 999,500 becomes "1.00 MB" and never "1000 kB".
            let scale = 10u128.pow(decimals);
            let rounded = (u128::from(bytes) * scale + unit / 2) / unit;
            if rounded < 1000 {
                let width = decimals as usize;
                let (whole, fraction) = (rounded / scale, rounded % scale);
                return if decimals == 0 { format!("{whole} {name}") } else { format!("{whole}.{fraction:0width$} {name}") };
            }
        }
        unit *= 1000;
    }
    unreachable!("u64::MAX bytes are 18.4 EB")
}

/// Prints a count with a comma between groups of three digits: `15,000,000`.
pub fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The beginning of a text that is longer than so many characters.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// These names, of a bounded number: `a, b, c and 4,997 more`.
pub fn listed(names: &[impl AsRef<str>], most: usize) -> String {
    let mut text = names.iter().take(most).map(|name| cut(name.as_ref(), LONGEST_FINDING)).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(most);
    if more > 0 {
        text.push_str(&format!(" and {} more", format_count(more as u64)));
    }
    text
}

/// How long one finding is at the most where several are told, in characters.
const LONGEST_FINDING: usize = 500;

/// The first `most` of these findings, each of a bounded length, and at the end how many more there are.
pub fn first(findings: &[String], most: usize) -> Vec<String> {
    let mut first: Vec<String> = findings.iter().take(most).map(|finding| cut(finding, LONGEST_FINDING)).collect();
    let more = findings.len().saturating_sub(most);
    first.extend((more > 0).then(|| format!("and {} more", format_count(more as u64))));
    first
}

/// Text as a part of a URL (RFC 3986), which is a word for the shell as it is.
pub fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read() {
        #[track_caller]
        fn check(text: &str, milliseconds: u64) {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(milliseconds), "'{text}'");
        }
        check("0", 0);
        check("30", 30_000);
        check("30s", 30_000);
        check("1500ms", 1500);
        check("90m", 5_400_000);
        check("26h", 93_600_000);
        check("7d", 604_800_000);
        check("2w", 1_209_600_000);
        check("1h30m", 5_400_000);
        check(" 1 h 30 m ", 5_400_000);
        check("1w1d1h1m1s1ms", 694_861_001);
        check("0h", 0);
        check("007s", 7000);
        check("36500d", 3_153_600_000_000);
    }

    #[test]
    fn mistakes_in_durations_are_named() {
        #[track_caller]
        fn check(text: &str, reason: &str) {
            let error = parse_duration(text).expect_err("is refused");
            assert_eq!(error.kind(), crate::Kind::Usage);
            assert_eq!(error.to_string(), format!("'{text}' is not a duration: {reason}"));
            assert!(error.hint().is_some());
        }
        check("", "it is empty");
        check("  ", "it is empty");
        check("-5m", "it is negative");
        check("+5m", "a whole number is missing before '+5m'");
        check("h", "a whole number is missing before 'h'");
        check("1.5h", "fractions are not read: 1h30m, not 1.5h");
        check("1h30", "the unit is missing after '30'");
        check("30 20", "the unit is missing after '30'");
        check("5 minutes", "there is no unit 'minutes' (there are w, d, h, m, s and ms)");
        check("5M", "there is no unit 'M' (there are w, d, h, m, s and ms)");
        check("5µs", "there is no unit 'µs' (there are w, d, h, m, s and ms)");
        check("1y", "there is no unit 'y' (there are w, d, h, m, s and ms)");
        check("30m1h", "'h' has to come earlier, and only once");
        check("1h1h", "'h' has to come earlier, and only once");
        check("36500d1ms", "it is longer than 36500 days");
        check("18446744073709551615", "it is longer than 36500 days");
        check("99999999999999999999w", "it is longer than 36500 days");
    }

    #[test]
    fn durations_are_printed() {
        #[track_caller]
        fn check(milliseconds: u64, expected: &str) {
            assert_eq!(format_duration(Duration::from_millis(milliseconds)), expected);
        }
        check(0, "0 s");
        check(1, "1 ms");
        check(999, "999 ms");
        check(1000, "1.0 s");
        check(9999, "9.9 s");
        check(10_000, "10 s");
        check(59_999, "59 s");
        check(60_000, "1 min 00 s");
        check(185_000, "3 min 05 s");
        check(3_599_999, "59 min 59 s");
        check(3_720_000, "1 h 02 min");
        check(86_399_999, "23 h 59 min");
        check(86_400_000, "1 d 00 h");
        check(273_600_000, "3 d 04 h");
        assert_eq!(format_duration(Duration::from_nanos(1)), "<1 ms");
        assert_eq!(format_duration(Duration::MAX), "213503982334601 d 07 h");
    }

    #[test]
    fn ages_are_printed() {
        #[track_caller]
        fn check(seconds: i64, expected: &str) {
            assert_eq!(format_age(SignedDuration::from_secs(seconds)), expected);
        }
        check(0, "just now");
        check(59, "just now");
        check(60, "1 min ago");
        check(3599, "59 min ago");
        check(3600, "1 h ago");
        check(172_799, "47 h ago");
        check(172_800, "2 days ago");
        check(i64::MAX, "106751991167300 days ago");
        check(-59, "just now");
        check(-300, "in 5 min");
        check(i64::MIN, "in 106751991167300 days");
    }

    #[test]
    fn sizes_are_printed() {
        #[track_caller]
        fn check(bytes: u64, expected: &str) {
            assert_eq!(format_bytes(bytes), expected);
        }
        check(0, "0 B");
        check(999, "999 B");
        check(1000, "1.00 kB");
        check(1004, "1.00 kB");
        check(1005, "1.01 kB");
        check(9994, "9.99 kB");
        check(9995, "10.0 kB");
        check(99_949, "99.9 kB");
        check(99_950, "100 kB");
        check(999_499, "999 kB");
        check(999_500, "1.00 MB");
        check(15_340_000, "15.3 MB");
        check(1_024_000_000, "1.02 GB");
        check(999_500_000_000_000, "1.00 PB");
        check(u64::MAX, "18.4 EB");
    }

    #[test]
    fn counts_are_printed() {
        for (count, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (15_000_000, "15,000,000"), (u64::MAX, "18,446,744,073,709,551,615")] {
            assert_eq!(format_count(count), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_typed_panics(text in "[-+0-9wdhms. µ]{0,24}") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn a_size_is_three_digits_and_close(bytes in 1000u64..) {
            let text = format_bytes(bytes);
            let (number, unit) = text.split_once(' ').unwrap();
            prop_assert_eq!(number.bytes().filter(u8::is_ascii_digit).count(), 3);
            let power = ["kB", "MB", "GB", "TB", "PB", "EB"].iter().position(|name| *name == unit).unwrap() as i32 + 1;
            let shown = number.parse::<f64>().unwrap() * 1000f64.powi(power);
            prop_assert!((shown / bytes as f64 - 1.0).abs() < 0.0051, "{bytes} became {text}");
        }
    }

    #[test]
    fn findings_are_bounded_in_number_and_length() {
        let findings: Vec<String> = (0..1205).map(|number| format!("{number} {}", "é".repeat(9000))).collect();
        let told = first(&findings, 3);
        assert_eq!((told.len(), told[0].chars().count(), told[3].as_str()), (4, LONGEST_FINDING + 1, "and 1,202 more"));
        assert_eq!((first(&["a".to_owned()], 3), cut("één", 2)), (vec!["a".to_owned()], "éé…".to_owned()));
    }
}
