//! The status page: a board as HTML, whole in one response, without JavaScript.
//! It owns structure and order: the answer first, then from when to when, the proof, the days, what changed, the restore points, and how to restore.
//! Pure; numbers and judgements come from `board`, texts from `words`. Invariant: every text that came from elsewhere is escaped (maud does it), and
//! nothing is told by colour alone.

mod chart;
mod target;
#[cfg(test)]
mod tests;
mod words;

pub use words::Words;

use crate::board::{Board, Stand};
use crate::retention::Standing;
use crate::status::{Ground, State};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The style sheet, inline in the page. Whoever serves it allows this one by its hash.
pub const STYLE: &str = include_str!("style.css");

/// The icon of the page.
pub const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect x="2" y="2" width="28" height="28" rx="6" fill="#0b4f6c"/><circle cx="16" cy="16" r="8" fill="none" stroke="#fff" stroke-width="3"/><path d="M16 16 L21 11" stroke="#fff" stroke-width="3" stroke-linecap="round"/></svg>"##;

/// The whole page.
pub fn page(board: &Board, words: &Words) -> String {
    let title = match board.state {
        State::Fresh if Look::of_all(board) == Look::Unproven => words.say("Backups are not proven", "Backups zijn niet bewezen"),
        State::Fresh => words.say("Backups are fresh", "Backups zijn vers"),
        State::Starting => words.say("No backup yet", "Nog geen backup"),
        State::Stale => words.say("Backups are overdue", "Backups zijn te laat"),
    };
    let many = board.targets.len() > 1;
    let body = html! {
        a.skip href="#main" { (words.say("Skip to the answer", "Ga naar het antwoord")) }
        header.top {
            p.brand { (PreEscaped(ICON)) " Kluis" }
            p.asof { (words.say("As of ", "Stand van ")) (at(words, board.at)) " · " a href="./" { (words.say("look again", "kijk opnieuw")) } }
        }
        main #main {
            section.verdict.(Look::of_all(board).class()) aria-labelledby="answer" {
                p.question { (words.say("Can I restore?", "Kan ik terugzetten?")) }
                h1 #answer { (Look::of_all(board).sign()) (words.verdict(board)) }
                @if many { p { (words.how_many_fresh(board)) } }
            }
            @if many { (overview(board, words)) }
            @for stand in &board.targets { (target::section(stand, board, words, many)) }
        }
        (footer(board, words))
    };
    shell(words, title, &body)
}

/// A page that says one thing: why something is not shown, and what to do.
pub fn notice(words: &Words, title: &str, text: &str, next: &str) -> String {
    let body = html! {
        main #main {
            h1 { (title) }
            p { (text) }
            p { (next) }
        }
    };
    shell(words, title, &body)
}

fn shell(words: &Words, title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang=(words.tag()) {
            head {
                meta charset="utf-8";
                title { (title) " · Kluis" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                link rel="icon" type="image/svg+xml" href="icon.svg";
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// How a verdict looks: a state's colour and sign, and one of its own for what is fresh and was never proven, which is no green.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    State(State),
    Unproven,
}

impl Look {
    fn of(stand: &Stand) -> Look {
        match (stand.ground, &stand.view.newest_proven) {
            (Ground::NotProven, None) => Look::Unproven,
            _ => Look::State(stand.view.state),
        }
    }

    /// That of the worst target; where all are fresh, that of one which was never proven.
    fn of_all(board: &Board) -> Look {
        let unproven = board.targets.iter().any(|stand| Look::of(stand) == Look::Unproven);
        if board.state == State::Fresh && unproven { Look::Unproven } else { Look::State(board.state) }
    }

    fn class(self) -> &'static str {
        match self {
            Look::State(state) => state.word(),
            Look::Unproven => "plain",
        }
    }

    /// A sign in front of the text. The text itself says it again, so screen readers pass over the sign.
    fn sign(self) -> Markup {
        let sign = match self {
            Look::State(State::Fresh) => "✓",
            Look::State(State::Starting) => "…",
            Look::State(State::Stale) => "!",
            Look::Unproven => "○",
        };
        html! { span.sign aria-hidden="true" { (sign) } }
    }
}

fn badge(stand: &Stand, words: &Words) -> Markup {
    let look = Look::of(stand);
    let text = if look == Look::Unproven { words.say("not proven", "niet bewezen") } else { words.state(stand.view.state) };
    html! { span.badge.(look.class()) { (look.sign()) (text) } }
}

/// A time for people and, in UTC, for machines.
fn at(words: &Words, at: jiff::Timestamp) -> Markup {
    html! { time datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()) { (words.time(at)) } }
}

fn standing_badge(standing: Standing, exceptions: u64, words: &Words) -> Markup {
    let (class, sign) = match standing {
        Standing::Proven => ("fresh", "✓"),
        Standing::Read | Standing::Sealed => ("plain", "○"),
        Standing::Bad | Standing::Incomplete => ("stale", "✕"),
        Standing::Suspicious => ("starting", "!"),
        Standing::NotUnderstood => ("starting", "?"),
    };
    html! { span.badge.(class) { span.sign aria-hidden="true" { (sign) } (words.standing(standing)) @if exceptions > 0 { (words.except(exceptions)) } } }
}

/// A region that scrolls sideways on a small screen; with the keyboard, too.
fn scrolling(label: &str, table: Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}

/// All targets in one table.
fn overview(board: &Board, words: &Words) -> Markup {
    let caption = words.say("All databases, the worst first", "Alle databases, de slechtste eerst");
    let row = |stand: &Stand| {
        html! {
            tr {
                th scope="row" { a href={ "#t-" (stand.view.target) } { (stand.view.target) } }
                td { (badge(stand, words)) @if stand.progress.is_some() { " " span.badge.plain { span.sign aria-hidden="true" { "▸" } (words.say("running", "bezig")) } }
                    @if stand.view.empty { " " span.badge.starting { span.sign aria-hidden="true" { "!" } (words.say("empty", "leeg")) } } }
                td { @match &stand.view.newest_proven { Some(point) => { (at(words, point.at)) (words.except(stand.view.exceptions.count())) }, None => { "—" } } }
                td { @match &stand.view.newest { Some(point) => { (words.ago(point.at, board.at)) }, None => { "—" } } }
                td { @match stand.view.retry_at.or(stand.view.next_run) { Some(next) => { (at(words, next)) }, None => { "—" } } }
            }
        }
    };
    let table = html! {
        table {
            caption { (caption) }
            thead { tr {
                th scope="col" { (words.say("Database", "Database")) }
                th scope="col" { (words.say("State", "Toestand")) }
                th scope="col" { (words.say("Newest proven backup", "Nieuwste bewezen backup")) }
                th scope="col" { (words.say("Newest backup", "Nieuwste backup")) }
                th scope="col" { (words.say("Next run", "Volgende run")) }
            } }
            tbody { @for stand in &board.targets { (row(stand)) } }
        }
    };
    html! { nav aria-label=(words.say("Databases", "Databases")) { (scrolling(caption, table)) } }
}

fn footer(board: &Board, words: &Words) -> Markup {
    html! {
        footer {
            @if let Some(room) = &board.room {
                p {
                    (words.say("Free on the volume: ", "Vrij op het volume: ")) (words.bytes(room.free_bytes))
                    (words.say(" of ", " van ")) (words.bytes(room.total_bytes)) ". "
                    @match room.days_left {
                        Some(days) if days < 3650 => {
                            (words.say("At the growth of the last 30 days that lasts ", "Met de groei van de laatste 30 dagen is dat genoeg voor "))
                            (words.span(jiff::SignedDuration::from_hours(24 * i64::try_from(days).unwrap_or(3650)))) "."
                        }
                        _ => { (words.say("The backups hardly grow.", "De backups groeien nauwelijks.")) }
                    }
                }
            }
            @if board.voice.failures > 0 {
                p.warning role="status" {
                    span.sign aria-hidden="true" { "! " }
                    (words.say("Attempts to deliver a notification that failed: ", "Pogingen om een melding te bezorgen die mislukten: "))
                    (words.count(board.voice.failures)) "."
                }
            }
            p {
                "Kluis " (board.kluis) " · "
                a href="metrics" { (words.say("metrics", "meetwaarden")) } " · "
                a href="api/v1/status" { "JSON" } " · "
                a href=(words.say("./?lang=nl", "./?lang=en")) lang=(words.say("nl", "en")) hreflang=(words.say("nl", "en")) { (words.say("Nederlands", "English")) }
            }
        }
    }
}
