//! As much of Rust as the house rules need: what a file names, and which modules it imports, without comments, literals and tests.

use std::path::Path;

/// A file of the source, as the rules see it.
pub struct Source {
    /// Its path from the package's folder, with slashes.
    pub file: String,
    /// The top module that it belongs to.
    pub module: String,
    /// Paths (`use` groups taken apart), macros with their `!`, methods with their `.`; each with its line.
    pub mentions: Vec<(usize, String)>,
    /// The top modules of our own that it names; each with its line.
    pub imports: Vec<(usize, String)>,
    /// Modules in files of their own that are compiled for tests only.
    test_modules: Vec<String>,
}

/// Every file below `src` that is not for tests only.
pub fn read(src: &Path) -> Vec<Source> {
    let mut files = Vec::new();
    walk(src, "src", &mut files);
    files.sort_by(|a, b| a.file.cmp(&b.file));
    let tests: Vec<String> = files
        .iter()
        .flat_map(|source| {
            let folder = source.file.trim_end_matches(".rs");
            let folder = folder.strip_suffix("/mod").or(folder.strip_suffix("/lib")).unwrap_or(folder);
            source.test_modules.iter().map(move |module| format!("{folder}/{module}"))
        })
        .collect();
    files.retain(|source| !tests.iter().any(|test| source.file == format!("{test}.rs") || source.file.starts_with(&format!("{test}/"))));
    files
}

fn walk(folder: &Path, name: &str, files: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("the source can be read").flatten() {
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            walk(&entry.path(), &name, files);
        } else if name.ends_with(".rs") {
            files.push(Source::parse(&name, &std::fs::read_to_string(entry.path()).expect("a file can be read")));
        }
    }
}

impl Source {
    /// Reads a file's text.
    pub fn parse(file: &str, text: &str) -> Source {
        let names: Vec<&str> = file.trim_start_matches("src/").trim_end_matches(".rs").split('/').filter(|name| *name != "mod").collect();
        let root = names == ["lib"];
        let mut source = Source {
            file: file.to_owned(),
            module: if root { "main".to_owned() } else { names[0].to_owned() },
            mentions: Vec::new(),
            imports: Vec::new(),
            test_modules: Vec::new(),
        };
        let code = source.without_tests(tokens(text));
        source.mention(&code);
        let depth = if root || names == ["main"] { 0 } else { names.len() };
        for (line, path) in &source.mentions {
            let segments: Vec<&str> = path.split("::").collect();
            let supers = segments.iter().take_while(|segment| **segment == "super").count();
            let top = match segments[0] {
                "crate" | "kluis" => segments.get(1),
                "super" if supers >= depth => segments.get(supers),
                _ => None,
            };
            // `crate::Error` and its like are `error`'s, under the crate's own name.
            source.imports.extend(
                top.filter(|name| **name != "*")
                    .map(|name| (*line, if name.starts_with(|first: char| first.is_uppercase()) { "error".to_owned() } else { (*name).to_owned() })),
            );
        }
        source
    }

    /// Takes items under `#[cfg(test)]` out.
    fn without_tests(&mut self, tokens: Vec<Token>) -> Vec<Token> {
        const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
        let (mut kept, mut at) = (Vec::new(), 0);
        while at < tokens.len() {
            let marked = tokens.len() - at >= MARK.len() && MARK.iter().zip(&tokens[at..]).all(|(mark, token)| token.text == *mark);
            if !marked {
                kept.push(tokens[at].clone());
                at += 1;
                continue;
            }
            let end = tokens[at..].iter().position(|token| token.text == ";" || token.text == "{").map_or(tokens.len(), |end| at + end);
            if tokens.get(end).is_some_and(|token| token.text == ";") {
                let item: Vec<&str> = tokens[at..end].iter().map(|token| token.text.as_str()).collect();
                if let [.., "mod", name] = item.as_slice() {
                    self.test_modules.push((*name).to_owned());
                }
                at = end + 1;
                continue;
            }
            let mut open = 0;
            at = end;
            while at < tokens.len() {
                open += match tokens[at].text.as_str() {
                    "{" => 1,
                    "}" => -1,
                    _ => 0,
                };
                at += 1;
                if open == 0 {
                    break;
                }
            }
        }
        kept
    }

    /// Finds paths, macros and methods.
    fn mention(&mut self, code: &[Token]) {
        let text = |at: usize| code.get(at).map_or("", |token| token.text.as_str());
        let mut at = 0;
        while at < code.len() {
            let line = code[at].line;
            if text(at) == "use" {
                let end = code[at..].iter().position(|token| token.text == ";").map_or(code.len(), |end| at + end);
                let mut paths = Vec::new();
                expand(&code[at + 1..end], "", &mut paths);
                self.mentions.extend(paths.into_iter().map(|path| (line, path)));
                at = end;
            } else if is_word(text(at)) {
                let (start, mut path) = (at, text(at).to_owned());
                while text(at + 1) == "::" && is_word(text(at + 2)) {
                    path = format!("{path}::{}", text(at + 2));
                    at += 2;
                }
                if text(at + 1) == "!" {
                    self.mentions.push((line, format!("{}!", text(at))));
                } else if path.contains("::") {
                    self.mentions.push((line, path));
                } else if start > 0 && text(start - 1) == "." && text(at + 1) == "(" {
                    self.mentions.push((line, format!(".{path}")));
                }
            }
            at += 1;
        }
    }
}

/// Takes a `use` tree apart: `a::{b, c::d}` is `a::b` and `a::c::d`; `self` is the module itself.
fn expand(tree: &[Token], prefix: &str, paths: &mut Vec<String>) {
    let (mut depth, mut start) = (0, 0);
    for at in 0..=tree.len() {
        match tree.get(at).map(|token| token.text.as_str()) {
            Some("{") => depth += 1,
            Some("}") => depth -= 1,
            Some(",") | None if depth == 0 => {
                branch(&tree[start..at], prefix, paths);
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// One branch of a `use` tree.
fn branch(tree: &[Token], prefix: &str, paths: &mut Vec<String>) {
    let mut path = prefix.to_owned();
    for (at, token) in tree.iter().enumerate() {
        match token.text.as_str() {
            "::" => {}
            "as" => break,
            "self" if !path.is_empty() => {}
            "{" => return expand(&tree[at + 1..tree.len() - 1], &path, paths),
            word => path = if path.is_empty() { word.to_owned() } else { format!("{path}::{word}") },
        }
    }
    if !path.is_empty() {
        paths.push(path);
    }
}

/// A word, `::`, or one other character.
#[derive(Clone)]
struct Token {
    line: usize,
    text: String,
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The tokens of a text. Comments are left out; a literal is a `"`.
fn tokens(text: &str) -> Vec<Token> {
    let (mut found, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let (length, token) = match first {
            _ if first.is_whitespace() => (first.len_utf8(), None),
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), None),
            '/' if rest.starts_with("/*") => (comment(rest), None),
            '"' => (quoted(rest), Some("\"")),
            '\'' => match character(rest) {
                Some(length) => (length, Some("\"")),
                // A lifetime.
                None => (1 + rest[1..].find(|c| !word(c)).unwrap_or(rest.len() - 1), None),
            },
            ':' if rest.starts_with("::") => (2, Some("::")),
            _ if word(first) => {
                let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
                let (name, after) = rest.split_at(length);
                match (name, after.as_bytes().first()) {
                    ("r" | "br" | "cr", Some(b'"' | b'#')) if raw(after).is_some() => (length + raw(after).unwrap_or(0), Some("\"")),
                    ("b" | "c", Some(b'"')) => (length + quoted(after), Some("\"")),
                    ("b", Some(b'\'')) => (length + character(after).unwrap_or(1), Some("\"")),
                    _ => (length, Some(name)),
                }
            }
            _ => (first.len_utf8(), Some(&rest[..first.len_utf8()])),
        };
        found.extend(token.map(|token| Token { line, text: token.to_owned() }));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// The length of a block comment, nested ones within it.
fn comment(text: &str) -> usize {
    let (mut at, mut open) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        (at, open) = match rest {
            [b'/', b'*', ..] => (at + 2, open + 1),
            [b'*', b'/', ..] => (at + 2, open - 1),
            _ => (at + 1, open),
        };
        if open == 0 {
            break;
        }
    }
    at
}

/// The length of a literal between quotes, with escapes.
fn quoted(text: &str) -> usize {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return at + 1,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw literal after its `r`.
fn raw(text: &str) -> Option<usize> {
    let marks = text.bytes().take_while(|byte| *byte == b'#').count();
    let body = text[marks..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    Some(body.find(&end).map_or(text.len(), |at| marks + 1 + at + end.len()))
}

/// The length of a character literal; nothing for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().skip(1);
    match characters.next()? {
        (_, '\\') => {
            characters.next();
            characters.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
        }
        _ => characters.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1),
    }
}
