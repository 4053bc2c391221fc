//! Every text of the page, in English and in Dutch, side by side.
//! It owns wording, plurals and how numbers, times and durations are written; it leaves where they stand to its siblings.
//! Invariant: both languages say the same, and a sentence is written whole, never glued from parts whose order another language would change.

use super::Look;
use crate::board::{Board, DayKind, Leaves, Stand};
use crate::config::Language;
use crate::exception::Class;
use crate::manifest::{Loss, Sandbox};
use crate::repository::history::Outcome;
use crate::retention::{Reason, Standing, Suspension, shrank};
use crate::status::{Ground, State};
use crate::units::{cut, format_bytes, format_count};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The longest name of a table that is shown, in characters.
const LONGEST_NAME: usize = 150;

/// The texts of one language, with times in one zone.
#[derive(Debug, Clone)]
pub struct Words {
    /// The language.
    pub language: Language,
    /// The zone that times are shown in.
    pub zone: TimeZone,
}

impl Words {
    /// One of two texts.
    pub fn say<T>(&self, english: T, dutch: T) -> T {
        match self.language {
            Language::English => english,
            Language::Dutch => dutch,
        }
    }

    /// The language's tag (BCP 47).
    pub fn tag(&self) -> &'static str {
        self.say("en", "nl")
    }

    /// `2026-01-25 04:00 CET`.
    pub fn time(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }

    /// `15,000` and `15.000`.
    pub fn count(&self, count: u64) -> String {
        self.local(&format_count(count))
    }

    /// `1.02 GB` and `1,02 GB`.
    pub fn bytes(&self, bytes: u64) -> String {
        self.local(&format_bytes(bytes))
    }

    fn local(&self, number: &str) -> String {
        let swapped = |c| match c {
            ',' => '.',
            '.' => ',',
            c => c,
        };
        self.say(number.to_owned(), number.chars().map(swapped).collect())
    }

    /// A length of time in its largest unit, rounded down: `26 hours`, `3 dagen`.
    pub fn span(&self, span: SignedDuration) -> String {
        let seconds = span.as_secs().unsigned_abs();
        let (number, one, many) = match seconds {
            0..60 => (seconds, self.say("second", "seconde"), self.say("seconds", "seconden")),
            60..3600 => (seconds / 60, self.say("minute", "minuut"), self.say("minutes", "minuten")),
            3600..172_800 => (seconds / 3600, self.say("hour", "uur"), self.say("hours", "uur")),
            _ => (seconds / 86_400, self.say("day", "dag"), self.say("days", "dagen")),
        };
        format!("{} {}", self.count(number), if number == 1 { one } else { many })
    }

    /// The length of a run or a restore: `340 ms`, `5.2 s`, `3 min 05 s`.
    pub fn took(&self, milliseconds: u64) -> String {
        let text = self.local(&crate::units::format_duration(Duration::from_millis(milliseconds)));
        self.say(text.clone(), text.replace(" h ", " u "))
    }

    /// `3 hours ago`, `in 5 minutes`.
    pub fn ago(&self, at: Timestamp, now: Timestamp) -> String {
        let age = now.duration_since(at);
        if age.as_secs().unsigned_abs() < 60 {
            return self.say("just now", "zojuist").to_owned();
        }
        let span = self.span(age);
        if age.is_negative() { self.say(format!("in {span}"), format!("over {span}")) } else { self.say(format!("{span} ago"), format!("{span} geleden")) }
    }

    /// `1 table`, `2 tabellen`.
    pub fn tables(&self, count: u64) -> String {
        self.plural(count, ("table", "tables"), ("tabel", "tabellen"))
    }

    /// `1 row`, `2 rijen`.
    pub fn rows(&self, count: u64) -> String {
        self.plural(count, ("row", "rows"), ("rij", "rijen"))
    }

    /// `1 backup`, `2 backups`.
    pub fn backups(&self, count: u64) -> String {
        self.plural(count, ("backup", "backups"), ("backup", "backups"))
    }

    fn plural(&self, count: u64, english: (&str, &str), dutch: (&str, &str)) -> String {
        let (one, many) = self.say(english, dutch);
        format!("{} {}", self.count(count), if count == 1 { one } else { many })
    }

    /// A state in one word.
    pub fn state(&self, state: State) -> &'static str {
        match state {
            State::Fresh => self.say("fresh", "vers"),
            State::Starting => self.say("no backup yet", "nog geen backup"),
            State::Stale => self.say("overdue", "te laat"),
        }
    }

    /// *Can I restore?* in one sentence, about the worst target.
    pub fn verdict(&self, board: &Board) -> String {
        let Some(worst) = board.targets.first() else {
            return self.say("No database is configured.", "Er is geen database ingesteld.").to_owned();
        };
        let many = board.targets.len();
        let unproven = board.targets.iter().filter(|stand| Look::of(stand) == Look::Unproven).count() as u64;
        if worst.view.state == State::Fresh && many > 1 && unproven > 0 {
            let (n, all) = (self.count(unproven), self.count(many as u64));
            return self.say(
                format!("Complete, not proven: {n} of {all} databases have a backup that nobody has restored yet."),
                format!("Compleet, niet bewezen: van {n} van {all} databases is er een backup die niemand nog heeft teruggezet."),
            );
        }
        if worst.view.state == State::Fresh && many > 1 {
            let n = self.count(many as u64);
            return self.say(format!("Yes: all {n} databases can be restored."), format!("Ja: alle {n} databases zijn terug te zetten."));
        }
        self.answer(worst, board.at)
    }

    /// *Can I restore?* in one sentence, about one target.
    pub fn answer(&self, stand: &Stand, now: Timestamp) -> String {
        let name = &stand.view.target;
        let age = self.span(SignedDuration::from_secs(stand.view.age_s.unwrap_or(0)));
        let most = self.span(SignedDuration::from_secs(i64::try_from(stand.view.max_age_s).unwrap_or(i64::MAX)));
        match stand.ground {
            Ground::YoungEnough => {
                let ago = stand.view.counting.as_ref().map_or_else(String::new, |point| self.ago(point.at, now));
                self.say(format!("Yes: {name} can be restored as it was {ago}."), format!("Ja: {name} is terug te zetten zoals het {ago} was."))
            }
            Ground::NotProven => {
                let made = stand.view.counting.as_ref().map_or_else(String::new, |point| self.ago(point.at, now));
                match &stand.view.newest_proven {
                    None => self.say(
                        format!("Complete, not proven: {name} has a backup made {made}, and nobody has restored it yet."),
                        format!("Compleet, niet bewezen: {name} heeft een backup die {made} is gemaakt, maar niemand heeft die nog teruggezet."),
                    ),
                    Some(proven) => {
                        let proven = self.ago(proven.at, now);
                        self.say(
                            format!("Yes: {name} can be restored as it was {proven}. The newest backup, made {made}, is complete, not proven."),
                            format!(
                                "Ja: {name} is terug te zetten zoals het {proven} was. De nieuwste backup, die {made} is gemaakt, is compleet, niet bewezen."
                            ),
                        )
                    }
                }
            }
            Ground::BeingProven => {
                self.say(format!("Not yet: the first backup of {name} is being proven."), format!("Nog niet: de eerste backup van {name} wordt nu bewezen."))
            }
            Ground::TooOld => self.say(
                format!("Only an old state: the newest backup of {name} that counts is {age} old, and {most} is allowed."),
                format!("Alleen een oude stand: de nieuwste backup van {name} die telt is {age} oud, en {most} is toegestaan."),
            ),
            Ground::NoRun => self.say(format!("Not yet: {name} has no backup."), format!("Nog niet: {name} heeft nog geen backup.")),
            Ground::NoBackup => {
                self.say(format!("No: {name} has no backup that can be relied upon."), format!("Nee: {name} heeft geen backup waarop te vertrouwen is."))
            }
            Ground::NoneProven => self.say(
                format!("Perhaps: {name} has backups, and none of them is proven."),
                format!("Misschien: {name} heeft backups, maar geen ervan is bewezen."),
            ),
            Ground::DrillOverdue => self.say(
                format!("Perhaps: a drill of {name} was due, and there is no proof of it."),
                format!("Misschien: een drill van {name} had er al moeten zijn, maar er is geen bewijs."),
            ),
            Ground::Unreadable => {
                self.say(format!("Not known: the backups of {name} cannot be read."), format!("Onbekend: de backups van {name} zijn niet te lezen."))
            }
        }
    }

    /// How many of the databases are fresh.
    pub fn how_many_fresh(&self, board: &Board) -> String {
        let fresh = board.targets.iter().filter(|stand| stand.view.state == State::Fresh).count() as u64;
        let (fresh, all) = (self.count(fresh), self.count(board.targets.len() as u64));
        self.say(format!("{fresh} of {all} databases are fresh."), format!("{fresh} van {all} databases zijn vers."))
    }

    /// What would be lost.
    pub fn loss(&self, stand: &Stand, now: Timestamp) -> String {
        let most = self.span(SignedDuration::from_secs(i64::try_from(stand.view.max_age_s).unwrap_or(i64::MAX)));
        let Some(newest) = &stand.view.newest else {
            return self.say("everything: there is nothing to restore from", "alles: er is niets om van terug te zetten").to_owned();
        };
        let age = self.span(now.duration_since(newest.at).max(SignedDuration::ZERO));
        self.say(
            format!("the last {age} of changes, if it were restored now ({most} is allowed)"),
            format!("de wijzigingen van de laatste {age}, als er nu werd teruggezet ({most} is toegestaan)"),
        )
    }

    /// A standing in a few words.
    pub fn standing(&self, standing: Standing) -> &'static str {
        match standing {
            Standing::Proven => self.say("proven", "bewezen"),
            Standing::Read => self.say("read back", "teruggelezen"),
            Standing::Sealed => self.say("complete, not proven", "compleet, niet bewezen"),
            Standing::Suspicious => self.say("suspicious", "verdacht"),
            Standing::Bad => self.say("bad", "fout"),
            Standing::Incomplete => self.say("incomplete", "onvolledig"),
            Standing::NotUnderstood => self.say("not understood", "niet te begrijpen"),
        }
    }

    /// What follows a standing that has exceptions: `, except 2`; nothing where it has none.
    pub fn except(&self, exceptions: u64) -> String {
        if exceptions == 0 {
            return String::new();
        }
        let number = self.count(exceptions);
        self.say(format!(", except {number}"), format!(", op {number} na"))
    }

    /// What introduces the list of exceptions.
    pub fn not_brought_back(&self, exceptions: u64) -> String {
        let things = self.plural(exceptions, ("thing", "things"), ("ding", "dingen"));
        self.say(
            format!("Except {things} that no dump of PostgreSQL brings back (the backup's RESTORE.md says what to do by hand):"),
            format!("Op {things} na, die geen dump van PostgreSQL terugbrengt (RESTORE.md van de backup zegt wat er met de hand moet):"),
        )
    }

    /// What ends a list that was cut.
    pub fn and_more(&self, more: u64) -> String {
        let more = self.count(more);
        self.say(format!("and {more} more"), format!("en nog {more}"))
    }

    /// What no dump brings back, by its class.
    pub fn class(&self, class: Class) -> &'static str {
        let dutch = match class {
            Class::InvalidIndex => "ongeldige index",
            Class::DisabledForeignKey => "uitgeschakelde trigger van een foreign key",
            Class::SystemSchema => "object of wijziging in een systeemschema",
            Class::ExtensionMember => "wijziging van objecten van een extensie",
            Class::ExtensionVersion => "versie van een extensie",
            Class::Subscription => "toestand van een subscription",
            Class::ReplicationSlot => "replicatieslot",
            Class::PreparedTransaction => "voorbereide transactie",
            Class::SecurityLabel => "security label zonder de provider ervan",
            Class::Unreadable => "wat de rol van de backup niet mag lezen",
            Class::GeneratedColumn => "gegenereerde kolom die opnieuw wordt berekend",
            Class::Accessory => "recht, commentaar, naam of toestand van wat met een ander object meekomt",
        };
        self.say(class.describe(), dutch)
    }

    /// The database holds nothing.
    pub fn empty(&self, name: &str) -> String {
        self.say(
            format!("The database of {name} is empty: no table has a row, and there is no large object. If that is right, set BACKUP_ALLOW_EMPTY=yes."),
            format!("De database van {name} is leeg: geen tabel heeft een rij, en er is geen large object. Klopt dat, zet dan BACKUP_ALLOW_EMPTY=yes."),
        )
    }

    /// Why no command restores the newest backup. `forced`: a command follows that restores a bad one.
    pub fn nothing_reliable(&self, backups: u64, forced: bool) -> String {
        let there = self.backups(backups);
        match (backups, forced) {
            (0, _) => self.say("There is nothing to restore from.", "Er is niets om van terug te zetten.").to_owned(),
            (_, true) => self.say(
                format!("There is no backup that can be relied upon ({there}). This restores a bad one, for what it is worth:"),
                format!("Er is geen backup waarop te vertrouwen is ({there}). Dit zet een foute terug, voor wat die waard is:"),
            ),
            (_, false) => self.say(
                format!("There is no backup that can be restored ({there}): their files are not what they were, or are not understood."),
                format!("Er is geen backup die terug te zetten is ({there}): hun bestanden zijn niet meer wat ze waren, of niet te begrijpen."),
            ),
        }
    }

    /// A day in one word.
    pub fn day(&self, kind: DayKind) -> &'static str {
        match kind {
            DayKind::Proven => self.say("proven", "bewezen"),
            DayKind::Unproven => self.say("not proven", "niet bewezen"),
            DayKind::Failed => self.say("failed", "mislukt"),
            DayKind::Missed => self.say("missed", "gemist"),
            DayKind::None => self.say("none", "geen"),
        }
    }

    /// What a day was, in a sentence without a full stop.
    pub fn day_in_full(&self, day: &crate::board::Day) -> String {
        let made = self.backups(day.backups);
        let mut text = match day.kind {
            DayKind::Proven => self.say(format!("{made}, proven by a restore"), format!("{made}, bewezen door terugzetten")),
            DayKind::Unproven => self.say(format!("{made}, not proven"), format!("{made}, niet bewezen")),
            DayKind::Failed if day.bad => self.say("the backup is bad: do not rely on it", "de backup is fout: vertrouw er niet op").to_owned(),
            DayKind::Failed => self.say("no backup: every run failed", "geen backup: elke run mislukte").to_owned(),
            DayKind::Missed => self.say("a run was due, and none was made", "er had een run moeten zijn, en er was er geen").to_owned(),
            DayKind::None if day.due => self.say("still to come today", "komt vandaag nog").to_owned(),
            DayKind::None => self.say("no run was due", "er hoefde geen run te zijn").to_owned(),
        };
        if day.failed > 0 {
            let failed = self.plural(day.failed, ("run failed", "runs failed"), ("run mislukte", "runs mislukten"));
            text = format!("{text}; {failed}");
        }
        text
    }

    /// How a run ended.
    pub fn outcome(&self, outcome: Outcome) -> &'static str {
        match outcome {
            Outcome::Done => self.say("done", "gelukt"),
            Outcome::Warned => self.say("done, with warnings", "gelukt, met waarschuwingen"),
            Outcome::Failed => self.say("failed", "mislukt"),
            Outcome::Skipped => self.say("skipped", "overgeslagen"),
        }
    }

    /// What is to be said of a drill whose server was not kept from the rest of the machine.
    pub fn confined(&self, sandbox: Sandbox) -> Option<&'static str> {
        match sandbox {
            Sandbox::Full => None,
            Sandbox::Partial => Some(self.say("Its server was only partly in a sandbox", "De server daarvan zat maar deels in een sandbox")),
            Sandbox::None => Some(self.say("Its server was in no sandbox", "De server daarvan zat in geen sandbox")),
        }
    }

    /// A step of a run.
    pub fn step(&self, step: &str) -> String {
        let (english, dutch) = match step {
            "lock" => ("waiting for another run", "wacht op een andere run"),
            "preflight" => ("looking around", "kijkt rond"),
            "dump" => ("reading the database", "leest de database"),
            "seal" => ("sealing", "verzegelt"),
            "publish" => ("publishing", "publiceert"),
            "prove" => ("proving by a restore", "bewijst door terug te zetten"),
            "prune" => ("clearing away", "ruimt op"),
            "report" => ("writing the report", "schrijft het verslag"),
            other => (other, other),
        };
        self.say(english, dutch).to_owned()
    }

    /// When a backup goes.
    pub fn leaves(&self, leaves: Leaves) -> String {
        let date = |at: Timestamp| at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d").to_string();
        match leaves {
            Leaves::After(at) => self.say(format!("on {}", date(at)), format!("op {}", date(at))),
            Leaves::NotBefore(at) => self.say(format!("after {}", date(at)), format!("na {}", date(at))),
            Leaves::Never => self.say("never by itself", "nooit vanzelf").to_owned(),
            Leaves::Unknown => self.say("not known", "onbekend").to_owned(),
        }
    }

    /// The rule that keeps or drops a backup.
    pub fn reason(&self, reason: &Reason) -> String {
        if self.language == Language::English {
            return match reason {
                Reason::Suspended { .. } => "nothing is deleted at present".to_owned(),
                other => other.to_string(),
            };
        }
        match reason {
            Reason::WithinDays { days } => format!("niet ouder dan {}", dagen(*days)),
            Reason::Daily { date } => format!("van de dag {date}"),
            Reason::Weekly { year, week } => format!("van de week {year:04}-W{week:02}"),
            Reason::Monthly { year, month } => format!("van de maand {year:04}-{month:02}"),
            Reason::Yearly { year } => format!("van het jaar {year:04}"),
            Reason::NewestProven => "de nieuwste bewezen backup".to_owned(),
            Reason::KeepMin { count, standing: Standing::Proven } => format!("bij de {count} nieuwste bewezen"),
            Reason::KeepMin { count, .. } => format!("bij de {count} die altijd blijven"),
            Reason::Newest => "de nieuwste backup".to_owned(),
            Reason::OtherDatabase => "de nieuwste van een andere database in deze map".to_owned(),
            Reason::Pinned => "er staat een pin op".to_owned(),
            Reason::NotUnderstood => "het manifest is niet te begrijpen".to_owned(),
            Reason::InFuture { .. } => "de datum ligt in de toekomst".to_owned(),
            Reason::BeforeCollapse { rows, after } => format!("de laatste met {} rijen, voordat het er {} werden", self.count(*rows), self.count(*after)),
            Reason::AfterCollapse { rows } => format!("de nieuwste telling, {} rijen na een val", self.count(*rows)),
            Reason::BeforeLoss => "van voordat tabellen rijen verloren die niet terugkwamen".to_owned(),
            Reason::AfterLoss => "de nieuwste, die weet wat tabellen verloren".to_owned(),
            Reason::Namesake => "een backup met dezelfde naam blijft".to_owned(),
            Reason::Suspended { .. } => "nu wordt er niets verwijderd".to_owned(),
            Reason::Expired { days } => format!("ouder dan {}", dagen(*days)),
            Reason::NotSelected { days } => format!("ouder dan {}, en voor geen dag, week, maand of jaar gekozen", dagen(*days)),
            Reason::Incomplete { days } => format!("onvolledig, en ouder dan {}", dagen(*days)),
            Reason::Suspicious { days } => format!("verdacht, en ouder dan {}", dagen(*days)),
            Reason::Bad { days } => format!("fout, en ouder dan {}", dagen(*days)),
        }
    }

    /// What a table lost.
    pub fn lost_by(&self, loss: &Loss) -> String {
        let (table, before) = (cut(&loss.table, LONGEST_NAME), self.count(loss.before));
        match loss.after {
            None => self.say(format!("{table}: had {before} rows, is gone"), format!("{table}: had {before} rijen, is verdwenen")),
            Some(0) => self.say(format!("{table}: had {before} rows, is empty"), format!("{table}: had {before} rijen, is leeg")),
            Some(rows) => {
                let rows = self.count(rows);
                self.say(format!("{table}: had {before} rows, has {rows}"), format!("{table}: had {before} rijen, heeft er {rows}"))
            }
        }
    }

    /// How many more tables lost rows.
    pub fn more_tables(&self, count: u64) -> String {
        let count = self.count(count);
        self.say(format!("and {count} more tables"), format!("en nog {count} tabellen"))
    }

    /// Why nothing is deleted.
    pub fn suspension(&self, suspension: &Suspension) -> String {
        match suspension {
            Suspension::LastRunFailed => self.say("Nothing is deleted: the last run failed.", "Er wordt niets verwijderd: de laatste run mislukte.").to_owned(),
            Suspension::ClockBehind { .. } => self
                .say("Nothing is deleted: the clock is behind the last run.", "Er wordt niets verwijderd: de klok loopt achter op de laatste run.")
                .to_owned(),
            Suspension::ClockAhead { .. } => self
                .say(
                    "Nothing is deleted: the clock is further ahead of the last run than its schedule explains.",
                    "Er wordt niets verwijderd: de klok loopt verder voor op de laatste run dan het schema verklaart.",
                )
                .to_owned(),
            Suspension::RowsCollapsed { earlier_rows, newest_rows, .. } => {
                let (before, after) = (self.count(*earlier_rows), self.count(*newest_rows));
                self.say(
                    format!("Nothing is deleted: suspicious, the rows fell from {before} to {after}."),
                    format!("Er wordt niets verwijderd: verdacht, het aantal rijen viel van {before} naar {after}."),
                )
            }
            Suspension::TablesShrank { gone, emptied, halved, .. } => {
                let parts = [(*gone, "verdwenen"), (*emptied, "leeg"), (*halved, "minder dan de helft van de rijen")];
                let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{} {what}", self.count(*count))).collect();
                self.say(
                    format!("Nothing is deleted: suspicious, {}.", shrank(*gone, *emptied, *halved)),
                    format!("Er wordt niets verwijderd: verdacht, van de tabellen zijn er {}.", parts.join(", ")),
                )
            }
            Suspension::Unreadable { id } => {
                self.say(format!("Nothing is deleted: backup {id} cannot be read."), format!("Er wordt niets verwijderd: backup {id} is niet te lezen."))
            }
            Suspension::NothingGood => self
                .say("Nothing is deleted: no backup is known to be good.", "Er wordt niets verwijderd: van geen backup is bekend dat hij goed is.")
                .to_owned(),
        }
    }
}

fn dagen(days: u32) -> String {
    format!("{days} {}", if days == 1 { "dag" } else { "dagen" })
}
