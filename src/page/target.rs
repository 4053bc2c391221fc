//! The page's section about one target. It owns the order within it.
//! Invariant: each answer stands as text; the strip, the bars and the charts only show it again.

use super::words::Words;
use super::{at, badge, chart, scrolling, standing_badge};
use crate::board::{Board, Day, DayKind, Point, Stand};
use crate::exception::Exceptions;
use crate::repository::progress::Progress;
use crate::units::first;
use jiff::Timestamp;
use maud::{Markup, html};

/// The section. `many`: there are others beside it, so that the answer stands here once more.
pub fn section(stand: &Stand, board: &Board, words: &Words, many: bool) -> Markup {
    let (view, now) = (&stand.view, board.at);
    let name = &view.target;
    html! {
        section.target aria-labelledby={ "t-" (name) } {
            h2 id={ "t-" (name) } { (name) " " (badge(stand, words)) }
            @if many { p.answer { (words.answer(stand, now)) } }
            @if let Some(progress) = &stand.progress { (running(name, progress, words, now)) }
            @else if view.proving { p.running { strong { (words.say("The newest backup is being proven now", "De nieuwste backup wordt nu bewezen")) } "." } }
            (facts(stand, words, now))
            @if view.empty { p.warning { span.sign aria-hidden="true" { "! " } (words.empty(name)) } }
            @for remark in &view.remarks { p.warning lang="en" { span.sign aria-hidden="true" { "! " } (remark) } }
            (strip(stand, words))
            (chart::charts(name, &stand.samples, words))
            (points(stand, words, now))
            (how(stand, words))
        }
    }
}

fn running(name: &str, progress: &Progress, words: &Words, now: Timestamp) -> Markup {
    let label = words.say("A run is in progress", "Er is een run bezig");
    let percent = progress.fraction().map(|fraction| (fraction * 100.0) as u64);
    html! {
        div.running role="group" aria-label={ (label) ": " (name) } {
            p {
                strong { (label) } ": " (words.step(&progress.step))
                @if let Some(part) = &progress.part { " (" span lang="en" { (part) } ")" }
                ". " (words.say("Begun ", "Begonnen ")) (words.ago(progress.started, now)) "."
            }
            @if let Some(percent) = percent {
                progress max="100" value=(percent) aria-label={ (words.say("Progress of the run of ", "Voortgang van de run van ")) (name) } { (percent) "%" }
                p.small {
                    (percent) "% · " (words.bytes(progress.bytes)) (words.say(" of about ", " van ongeveer ")) (words.bytes(progress.bytes_total))
                    @if let Some(rate) = progress.rate() { " · " (words.bytes(rate)) "/s" }
                    @if progress.tables > 0 { " · " (words.count(progress.tables)) (words.say(" of ", " van ")) (words.tables(progress.tables_total)) }
                    @if let Some(left) = progress.seconds_left() {
                        " · " (words.say("about ", "nog ongeveer ")) (words.span(jiff::SignedDuration::from_secs(i64::try_from(left).unwrap_or(i64::MAX)))) (words.say(" left", ""))
                    }
                }
            }
        }
    }
}

fn facts(stand: &Stand, words: &Words, now: Timestamp) -> Markup {
    let view = &stand.view;
    html! {
        dl.facts {
            div {
                dt { (words.say("From when to when", "Van wanneer tot wanneer")) }
                dd {
                    @match (&view.oldest, &view.newest) {
                        (Some(oldest), Some(newest)) => {
                            (at(words, oldest.at)) (words.say(" to ", " tot ")) (at(words, newest.at)) ", "
                            (words.backups(view.backups)) (words.say(", of them proven: ", ", waarvan bewezen: ")) (words.count(view.proven))
                        }
                        _ if stand.points.is_empty() => { (words.say("there is nothing to restore from", "er is niets om van terug te zetten")) }
                        _ => { (words.say("nothing that can be relied upon: ", "niets waarop te vertrouwen is: ")) (words.backups(stand.points.len() as u64)) }
                    }
                }
            }
            div {
                dt { (words.say("What would be lost", "Wat er verloren gaat")) }
                dd { (words.loss(stand, now)) }
            }
            div {
                dt { (words.say("Proven", "Bewezen")) }
                dd {
                    @match &stand.proof {
                        Some(proof) => {
                            (at(words, proof.at)) ": "
                            (words.say("restored into a throwaway server in ", "in een wegwerpserver teruggezet in ")) (words.took(proof.restore_ms)) ", "
                            (words.tables(proof.tables)) (words.say(" and ", " en ")) (words.rows(proof.rows)) (words.say(" compared", " vergeleken"))
                            @if proof.asserted { (words.say(", your own checks passed", ", eigen controles geslaagd")) }
                            @if let Some(remark) = words.confined(proof.sandbox) { ". " (remark) }
                            @if !view.exceptions.is_empty() { (excepted(&view.exceptions, words)) }
                        }
                        None => { (words.say("no backup is proven", "geen enkele backup is bewezen")) }
                    }
                }
            }
            div {
                dt { (words.say("Last run", "Laatste run")) }
                dd {
                    @match &view.last_run {
                        Some(run) => {
                            (at(words, run.started)) ": " (words.outcome(run.outcome))
                            @if let Some(message) = &run.message { ". " span.why lang="en" { (message) } }
                            @else if !run.warnings.is_empty() { ". " span.why lang="en" { (first(&run.warnings, 5).join("; ")) } }
                        }
                        None => { (words.say("none yet", "nog geen")) }
                    }
                }
            }
            div {
                dt { (words.say("Next run", "Volgende run")) }
                dd {
                    @if let Some(again) = view.retry_at {
                        (words.say("What failed is tried again at ", "Wat mislukte wordt opnieuw geprobeerd om ")) (at(words, again)) " (" (words.ago(again, now)) "). "
                    }
                    @match view.next_run {
                        Some(next) => { (at(words, next)) " (" (words.ago(next, now)) "), " (words.say("on the schedule ", "volgens schema ")) code { (stand.schedule) } " " (stand.time_zone) }
                        None => { (words.say("never", "nooit")) }
                    }
                    @if let Some(drill) = stand.next_drill { ". " (words.say("Next drill: ", "Volgende drill: ")) (at(words, drill)) }
                }
            }
        }
    }
}

/// How many exceptions are shown at once; of the others only how many there are.
const MOST_EXCEPTIONS: usize = 10;

/// What a restore of the newest proven backup does not bring back.
fn excepted(exceptions: &Exceptions, words: &Words) -> Markup {
    let shown = exceptions.listed.len().min(MOST_EXCEPTIONS);
    let more = exceptions.count() - shown as u64;
    html! {
        ". " (words.not_brought_back(exceptions.count()))
        ul.except {
            @for exception in &exceptions.listed[..shown] { li { (words.class(exception.class)) ": " code { (exception.object) } } }
            @if more > 0 { li { (words.and_more(more)) } }
        }
    }
}

fn day_sign(kind: DayKind) -> (&'static str, &'static str) {
    match kind {
        DayKind::Proven => ("proven", "✓"),
        DayKind::Unproven => ("unproven", "○"),
        DayKind::Failed => ("failed", "✕"),
        DayKind::Missed => ("missed", "?"),
        DayKind::None => ("none", "·"),
    }
}

fn strip(stand: &Stand, words: &Words) -> Markup {
    let title = words.say("The last 30 days", "De laatste 30 dagen");
    let cell = |day: &Day| {
        let (class, sign) = day_sign(day.kind);
        html! {
            li.(class) title={ (day.date) ": " (words.day_in_full(day)) } {
                span aria-hidden="true" { (sign) }
                span.unseen { (day.date) ": " (words.day(day.kind)) }
            }
        }
    };
    let legend = [DayKind::Proven, DayKind::Unproven, DayKind::Failed, DayKind::Missed, DayKind::None];
    html! {
        h3 { (title) }
        ol.strip { @for day in &stand.days { (cell(day)) } }
        p.legend aria-hidden="true" {
            @for kind in legend { span { span.key.(day_sign(kind).0) { (day_sign(kind).1) } " " (words.day(kind)) } }
        }
        details {
            summary { (words.say("Day by day", "Dag voor dag")) }
            table {
                caption { (title) ": " (stand.view.target) }
                thead { tr { th scope="col" { (words.say("Day", "Dag")) } th scope="col" { (words.say("State", "Toestand")) } th scope="col" { (words.say("What happened", "Wat er gebeurde")) } } }
                tbody { @for day in stand.days.iter().rev() {
                    tr {
                        th scope="row" { (day.date) }
                        td { (words.day(day.kind)) }
                        td { (words.day_in_full(day)) @if let Some(note) = &day.note { ": " span lang="en" { (note) } } }
                    }
                } }
            }
        }
    }
}

/// How many restore points are shown at once; the others are folded away.
const SHOWN: usize = 12;

fn points(stand: &Stand, words: &Words, now: Timestamp) -> Markup {
    let title = words.say("Restore points", "Herstelpunten");
    if stand.points.is_empty() {
        return html! { h3 { (title) } p { (words.say("There is none yet.", "Er is er nog geen.")) } };
    }
    let table = |caption: &str, points: &[Point]| {
        let table = html! {
            table.points {
                caption { (caption) }
                thead { tr {
                    th scope="col" { "Backup" }
                    th scope="col" { (words.say("Made", "Gemaakt")) }
                    th scope="col" { (words.say("Standing", "Oordeel")) }
                    th.number scope="col" { (words.say("Rows", "Rijen")) }
                    th.number scope="col" { (words.say("Size", "Grootte")) }
                    th scope="col" { (words.say("Kept, because", "Bewaard, want")) }
                    th scope="col" { (words.say("Goes", "Verdwijnt")) }
                } }
                tbody { @for point in points { (row(point, words, now)) } }
            }
        };
        scrolling(caption, table)
    };
    let (first, rest) = stand.points.split_at(stand.points.len().min(SHOWN));
    let name = &stand.view.target;
    html! {
        h3 { (title) }
        @if let Some(why) = &stand.suspended { p.warning { span.sign aria-hidden="true" { "! " } (words.suspension(why)) } }
        @if !stand.losses.is_empty() {
            ul.losses {
                @for loss in &stand.losses { li { (words.lost_by(loss)) } }
                @if stand.losses_unlisted > 0 { li { (words.more_tables(stand.losses_unlisted)) } }
            }
        }
        (table(&words.say(format!("The newest restore points of {name}"), format!("De nieuwste herstelpunten van {name}")), first))
        @if !rest.is_empty() {
            details {
                summary { (words.say(format!("{} older ones", words.count(rest.len() as u64)), format!("{} oudere", words.count(rest.len() as u64)))) }
                (table(&words.say(format!("Older restore points of {name}"), format!("Oudere herstelpunten van {name}")), rest))
            }
        }
    }
}

fn row(point: &Point, words: &Words, now: Timestamp) -> Markup {
    let reasons: Vec<String> = point.reasons.iter().map(|reason| words.reason(reason)).collect();
    html! {
        tr {
            th scope="row" { code { (point.id) } }
            td { (words.ago(point.at, now)) }
            td { (standing_badge(point.standing, point.exceptions, words)) @if let Some(remark) = &point.remark { " " span.why lang="en" { (remark) } } }
            td.number { @match point.rows { Some(rows) => { (words.count(rows)) }, None => { "?" } } }
            td.number { (words.bytes(point.bytes)) }
            td { (reasons.join("; ")) }
            td { (words.leaves(point.leaves)) }
        }
    }
}

fn how(stand: &Stand, words: &Words) -> Markup {
    let name = &stand.view.target;
    let newest = stand.view.newest_proven.as_ref().or(stand.view.newest.as_ref());
    // Where all are bad, the newest one that a restore takes if it is told to.
    let forced = stand.points.iter().find(|point| point.can_be_forced);
    let command = match (newest, forced) {
        (Some(point), _) => Some(format!("kluis restore {} --target {name} --create \\\n  --to postgresql://USER@HOST:5432/NEW_DATABASE", point.id)),
        (None, Some(point)) => Some(format!("kluis restore {} --target {name} --create --force \\\n  --to postgresql://USER@HOST:5432/NEW_DATABASE", point.id)),
        (None, None) => None,
    };
    let label = words.say("The command that restores it", "De opdracht die het terugzet");
    html! {
        h3 { (words.say("How to restore", "Hoe zet ik terug")) }
        @if newest.is_none() { p { (words.nothing_reliable(stand.points.len() as u64, forced.is_some())) } }
        @if let Some(command) = command {
            pre tabindex="0" role="region" aria-label={ (label) ": " (name) } { code { (command) } }
            p.small {
                (words.say("In a Compose stack put ", "Zet er in een Compose-stack ")) code { "docker compose exec backup" }
                (words.say(" in front of it. Without Kluis: the file ", " voor. Zonder Kluis: het bestand ")) code { "RESTORE.md" }
                (words.say(" in the backup's folder has every command.", " in de map van de backup heeft elke opdracht."))
            }
        }
    }
}
