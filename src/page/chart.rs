//! Size, rows and duration over time: small charts (SVG), each with its values as a table beside it.
//! It owns the drawing. Invariant: a chart begins at zero, its title says what it shows in words, and a marked point has another shape, not only another colour.

use super::words::Words;
use crate::board::Sample;
use maud::{Markup, html};

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 72.0;
/// Room for the marks at the edges.
const EDGE: f64 = 5.0;

/// How many rows the table of values has at the most.
const ROWS: usize = 30;

/// The three charts of a target.
pub fn charts(name: &str, samples: &[Sample], words: &Words) -> Markup {
    if samples.len() < 2 {
        return html! {};
    }
    let (bytes, count, took) = (|value| words.bytes(value), |value| words.count(value), |value| words.took(value));
    html! {
        h3 { (words.say("What changed", "Wat er veranderde")) }
        div.charts {
            (chart(words.say("Size", "Grootte"), name, samples, words, |sample| sample.bytes, bytes))
            (chart(words.say("Rows", "Rijen"), name, samples, words, |sample| sample.rows, count))
            (chart(words.say("Duration", "Duur"), name, samples, words, |sample| sample.ms, took))
        }
        details {
            summary { (words.say("These numbers as a table", "Deze getallen als tabel")) }
            table {
                caption { (words.say("Size, rows and duration of the latest runs of ", "Grootte, rijen en duur van de laatste runs van ")) (name) }
                thead { tr {
                    th scope="col" { (words.say("Run", "Run")) }
                    th.number scope="col" { (words.say("Size", "Grootte")) }
                    th.number scope="col" { (words.say("Rows", "Rijen")) }
                    th.number scope="col" { (words.say("Duration", "Duur")) }
                } }
                tbody { @for sample in samples.iter().rev().take(ROWS) {
                    tr {
                        th scope="row" { (words.time(sample.at)) }
                        (cell(&bytes(sample.bytes.0), sample.bytes.1, words))
                        (cell(&count(sample.rows.0), sample.rows.1, words))
                        (cell(&took(sample.ms.0), sample.ms.1, words))
                    }
                } }
            }
        }
    }
}

fn cell(text: &str, odd: bool, words: &Words) -> Markup {
    html! { td.number { (text) @if odd { " " strong { "◆ " (words.say("unusual", "ongewoon")) } } } }
}

fn chart(title: &str, name: &str, samples: &[Sample], words: &Words, of: fn(&Sample) -> (u64, bool), shown: impl Fn(u64) -> String) -> Markup {
    let most = samples.iter().map(|sample| of(sample).0).max().unwrap_or(0);
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let span = (last.at.as_second() - first.at.as_second()).max(1) as f64;
    let place = |sample: &Sample| {
        let x = EDGE + (sample.at.as_second() - first.at.as_second()) as f64 / span * (WIDTH - 2.0 * EDGE);
        let y = HEIGHT - EDGE - of(sample).0 as f64 / most.max(1) as f64 * (HEIGHT - 2.0 * EDGE);
        (x, y)
    };
    let line: String = samples.iter().map(place).enumerate().map(|(index, (x, y))| format!("{}{x:.1} {y:.1}", if index == 0 { "M" } else { "L" })).collect();
    let (from, to) = (place(&samples[0]).0, place(&last).0);
    let area = format!("{line}L{to:.1} {base:.1}L{from:.1} {base:.1}Z", base = HEIGHT - EDGE);
    let odd = samples.iter().filter(|sample| of(sample).1).count() as u64;
    let unusual = words.say(format!("{} unusual", words.count(odd)), format!("{} ongewoon", words.count(odd)));
    let (count, begun, ended, top) = (samples.len(), shown(of(&first).0), shown(of(&last).0), shown(most));
    let label = words.say(
        format!("{title} of {name} over {count} runs: {begun} first, {ended} last, {top} at the most; {unusual}"),
        format!("{title} van {name} over {count} runs: eerst {begun}, laatst {ended}, ten hoogste {top}; {unusual}"),
    );
    html! {
        figure {
            figcaption { (title) ": " strong { (ended) } @if odd > 0 { " · ◆ " (unusual) } }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
                path.area d=(area) {}
                path.line d=(line) {}
                @for sample in samples.iter().filter(|sample| of(sample).1) {
                    @let (x, y) = place(sample);
                    path.mark d=(format!("M{x:.1} {:.1}L{:.1} {y:.1}L{x:.1} {:.1}L{:.1} {y:.1}Z", y - 4.5, x + 4.5, y + 4.5, x - 4.5)) {
                        title { (words.time(sample.at)) ": " (shown(of(sample).0)) }
                    }
                }
            }
            p.axis aria-hidden="true" { span { (day(first.at, words)) } span { "0 – " (top) } span { (day(last.at, words)) } }
        }
    }
}

fn day(at: jiff::Timestamp, words: &Words) -> String {
    at.to_zoned(words.zone.clone()).strftime("%Y-%m-%d").to_string()
}
