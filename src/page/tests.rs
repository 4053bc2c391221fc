//! How things are said in both languages.

use super::Words;
use crate::config::Language;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

#[test]
fn numbers_and_times_are_those_of_the_language() {
    let zone = TimeZone::get("Europe/Amsterdam").unwrap();
    let (english, dutch) = (Words { language: Language::English, zone: zone.clone() }, Words { language: Language::Dutch, zone });
    let now: Timestamp = "2026-01-25T03:00:00Z".parse().unwrap();
    assert_eq!((english.time(now).as_str(), english.count(15_000_000).as_str()), ("2026-01-25 04:00 CET", "15,000,000"));
    assert_eq!((dutch.bytes(1_020_000_000).as_str(), dutch.count(15_000_000).as_str()), ("1,02 GB", "15.000.000"));
    for (seconds, in_english, in_dutch) in [
        (30, "just now", "zojuist"),
        (-30, "just now", "zojuist"),
        (60, "1 minute ago", "1 minuut geleden"),
        (3600, "1 hour ago", "1 uur geleden"),
        (26 * 3600, "26 hours ago", "26 uur geleden"),
        (-7200, "in 2 hours", "over 2 uur"),
        (3 * 86_400, "3 days ago", "3 dagen geleden"),
    ] {
        let then = now - SignedDuration::from_secs(seconds);
        assert_eq!((english.ago(then, now).as_str(), dutch.ago(then, now).as_str()), (in_english, in_dutch));
    }
    assert_eq!((english.took(5200).as_str(), dutch.took(5200).as_str(), dutch.took(3_720_000).as_str()), ("5.2 s", "5,2 s", "1 u 02 min"));
    assert_eq!(
        (english.rows(1).as_str(), english.rows(0).as_str(), dutch.rows(1).as_str(), dutch.tables(2).as_str()),
        ("1 row", "0 rows", "1 rij", "2 tabellen")
    );
}
