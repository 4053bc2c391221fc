//! Quoting of names and strings for SQL that we write ourselves.
//! Owns the two quoting rules; leaves NUL bytes to the session, which refuses them.
//! Invariant: the result is one token, whatever the input, as long as `standard_conforming_strings` is on (each session sets it).

/// `name` as a quoted identifier, ready to stand in SQL (manual, section 4.1.1).
pub fn quote_ident(name: &str) -> String {
    wrap(name, '"')
}

/// `schema.name`, both quoted.
pub fn quote_qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_ident(schema), quote_ident(name))
}

/// `text` as a string literal (manual, section 4.1.2.1). Backslashes stand for themselves.
pub fn quote_literal(text: &str) -> String {
    wrap(text, '\'')
}

fn wrap(text: &str, quote: char) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for character in text.chars() {
        if character == quote {
            quoted.push(quote);
        }
        quoted.push(character);
    }
    quoted.push(quote);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_token() {
        assert_eq!(quote_ident("order"), r#""order""#);
        assert_eq!(quote_ident(r#"we"ird"#), r#""we""ird""#);
        assert_eq!(quote_ident("new\nline"), "\"new\nline\"");
        assert_eq!(quote_qualified("a.b", "c"), r#""a.b"."c""#);
    }

    #[test]
    fn a_literal_stays_one_token() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal(r"back\slash"), r"'back\slash'");
        assert_eq!(quote_literal("'; DROP TABLE x; --"), "'''; DROP TABLE x; --'");
    }
}
