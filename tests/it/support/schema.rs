//! What `--json` prints, judged by `docs/json.schema.json`: as much of JSON Schema as that file uses, and no property that it does not describe.

use serde_json::Value;
use std::sync::LazyLock;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.schema.json");
    serde_json::from_slice(&std::fs::read(path).expect("the schema can be read")).expect("the schema is JSON")
});

/// The names of the definitions of documents: those that have a version.
pub fn documents() -> Vec<String> {
    let all = SCHEMA["$defs"].as_object().expect("there are definitions");
    all.iter().filter(|(_, definition)| !definition["properties"]["version"].is_null()).map(|(name, _)| name.clone()).collect()
}

/// The definition of what these words of a command line print; nothing where they print no JSON.
pub fn definition_of(words: &[&str]) -> Option<String> {
    let has = |flag: &str| words.contains(&flag);
    if !has("--json") {
        return None;
    }
    let known = documents();
    let command = words.iter().find(|word| known.iter().any(|name| name == *word) || **word == "unpin")?;
    Some(match *command {
        "backup" if has("--dry-run") => "backup-dry-run".to_owned(),
        "status" if has("--page") => "status-page".to_owned(),
        "unpin" => "pin".to_owned(),
        name => name.to_owned(),
    })
}

/// What is wrong with what a command printed: each line of `status --watch` is a document of its own.
pub fn judge(definition: &str, stdout: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for document in serde_json::Deserializer::from_str(stdout).into_iter::<Value>() {
        match document {
            Ok(value) => check(&SCHEMA["$defs"][definition], &value, definition, &mut wrong),
            Err(error) => wrong.push(format!("{definition}: {error}")),
        }
    }
    wrong
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the schema has the type '{other}', which this judge does not know"),
    }
}

fn check(schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    const KNOWN: [&str; 11] = ["type", "properties", "required", "items", "enum", "const", "$ref", "anyOf", "minimum", "format", "additionalProperties"];
    let schema = schema.as_object().unwrap_or_else(|| panic!("{at}: there is no schema for this"));
    if let Some(unknown) = schema.keys().find(|key| !KNOWN.contains(&key.as_str()) && *key != "description") {
        panic!("{at}: the schema has '{unknown}', which this judge does not know");
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        check(&SCHEMA["$defs"][name.trim_start_matches("#/$defs/")], value, at, wrong);
    }
    if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
        let tried: Vec<Vec<String>> = any.iter().map(|schema| tried(schema, value, at)).collect();
        if tried.iter().all(|wrong| !wrong.is_empty()) {
            wrong.extend(tried.into_iter().min_by_key(Vec::len).unwrap_or_default());
        }
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.and_then(Value::as_str).into_iter().collect(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_of(kind, value)) {
        wrong.push(format!("{at} is {value}, which is no {}", kinds.join(" or ")));
    }
    if schema.get("const").is_some_and(|one| one != value) || schema.get("enum").and_then(Value::as_array).is_some_and(|all| !all.contains(value)) {
        wrong.push(format!("{at} is {value}"));
    }
    if schema.get("minimum").and_then(Value::as_i64).zip(value.as_i64()).is_some_and(|(least, number)| number < least) {
        wrong.push(format!("{at} is {value}"));
    }
    if schema.get("format").is_some() && value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_err()) {
        wrong.push(format!("{at} is {value}, which is no time"));
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        values.iter().enumerate().for_each(|(place, value)| check(items, value, &format!("{at}[{place}]"), wrong));
    }
    if let Some(object) = value.as_object() {
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        wrong.extend(required.filter(|name| !object.contains_key(*name)).map(|name| format!("{at} has no '{name}'")));
        for (name, value) in object {
            let at = format!("{at}.{name}");
            match (properties.and_then(|all| all.get(name)), schema.get("additionalProperties")) {
                (Some(schema), _) => check(schema, value, &at, wrong),
                (None, Some(Value::Bool(true))) => {}
                (None, Some(schema)) => check(schema, value, &at, wrong),
                (None, None) if schema.contains_key("$ref") || schema.contains_key("anyOf") => {}
                (None, None) => wrong.push(format!("{at} is not described")),
            }
        }
    }
}

fn tried(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    check(schema, value, at, &mut wrong);
    wrong
}
