//! Security labels: given one by one, at the end, because a server that lacks a label's provider refuses it, and the rest of the database matters more.
//! It owns telling whose provider is lacking; it leaves the labels of the database itself to its properties, and those of roles to the globals.
//! Invariant: a label that was not given is told; one that is refused for another reason ends the restore.

use super::{Job, Restored};
use crate::error::{Error, Result};
use crate::postgres::child::Tool;
use crate::postgres::server_error::{ServerError, printable};
use crate::postgres::session::Session;
use crate::script::statements::Statements;

/// How the statement begins.
pub(super) const BEGIN: &str = "SECURITY LABEL FOR ";

/// The label of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The provider, without quotes.
    pub provider: String,
    /// The object, as SQL names it: `TABLE public.users`.
    pub object: String,
}

impl Label {
    /// Which label a statement of pg_dump gives. Its text is not kept.
    fn of(statement: &str) -> Option<Label> {
        let rest = statement.strip_prefix(BEGIN)?;
        let (provider, rest) = rest.split_at(outside_of_quotes(rest, " ON ")?);
        let rest = &rest[" ON ".len()..];
        let (object, _) = rest.split_at(outside_of_quotes(rest, " IS ")?);
        let plain = provider.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"'));
        Some(Label { provider: plain.map_or_else(|| provider.to_owned(), |quoted| quoted.replace("\"\"", "\"")), object: object.to_owned() })
    }
}

/// Where these words stand first that are within no quoted name.
fn outside_of_quotes(text: &str, words: &str) -> Option<usize> {
    let mut quoted = false;
    text.bytes().enumerate().find_map(|(at, byte)| {
        quoted ^= byte == b'"';
        (!quoted && text.as_bytes()[at..].starts_with(words.as_bytes())).then_some(at)
    })
}

/// Gives the archive's labels, and those of large objects.
pub(super) fn give(job: &Job<'_>, of_objects: Vec<String>, restored: &mut Restored) -> Result<()> {
    let entries: Vec<u32> = job.listing(&[])?.iter().filter(|entry| entry.rest.starts_with("SECURITY LABEL ")).map(|entry| entry.id).collect();
    let mut statements = of_objects;
    if !entries.is_empty() {
        let list = job.list_file("labels", &entries)?;
        let tool = Tool::new(job.tools.program("pg_restore")).arg("--file=-").arg("--use-list").arg(&list.0).arg(job.archive());
        let text = tool.output(1 << 30, job.stop)?;
        Statements::default().push(&text, |statement| {
            if statement.starts_with(BEGIN.as_bytes()) {
                statements.push(crate::raw::text(statement));
            }
            Ok::<(), Error>(())
        })?;
    }
    if statements.is_empty() {
        return Ok(());
    }
    let mut session = Session::connect(job.request.to, job.stop)?;
    session.execute(&format!("SET client_encoding = '{}'", job.manifest.database.encoding))?;
    for statement in statements {
        let Err(error) = session.execute(&statement) else { continue };
        // That a provider is not there, and that it does not take a label, are of one code (seclabel.c; manual, appendix A).
        let refused = ServerError::of(&error).is_some_and(|refusal| refusal.sqlstate == "22023");
        match Label::of(&statement) {
            Some(label) if refused => {
                let (object, provider) = (printable(&label.object), printable(&label.provider));
                restored.warnings.push(format!("{object} was not given its security label of the provider \"{provider}\": {}", error.chain()));
                restored.unlabelled.push(label);
            }
            // What it labels is somebody else's, or was left out.
            Some(label) if job.lenient && ServerError::of(&error).is_some() => {
                let why = ServerError::of(&error).map(ToString::to_string).unwrap_or_default();
                job.left.tell(format!("the security label of {}", printable(&label.object)), why);
            }
            _ => return Err(error.context("cannot give a security label")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_label_and_of_which_provider() {
        let check = |statement: &str, expected: Option<(&str, &str)>| {
            let found = Label::of(statement);
            assert_eq!(found.as_ref().map(|label| (label.provider.as_str(), label.object.as_str())), expected, "{statement}");
        };
        check("SECURITY LABEL FOR selinux ON TABLE public.t IS 'x IS y';", Some(("selinux", "TABLE public.t")));
        check("SECURITY LABEL FOR \"a \"\" ON b\" ON COLUMN public.\"t IS \"\"1\".id IS 'x';", Some(("a \" ON b", "COLUMN public.\"t IS \"\"1\".id")));
        check("SECURITY LABEL ON TABLE t IS 'x';", None);
        check("SECURITY LABEL FOR selinux ON TABLE public.t", None);
    }
}
